"""The same seed gives the same batches, bit for bit, whatever the threads, the prefetch and the executor."""

from nvidia.dali import pipeline_def

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers.images import save


def fingerprint(loader, batches=9):
    """The bits of some batches, across the border of an epoch."""
    found = []
    while len(found) < batches:
        found += [tuple(tensor.numpy().tobytes() for tensor in batch) for batch in loader]
    return found[:batches]


def test_threads_and_prefetch_change_no_bit(photo_folder, fused):
    def batches(**options):
        return fingerprint(imagenet.train(photo_folder, batch_size=7, size=16, device="cpu", fused=fused, **options))

    expected = batches(num_threads=1, prefetch=1)
    assert len(set(expected)) == 9
    for options in (
        {"num_threads": 2},
        {"num_threads": 4},
        {"prefetch": 2},
        {"prefetch": 4, "num_threads": 3},
    ):
        assert batches(**options) == expected


def test_the_executor_changes_no_bit(photo_folder):
    def batches(**executor):
        @pipeline_def(**dc.pipeline_options(7, device="cpu", num_threads=2), **executor)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder)
            images, targets = dc.mix(dc.random_resized_crop(jpegs, 16), labels)
            return dc.normalize(images), targets

        return fingerprint(dc.Loader(graph()))

    expected = batches()
    for executor in (
        {"exec_dynamic": False},
        {"exec_dynamic": False, "exec_async": False, "exec_pipelined": False},
    ):
        assert batches(**executor) == expected


def test_the_seed_decides_over_crops_flips_and_mixing_and_so_does_the_rank(tmp_path, photos, fused):
    """A folder of one image, again and again: what differs is augmentation."""
    for i in range(8):
        save(photos[0][:200, :200], tmp_path / "a" / f"{i}.jpg")

    def batches(**options):
        options = {"batch_size": 4, "size": 16, "device": "cpu", "mix": None, "fused": fused} | options
        return fingerprint(imagenet.train(tmp_path, **options), 4)

    assert batches(seed=1) == batches(seed=1)
    assert not set(batches(seed=1)) & set(batches(seed=2))
    ranks = [set(batches(seed=1, shard=(rank, 2))) for rank in (0, 1)]
    assert not ranks[0] & ranks[1]
