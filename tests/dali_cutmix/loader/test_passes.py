"""Passes over a loader: each has its whole length, and two never share a position."""

import re
from itertools import islice
from threading import Thread

import pytest
from PIL import Image

import dali_cutmix as dc
from tests.helpers.images import save
from tests.helpers.loaders import batches_of, epoch_of, flat, label_loader, own_reader_loader

NEWER = "a newer pass over this loader has begun, or a state was loaded, so that this one cannot go on"


# Two passes at once


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_pass_cannot_go_on_after_a_newer_one_has_begun(make, shuffle):
    loader = make(shuffle=shuffle)
    first = iter(loader)
    next(first)
    second = iter(loader)
    next(second)
    with pytest.raises(RuntimeError, match=NEWER):
        next(first)
    assert len(list(second)) == len(loader) - 1, "the newer one is not disturbed"


@pytest.mark.parametrize("shuffle", [True, False])
def test_zip_of_a_loader_with_itself_delivers_no_pair(make, shuffle):
    loader, pairs = make(shuffle=shuffle), []
    with pytest.raises(RuntimeError, match=NEWER):
        pairs.extend(zip(loader, loader, strict=True))
    assert not pairs


def test_a_look_at_the_first_batch_inside_a_loop_ends_the_loop_with_an_error(make):
    loader, seen = make(shuffle=False), []

    def looks_inside():
        for (labels,) in loader:
            seen.append(labels.tolist())
            next(iter(loader))

    with pytest.raises(RuntimeError, match=NEWER):
        looks_inside()
    assert seen == [[0, 1, 2, 3]]
    assert flat(epoch_of(loader)) == list(range(26)), "and the next pass is whole"


def test_nested_loops_over_one_loader_are_refused(make):
    loader = make(shuffle=False)

    def nested():
        return [(a, b) for a in loader for b in loader]

    with pytest.raises(RuntimeError, match=NEWER):
        nested()


def test_of_two_threads_that_iterate_one_is_refused_and_the_other_gets_a_whole_pass(make):
    loader = make(shuffle=False)
    found, errors = [], []

    def run():
        try:
            found.append(flat(epoch_of(loader)))
        except RuntimeError as error:
            errors.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(NEWER in str(error) for error in errors)
    assert len(found) + len(errors) == 2
    assert all(labels == list(range(26)) for labels in found), "also where the threads ran one after the other"


