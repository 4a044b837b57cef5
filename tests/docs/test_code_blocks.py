"""Every Python block of README and docs runs, in order, as a reader would type it."""

import contextlib
import math
from typing import Any

import pytest
import torch

import dali_cutmix as dc
from tests.docs.conftest import SMALLER
from tests.helpers.documents import DOCUMENTS, Block, blocks

BLOCKS = [block for document in DOCUMENTS for block in blocks(document, "python")]
NEEDS = {"s3://": "S3", '"cuda': "a GPU"}
"""What a block with such words needs, besides the small data."""


class Reader:
    """Runs the blocks of a document one after the other, since later ones use names of earlier ones."""

    def __init__(self, data, folder) -> None:
        self._data, self._folder = data, folder
        self._done: dict[Block, BaseException | None] = {}
        self._names: dict[Any, dict[str, Any]] = {}

    def run(self, block: Block) -> dict[str, Any]:
        """A document's names after a block; those before it have run, too."""
        for other in blocks(block.document, "python"):
            if other.line <= block.line and other not in self._done and not missing(other):
                self._done[other] = None
                names = self._names.setdefault(block.document, {"__name__": "__main__"})
                with contextlib.chdir(self._folder):
                    exec(self.compiled(other), names)
        return self._names[block.document]

    def compiled(self, block: Block):
        """With the document's name and line numbers, so that an error is found."""
        code = block.text.replace("/data/", f"{self._data}/")
        for printed, small in SMALLER.items():
            code = code.replace(printed, small)
        return compile("\n" * (block.line - 1) + code, block.document, "exec")


def missing(block: Block) -> list[str]:
    return [
        what
        for word, what in NEEDS.items()
        if word in block.text and not (what == "a GPU" and torch.cuda.is_available())
    ]


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
    names = dict(reader.run(block))
    assert names["images"].shape == (32, 3, 224, 224)
    assert names["targets"].shape == (32, 1000)
    assert names["targets"].sum(1).tolist() == pytest.approx([1] * 32)


def test_pairs_of_labels_give_a_loss(reader):
    block = next(block for block in BLOCKS if "pair_cross_entropy" in block.text)
    assert reader.run(block)["loss"].item() == pytest.approx(math.log(1000), rel=1e-5)
