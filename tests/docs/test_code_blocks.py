"""Every Python block of README and docs runs, in order, as a reader would type it."""

import contextlib
import io
import linecache
import math
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import dali_cutmix as dc
from tests.helpers.documents import DOCUMENTS, Block, blocks

BLOCKS = [block for document in DOCUMENTS for block in blocks(document, "python")]
SMALLER = {"batch_size=256": "batch_size=8"}
"""All that differs from the print, besides a folder in place of /data."""
NEEDS = {"s3://": "S3", '"cuda': "a GPU"}
"""What a block with such words needs, besides the small data."""


class Reader:
    """Runs the blocks of a document one after the other, since later ones use names of earlier ones."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._data, self._folder = data, folder
        self._after: dict[Block, dict[str, Any]] = {}

    def run(self, block: Block) -> dict[str, Any]:
        """The names that a reader has after a block."""
        names: dict[str, Any] = {"__name__": "__main__"}
        for other in blocks(block.document, "python"):
            if other.line <= block.line and not missing(other):
                if other not in self._after:
                    with contextlib.chdir(self._folder):
                        exec(self.compiled(other), names)
                    self._after[other] = names
                names = dict(self._after[other])
        return names

    def compiled(self, block: Block):
        """With the document's name and line numbers, so that an error is found."""
        code = block.text.replace("/data/", f"{self._data}/")
        for printed, small in SMALLER.items():
            code = code.replace(printed, small)
        code = "\n" * (block.line - 1) + code
        # DALI reads the source of a graph with conditionals again; without a time, Python takes these lines for it.
        linecache.cache[str(block.document)] = (len(code), None, code.splitlines(keepends=True), str(block.document))
        return compile(code, block.document, "exec")


def missing(block: Block) -> list[str]:
    return [
        what
        for word, what in NEEDS.items()
        if word in block.text and not (what == "a GPU" and torch.cuda.is_available())
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory, photos) -> Path:
    """In place of /data: 40 crops of photographs as folders of classes, as a webdataset, and with boxes as VOC."""
    root = tmp_path_factory.mktemp("data")
    jpegs = []
    for number in range(40):
        buffer = io.BytesIO()
        Image.fromarray(photos[number % 2][8 * number :][:90, 10 * number :][:, :120]).save(buffer, "JPEG")
        jpegs.append(buffer.getvalue())
    for number, jpeg in enumerate(jpegs):
        for split in ("train", "val"):
            write(root / "imagenet" / split / "abcd"[number % 4] / f"{number:02d}.jpg", jpeg)
    with tarfile.open(root / "imagenet" / "train-000.tar", "w") as tar:
        for number, jpeg in enumerate(jpegs):
            for ending, content in {"jpg": jpeg, "cls": b"%d" % (number % 4)}.items():
                member = tarfile.TarInfo(f"{number:02d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    for name, jpeg in zip(("000bec18", "001513df", "001cdf01"), jpegs, strict=False):
        write(root / "dogs" / "train" / f"{name}.jpg", jpeg)
    write(root / "dogs" / "labels.csv", b"id,breed\n000bec18,dingo\n001513df,pug\n001cdf01,bluetick\n")
    box = "<xmin>9</xmin><ymin>9</ymin><xmax>80</xmax><ymax>80</ymax>"
    voc = root / "VOCdevkit" / "VOC2007"
    for number, jpeg in enumerate(jpegs):
        write(voc / "JPEGImages" / f"{number:06d}.jpg", jpeg)
        text = f"<annotation><object><name>bird</name><bndbox>{box}</bndbox></object></annotation>"
        write(voc / "Annotations" / f"{number:06d}.xml", text.encode())
    write(voc / "ImageSets" / "Main" / "trainval.txt", "\n".join(f"{number:06d}" for number in range(40)).encode())
    return root


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def reader(data, tmp_path_factory):
    return Reader(data, tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_runs(block, reader, capsys):
    reader.compiled(block)
    if needed := missing(block):
        pytest.skip(f"needs {' and '.join(needed)}; it was compiled only")
    names = reader.run(block)
    if loader := names.get("loader"):
        assert isinstance(loader, dc.Loader)
        images, *_ = next(iter(loader))
        assert images.shape[1:] == (3, 224, 224)
        assert images.isfinite().all()


def test_the_readmes_loader_has_twelve_lines_and_gives_what_it_says(reader, data, capsys):
    block = next(block for block in BLOCKS if "@pipeline_def" in block.text)
    assert block.document == DOCUMENTS[0]
    assert len([line for line in block.text.splitlines() if line]) <= 12
    names = reader.run(block)
    assert names["images"].shape == (32, 3, 224, 224)
    assert names["targets"].shape == (32, 1000)
    assert names["targets"].sum(1).tolist() == pytest.approx([1] * 32)


def test_pairs_of_labels_give_a_loss(reader):
    block = next(block for block in BLOCKS if "pair_cross_entropy" in block.text)
    assert reader.run(block)["loss"].item() == pytest.approx(math.log(1000), rel=1e-5)


def test_boxes_are_as_the_comment_says(reader):
    block = next(block for block in BLOCKS if "voc.read" in block.text)
    names = reader.run(block)
    assert names["images"].shape == (32, 3, 300, 300)
    assert names["boxes"].shape == (*names["labels"].shape, 4)
    assert set(names["labels"].flatten().tolist()) <= {-1, names["annotated"].classes.index("bird")}
