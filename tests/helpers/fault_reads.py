"""What reads files, to be disturbed: checkpoints, folders, record files, an epoch, the images of pack and check."""

import errno
import hashlib
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import dali_cutmix as dc
from dali_cutmix.check import main as check
from dali_cutmix.pack.cli import main as pack
from pipelines import imagenet
from tests.helpers.fault_writes import checkpoint, command, is_unfinished, resumed, saved_run
from tests.helpers.faults import SHORT, Fault, Operation
from tests.helpers.images import write_photos
from tests.helpers.record_loaders import written
from tests.helpers.training import same
from train.engine.checkpoint import Checkpoint

ONCE = [
    *(Fault(call, errno.EIO) for call in ("open", "read", "stat", "list", "mmap", "close")),
    *(Fault(*how) for how in product(("open", "read", "stat"), (errno.ESTALE, errno.EACCES))),
    Fault("open", errno.EMFILE),
    Fault("open", errno.ENOENT),
    Fault("read", SHORT),
    Fault("read", SHORT, lasting=True),
    *(Fault(call, errno.EINTR) for call in ("open", "read")),
]
LASTING = [Fault(call, errno.EIO, lasting=True) for call in ("open", "read", "stat")]
NO_MEMORY = [Fault("allocate", errno.ENOMEM)]


def _photos(folder: Path) -> None:
    write_photos(folder / "data", images=6)


def _csv(folder: Path) -> None:
    write_photos(folder / "data", images=6)
    lines = [f"{path.relative_to(folder / 'data')},{i % 3}" for i, path in enumerate(sorted(folder.rglob("*.jpg")))]
    (folder / "data" / "labels.csv").write_text("\n".join(["image,label", *lines]))


def _packed(folder: Path) -> None:
    write_photos(folder / "photos", images=6)
    command(pack, folder / "photos", folder / "data", "--samples-per-shard", 4, "--workers", 1)


def _records(kind: str, index: bool) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        write_photos(folder / "photos", images=6)
        paths = sorted((folder / "photos").rglob("*.jpg"))
        written(kind, folder / "data", [(path.read_bytes(), i % 3) for i, path in enumerate(paths)], index)

    return prepare


def _reader(kind: str, folder: Path) -> Callable[..., Any]:
    """The function that reads a data set, without its paths."""
    data = folder / "data"
    match kind:
        case "folder":
            return lambda **how: dc.read_folder(data, **how)
        case "csv":
            return lambda **how: dc.read_csv(data / "labels.csv", image="image", label="label", **how)
        case "webdataset":
            return lambda **how: dc.read_webdataset(sorted(data.glob("*.tar")), **how)
        case "tfrecord":
            return lambda **how: dc.read_tfrecord(data / "train-00000-of-00009", first_label=1, **how)
    return lambda **how: dc.read_recordio(data / "train.rec", **how)


def _loader(kind: str, folder: Path, on_error: str) -> dc.Loader:
    how = {"on_error": on_error, "max_bad": 1.0, "bad_log": folder / "bad.jsonl"}
    return imagenet.val(_reader(kind, folder), size=16, batch_size=2, resize=16, device="cpu", num_threads=1, **how)


def _delivered(loader: dc.Loader, folder: Path, again: int = 0) -> list[str]:
    """An epoch: a digest of each batch; after an error that names a file, the same batch is tried again."""
    found: list[str] = []
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return found
        except (OSError, ValueError, dc.DecodeError) as error:
            if not again or str(folder) not in str(error):
                raise
            again -= 1
        else:
            found.append(hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in batch)).hexdigest()[:16])


def _is_by_product(name: str) -> bool:
    return not name.startswith("data/")  # the log and the cache


def _opened(kind: str, prepare: Callable[[Path], None], faults: list[Fault]) -> Operation:
    """A data set is opened and read once."""

    def run(folder: Path, _: None) -> list[str]:
        return _delivered(_loader(kind, folder, "raise"), folder)

    def set_up(folder: Path) -> None:
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")

    return Operation(prepare, run, faults, set_up, "data", ignores=_is_by_product)


def _epoch(kind: str, prepare: Callable[[Path], None], on_error: str, faults: list[Fault]) -> Operation:
    """An epoch of an open loader, which loses nothing by a fault that passes."""

    def set_up(folder: Path) -> dc.Loader:
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        return _loader(kind, folder, on_error)

    def run(folder: Path, loader: dc.Loader) -> list[str]:
        return _delivered(loader, folder, again=8 * (on_error == "raise"))

    return Operation(prepare, run, faults, set_up, "data", ignores=_is_by_product, survives=True)


def _saved(folder: Path) -> None:
    checkpoint(1).save(folder / "last.pt")


def _load(folder: Path, _: None) -> bool:
    try:
        return same(vars(Checkpoint.load(folder)), vars(checkpoint(1)))
    except ValueError as error:
        if isinstance(error.__cause__, OSError | MemoryError):
            raise RuntimeError(f"a fault of the storage is taken for damage: {error}") from error
        raise


def _resume(folder: Path, _: None) -> list[str]:
    run = resumed(folder)
    weights = b"".join(value.numpy().tobytes() for value in run.model.state_dict().values())
    return [hashlib.sha256(weights).hexdigest(), *_delivered(run.loader, folder)]


def _images_to_pack(folder: Path) -> None:
    write_photos(folder / "source", images=6)


def _pack_them(folder: Path, _: None) -> list[object]:
    return [command(pack, folder / "source", folder / "out", "--samples-per-shard", 2, "--workers", 1)[0]]


def _check_them(folder: Path, _: None) -> list[object]:
    status, said = command(check, folder / "source", "--workers", 1)
    return [status, said.replace(str(folder), "FOLDER")]


def _names_bad_images(found: list[object]) -> bool:
    return found[0] == 1 and "FOLDER/source/" in str(found[1])


SOURCES = {
    "a folder": ("folder", _photos),
    "a packed folder": ("folder", _packed),
    "a CSV file": ("csv", _csv),
    "tar files": ("webdataset", _records("webdataset", False)),
    "tar files with indexes": ("webdataset", _records("webdataset", True)),
    "a TFRecord file": ("tfrecord", _records("tfrecord", False)),
    "a TFRecord file with an index": ("tfrecord", _records("tfrecord", True)),
    "a RecordIO file": ("recordio", _records("recordio", False)),
    "a RecordIO file with an index": ("recordio", _records("recordio", True)),
}
READS = {
    "loading a checkpoint": Operation(_saved, _load, ONCE + LASTING + NO_MEMORY),
    "resuming a run": Operation(saved_run, _resume, ONCE, disturbed="run"),
    "packing images": Operation(
        _images_to_pack, _pack_them, ONCE + LASTING, disturbed="source", is_sound=is_unfinished
    ),
    "checking images": Operation(
        _images_to_pack, _check_them, ONCE + LASTING, disturbed="source", accepts=_names_bad_images
    ),
    **{f"opening {name}": _opened(*source, ONCE) for name, source in SOURCES.items()},
    **{
        f"an epoch of {name}, {how}": _epoch(*SOURCES[name], how, ONCE)
        for name in ("a folder", "a packed folder", "tar files", "a TFRecord file with an index")
        for how in ("raise", "replace")
    },
}