def test_threads_that_share_one_pass_get_every_batch_once(make):
    loader, found = make(shuffle=False), []
    batches = iter(loader)
    threads = [Thread(target=lambda: found.extend(labels.tolist() for (labels,) in batches)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(flat(found)) == list(range(26))


def test_a_complete_pass_stays_complete(make):
    loader = make(shuffle=False)
    first = iter(loader)
    assert len(list(first)) == len(loader)
    next(iter(loader))
    assert list(first) == []


# Passes that are left early


def test_evaluation_left_early_starts_anew(make):
    loader = make(shuffle=False)
    assert batches_of(loader, 1) == batches_of(loader, 1) == [[0, 1, 2, 3]]
    for _ in range(2):
        assert flat(epoch_of(loader)) == list(range(26))


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_passes_left_early_deliver_the_batches_one_after_the_other(make, sequence, kept):
    """What Lightning's limit_train_batches, CombinedLoader's min_size and islice do."""
    loader = make()
    passes = [batches_of(loader, kept) for _ in range(5)]
    assert [len(batches) for batches in passes] == [kept] * 5
    assert [batch for batches in passes for batch in batches] == sequence[: 5 * kept]


def test_the_pass_after_one_that_was_left_is_as_long_as_len_says(make, sequence):
    loader = make()
    assert batches_of(loader, 2) == sequence[:2]
    for number in range(3):
        assert epoch_of(loader) == sequence[2 + 6 * number : 8 + 6 * number]
    assert len(loader) == 6


def test_after_a_break_a_new_epoch_may_begin(make, sequence):
    loader = make(loader={"after_break": "restart"})
    assert batches_of(loader, 2) == sequence[:2]
    assert batches_of(loader, 5) == sequence[6:11]
    assert epoch_of(loader) == sequence[12:18]
    assert epoch_of(loader) == sequence[18:24]


def test_evaluation_may_continue_after_a_break(make):
    loader = make(shuffle=False, loader={"after_break": "continue"})
    assert flat(batches_of(loader, 2)) == list(range(8))
    assert flat(epoch_of(loader)) == [*range(8, 26), *range(8)]


@pytest.mark.parametrize("after_break", ["restart", "continue"])
def test_a_shuffled_reader_of_ones_own_restarts_with_its_first_epoch(numbered_folder, after_break):
    root, options = numbered_folder(10), {"drop_last": True, "after_break": after_break}
    reference, loader = (own_reader_loader(root, loader=options, random_shuffle=True, seed=1) for _ in range(2))
    sequence = [batch for _ in range(3) for batch in epoch_of(reference)]
    assert batches_of(loader, 1) == sequence[:1]
    assert epoch_of(loader) == (sequence[:2] if after_break == "restart" else sequence[1:3])


def test_a_reader_of_ones_own_starts_anew(numbered_folder):
    loader = own_reader_loader(numbered_folder(10))
    assert next(iter(loader))[0].flatten().tolist() == [0, 1, 2, 3]
    for _ in range(2):
        assert [labels.flatten().tolist() for (labels,) in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert loader.epoch == 3
    list(islice(loader, 1))
    loader.set_epoch(0)
    with pytest.raises(ValueError, match=r"set_epoch\(0\) given, but the graph has a reader of its own, whose"):
        next(iter(loader))


# Virtual epochs


@pytest.mark.parametrize("steps", [1, 4, 6, 7, 13])
def test_virtual_epochs_run_on_across_epochs(make, sequence, steps):
    loader = make(loader={"steps_per_epoch": steps})
    assert len(loader) == steps
    assert loader.num_samples == 4 * steps
    passes = [epoch_of(loader) for _ in range(2)]
    assert [len(batches) for batches in passes] == [steps, steps]
    assert [batch for batches in passes for batch in batches] == sequence[: 2 * steps]


def test_a_virtual_epoch_resumes_with_its_rest(make, sequence):
    saving = make(loader={"steps_per_epoch": 4})
    epoch_of(saving)
    assert batches_of(saving, 3) == sequence[4:7], "over the end of an epoch"
    resumed = make(loader={"steps_per_epoch": 4})
    resumed.load_state_dict(saving.state_dict())
    assert [epoch_of(resumed) for _ in range(3)] == [sequence[7:8], sequence[8:12], sequence[12:16]]


def test_a_state_taken_after_a_break_gives_the_rest_of_that_pass(make, sequence):
    saving = make()
    batches_of(saving, 2)
    batches_of(saving, 1)
    resumed = make()
    resumed.load_state_dict(saving.state_dict())
    assert epoch_of(resumed) == sequence[3:8], "the second pass began with batch 2"
    assert epoch_of(resumed) == sequence[8:14]


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after_break": "stop"}, "after_break='stop' given; allowed are 'continue' and 'restart'."),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0 given; allowed is a whole number of at least 1."),
        (
            {"steps_per_epoch": 3, "drop_last": False},
            "steps_per_epoch=3 given with drop_last=False; passes that run on across epochs need whole batches: leave "
            "steps_per_epoch out (it is for training), or give dc.Loader drop_last=True.",
        ),
    ],
)
def test_invalid_passes_are_refused(make, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  (compared as a whole)
        make(loader=options)
    assert str(error.value) == message


def test_a_resumed_pass_whose_first_batch_fails_still_has_its_rest(tmp_path):
    """Also in evaluation, where a pass that was left early starts anew."""
    for number in range(26):
        save(Image.new("L", (8, 8), number), tmp_path / f"{number:04d}" / "a.jpg")
    saving, resumed = (label_loader(tmp_path, 4, shuffle=False) for _ in range(2))
    batches_of(saving, 2)
    resumed.load_state_dict(saving.state_dict())
    file, elsewhere = tmp_path / "0009" / "a.jpg", tmp_path / "elsewhere"
    file.rename(elsewhere)
    with pytest.raises(dc.DecodeError, match=re.escape(str(file))):
        next(iter(resumed))
    elsewhere.rename(file)
    assert flat(epoch_of(resumed)) == list(range(8, 26))


def test_a_loaded_state_ends_a_pass_that_has_begun_and_no_other(make, sequence):
    loader = make()
    begun = iter(loader)
    next(begun)
    saved = loader.state_dict()
    next(begun)
    loader.load_state_dict(saved)
    with pytest.raises(RuntimeError, match=NEWER):
        next(begun)
    waiting = iter(loader)
    loader.load_state_dict(saved)
    assert [labels.tolist() for (labels,) in waiting] == sequence[1:6]
