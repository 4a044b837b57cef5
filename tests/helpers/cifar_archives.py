"""CIFAR-10 and CIFAR-100 with few images, in the layouts and byte formats of the real archives."""

import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

FORMS = {  # the folder that it unpacks to, and the archive's name
    "cifar-10-batches-py": "cifar-10-python.tar.gz",
    "cifar-100-python": "cifar-100-python.tar.gz",
    "cifar-10-batches-bin": "cifar-10-binary.tar.gz",
    "cifar-100-binary": "cifar-100-binary.tar.gz",
}
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HUNDRED = tuple(f"fine_{i:02d}" for i in range(100))


class Python2Pickler(pickle._Pickler):
    """Pickles as Python 2's cPickle and NumPy 1 wrote these files: protocol 2, str is bytes."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, value):
        content = value.encode() if isinstance(value, str) else value
        size = len(content)
        short = size < 256
        self.write(pickle.SHORT_BINSTRING + bytes([size]) if short else pickle.BINSTRING + struct.pack("<i", size))
        self.write(content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string

    def save_global(self, value, name=None):
        if value is not np.ndarray(0).__reduce__()[0]:
            return super().save_global(value, name)
        self.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
        self.memoize(value)


def write_pickle(path: Path, value: object) -> None:
    """A file as Python 2 pickles it."""
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(value)


def make_data(folder: str, per_file: int = 6, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Random images N×32×32×3 and fine labels of each split."""
    rng, ten = np.random.default_rng(seed), folder.startswith("cifar-10-")
    counts = {"train": per_file * (5 if ten else 1), "val": per_file}
    return {
        split: (rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10 if ten else 100, n))
        for split, n in counts.items()
    }


def write_folder(parent: Path, folder: str, data: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
    """One of the four forms, unpacked, with the files that nobody needs, too."""
    root, ten, ending = parent / folder, folder.startswith("cifar-10-"), ".bin" if "bin" in folder else ""
    root.mkdir(parents=True)
    parts = {"train": 5, "val": 1} if ten else {"train": 1, "val": 1}
    for split, (images, labels) in data.items():
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
        chunks = zip(*(np.array_split(array, parts[split]) for array in (rows, labels)), strict=True)
        for number, (pixels, fine) in enumerate(chunks, 1):
            ours = {"train": f"data_batch_{number}" if ten else "train", "val": "test_batch" if ten else "test"}[split]
            if ending:
                columns = [fine[:, None]] if ten else [fine[:, None] // 5, fine[:, None]]
                (root / f"{ours}.bin").write_bytes(np.hstack([*columns, pixels]).astype(np.uint8).tobytes())
                continue
            batch = {b"batch_label": f"{split}ing batch {number}".encode(), b"data": pixels}
            batch |= {b"filenames": [f"{split}_{i:06d}.png".encode() for i in range(len(pixels))]}
            own = {b"labels": fine.tolist()} if ten else {b"fine_labels": fine.tolist()}
            write_pickle(root / ours, batch | own | ({} if ten else {b"coarse_labels": (fine // 5).tolist()}))
    match folder:
        case "cifar-10-batches-py":
            meta = {b"num_cases_per_batch": len(data["val"][1]), b"label_names": list(TEN), b"num_vis": 3072}
            write_pickle(root / "batches.meta", meta)
        case "cifar-100-python":
            meta = {b"fine_label_names": list(HUNDRED), b"coarse_label_names": [f"coarse_{i}" for i in range(20)]}
            write_pickle(root / "meta", meta)
        case "cifar-10-batches-bin":
            (root / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")
        case "cifar-100-binary":
            (root / "fine_label_names.txt").write_text("\n".join(HUNDRED) + "\n")
            (root / "coarse_label_names.txt").write_text("\n".join(f"coarse_{i}" for i in range(20)) + "\n")
    (root / ("readme.html" if ten else "file.txt~")).write_text("<meta http-equiv='refresh'>")
    return root


def pack(root: Path) -> Path:
    """The archive beside a folder: a gzipped tar with the folder in it, files in no helpful order."""
    path = root.with_name(FORMS[root.name])
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root, root.name, recursive=False)
        for file in sorted(root.iterdir(), key=lambda file: file.name[::-1]):
            archive.add(file, f"{root.name}/{file.name}")
    return path
