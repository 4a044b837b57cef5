"""A batch that fails in ``finish``, after the graph: it is tried again, and nothing is lost, replaced or logged."""

import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers.loaders import bits, take

TURNS = 14
"""Calls of ``next``: an epoch has six batches, and four calls fail."""


@pytest.fixture(autouse=True)
def compiled():
    if not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")


def fused():
    return dc.FusedMix(dc.CutMix(), resample=dc.Resample(8), num_classes=5)


def graph_of(root, finish, plus=0):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=3)
    def graph():
        jpegs, labels = dc.read_folder(root)
        return finish.inputs(dc.random_crop(jpegs), labels + plus)

    return graph()


class FailsAt:
    """A ``finish`` that fails once, at each of some batches."""

    def __init__(self, finish, *numbers):
        self.finish, self.left, self.calls, self.failed = finish, set(numbers), 0, 0

    def __call__(self, *outputs):
        if self.calls in self.left:
            self.left.remove(self.calls)
            self.failed += 1
            raise ZeroDivisionError("a fault of the user's own function")
        self.calls += 1
        return self.finish(*outputs)


def place(loader):
    """The state, whether a pass is complete or the next one has begun without a batch."""
    differing = ("pass_number", "pass_step", "digest")
    return loader.epoch, {key: value for key, value in loader.state_dict().items() if key not in differing}


@pytest.mark.parametrize("again", ["the same iterator", "a new pass", "another loader"])
def test_the_batch_that_failed_comes_next_and_no_other_is_lost(photo_folder, tmp_path, again):
    finish = fused()
    reference = take(dc.Loader(graph_of(photo_folder, finish), finish=finish), TURNS)
    failing = FailsAt(fused(), 0, 3, 4, 6)
    log = tmp_path / "bad.jsonl"

    def make():
        return dc.Loader(graph_of(photo_folder, failing.finish), finish=failing, on_error="replace", bad_log=log)

    loader, delivered = make(), []
    batches = iter(loader)
    for _ in range(TURNS):
        before = place(loader)
        try:
            delivered.append(bits(next(batches)))
        except StopIteration:
            batches = iter(loader)
        except ZeroDivisionError:
            assert place(loader) == before
            if again == "another loader":
                state, loader = loader.state_dict(), make()
                loader.load_state_dict(state)
            if again != "the same iterator":
                batches = iter(loader)
    assert failing.failed == 4
    assert len(delivered) > 6
    assert delivered == reference[: len(delivered)]
    assert loader.state_dict()["bad"] == []
    assert not log.exists()


def test_a_label_out_of_range_is_raised_at_each_try_and_nothing_is_replaced(photo_folder, tmp_path):
    """Labels 4 to 7 with K = 5, behind a reader that knows four classes."""
    log, finish = tmp_path / "bad.jsonl", fused()
    loader = dc.Loader(graph_of(photo_folder, finish, plus=4), finish=finish, on_error="replace", bad_log=log)
    before = loader.state_dict()
    for _ in range(3):
        with pytest.raises(ValueError, match="mix: label 7 read with num_classes=5; labels are 0 to 4: correct"):
            next(iter(loader))
        assert loader.state_dict() == before
    assert before["bad"] == []
    assert not log.exists()


def test_so_is_one_of_a_reader_of_ones_own(photo_folder):
    finish = fused()

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=3)
    def graph():
        jpegs, labels = fn.readers.file(file_root=str(photo_folder), pad_last_batch=True, name="mine")
        return finish.inputs(dc.random_crop(jpegs), labels + 2 * (labels // 3))

    loader = dc.Loader(graph(), finish=finish)
    batches = iter(loader)
    for _ in range(4):  # six of each class, in their order: the fifth batch has the first of class 3
        next(batches)
    before = loader.state_dict()
    assert before["batch"] == 4
    for _ in range(3):
        with pytest.raises(ValueError, match="mix: label 5 read with num_classes=5"):
            next(batches)
        assert loader.state_dict() == before
