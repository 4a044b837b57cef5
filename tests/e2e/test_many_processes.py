"""Two and four processes under torchrun: each sample once, different augmentation, the metrics of one process.

Each number of processes is started once: `many_processes` records what they see, the tests check it.
"""

import io
import json
from itertools import chain
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import many_processes, tally
from tests.helpers.training import ALONE, command, quick
from train.engine.checkpoint import Checkpoint
from train.evaluation.accuracy import AccuracyOptions, evaluate
from train.models import classifiers

SIZES = (17, 23)
BATCH_SIZES = (1, 2, 3, 4)  # of each process
GLOBAL_BATCH_SIZES = (4, 8, 12, 16)


def encoded(rng) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One photograph under several names, each a class of its own: a label names the sample, images differ by crop."""
    root, photo = tmp_path_factory.mktemp("same"), encoded(np.random.default_rng(0))
    for size in SIZES:
        for number in range(size):
            path = root / str(size) / f"{number:02d}" / "a.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(photo)
    return {str(size): str(root / str(size)) for size in SIZES}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A network that knows nothing for each of the sizes, with as many classes of one image each to validate it on."""
    root, rng = tmp_path_factory.mktemp("different"), np.random.default_rng(1)
    for size in SIZES:
        names = [f"{number:02d}" for number in range(size)]
        for name in names:
            (root / str(size) / "val" / name).mkdir(parents=True)
            (root / str(size) / "train" / name).mkdir(parents=True)
            (root / str(size) / "val" / name / "a.jpg").write_bytes(encoded(rng))
        torch.manual_seed(size)
        config = quick(root / str(size), root).to_dict()
        weights = classifiers.build("resnet10", size).state_dict()
        Checkpoint(config, names, 0, 0, weights, None, {}, [], []).save(root / f"{size}.pt")
    return {str(size): str(root / f"{size}.pt") for size in SIZES}


@pytest.fixture(scope="module", params=[2, 4])
def seen(request, folders, checkpoints, tmp_path_factory):
    """What each process saw."""
    given = tmp_path_factory.mktemp("given") / "given.json"
    given.write_text(
        json.dumps(
            {
                "folders": folders,
                "checkpoints": checkpoints,
                "batch_sizes": BATCH_SIZES,
                "global_batch_sizes": GLOBAL_BATCH_SIZES,
            }
        )
    )
    done = command(many_processes.__file__, given, processes=request.param)
    assert done.returncode == 0, done.stderr
    return [json.loads((given.parent / f"{rank}.json").read_text()) for rank in range(request.param)]


@pytest.mark.parametrize("size", SIZES)
def test_validation_gives_each_sample_once_over_all(seen, size):
    for number, batch_size in enumerate(BATCH_SIZES):
        of_each = [rank["validation"][str(size)][number] for rank in seen]
        assert {one["length"] for one in of_each} == {ceil(ceil(size / len(seen)) / batch_size)}
        assert {len(one["samples"]) for one in of_each} == {of_each[0]["length"]}
        delivered = [sample for one in of_each for batch in one["samples"] for sample in batch]
        tally.assert_none_lost(range(size), delivered)
        assert len(delivered) == size


def test_some_process_had_an_empty_last_batch(seen):
    last = [one["samples"][-1] for rank in seen for size in SIZES for one in rank["validation"][str(size)]]
    assert [] in last
    assert any(last)


@pytest.mark.parametrize("size", SIZES)
def test_training_gives_no_sample_twice_in_an_epoch(seen, size):
    of_each = [rank["training"][str(size)] for rank in seen]
    (length,) = {one["length"] for one in of_each}
    assert length == size // len(seen) // 2
    for kind in ("plain", "mixed"):
        epochs = [
            list(
                chain.from_iterable(batch["samples"] for one in of_each for batch in one[kind][first : first + length])
            )
            for first in (0, length)
        ]
        for samples in epochs:
            assert len(set(samples)) == len(samples) == 2 * length * len(seen)
        assert epochs[0] != epochs[1]


@pytest.mark.parametrize("size", SIZES)
def test_each_process_augments_in_its_own_way(seen, size):
    """All samples are one photograph, so two equal images would be two equal crops."""
    of_each = [rank["training"][str(size)] for rank in seen]
    images = [digest for one in of_each for batch in one["plain"] for digest in batch["digests"]]
    assert len(set(images)) == len(images)
    lams = [tuple(chain.from_iterable(batch["lam"] for batch in one["mixed"])) for one in of_each]
    assert len(set(lams)) == len(seen)


@pytest.mark.parametrize("size", SIZES)
def test_another_run_draws_the_same(seen, folders, size):
    for number, rank in enumerate(seen):
        assert rank["training"][str(size)] == many_processes.training(folders[str(size)], (number, len(seen)))


@pytest.mark.parametrize("size", SIZES)
def test_a_resumed_loader_goes_on_with_the_same_bits(seen, size):
    for rank in seen:
        whole = rank["training"][str(size)]
        assert rank["resumed"][str(size)] == whole["mixed"][whole["length"] + 1 :]
        tally.count("resumes")


@pytest.mark.parametrize("size", SIZES)
def test_metrics_are_those_of_one_process(seen, checkpoints, size):
    alone = evaluate(AccuracyOptions(Path(checkpoints[str(size)]), batch_size=5, device="cpu", num_threads=1), ALONE)
    assert 0 < alone["top5"] < 100
    for rank in seen:
        for together in rank["metrics"][str(size)]:
            assert together["loss"] == pytest.approx(alone["loss"], abs=1e-6)
            assert (together["top1"], together["top5"]) == (alone["top1"], alone["top5"])
            assert together["images"] == size


def test_all_hear_that_the_first_could_not_write(seen):
    assert {rank["failure"] for rank in seen} == {"[Errno 28] No space left on device: 'last.pt'"}
