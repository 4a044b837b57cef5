"""on_error="replace": a bad file loses only itself, is recorded with its reason, and too many end the run."""

import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.bad_samples.replacement import Replacement
from dali_cutmix.loader import pipeline_runner
from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.sources.source import Source
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.bad_files import BAD, GOOD
from tests.helpers.edited_states import as_version_2
from tests.helpers.images import save
from tests.helpers.shards import overwrite


@pytest.fixture
def folder(tmp_path):
    """40 images of 8 classes; the pixels' level names the sample."""
    for i in range(40):
        image = np.full((24, 24, 3), 6 * i, np.uint8)
        save(image, tmp_path / "data" / f"class{i // 5}" / f"{i:02d}.jpg")
    return tmp_path / "data"


def make(root, kind, log, **options):
    common = {"batch_size": 8, "size": 16, "device": "cpu", "on_error": "replace", "max_bad": 0.3, "bad_log": log}
    if kind == "val":
        return imagenet.val(root, resize=16, **common | options)
    whole = {"scale": (1, 1), "ratio": (0.01, 100), "mix": None, "flip": 0.0, "fused": kind == "fused"}
    return imagenet.train(root, **common | whole | options)


def levels(batch):
    """Which samples a batch has, by their gray level."""
    images = batch[0][:, 0].mean(dim=(1, 2)) * dc.IMAGENET_STD[0] + dc.IMAGENET_MEAN[0]
    return [round(level / 6) for level in images.tolist()]


def epoch(loader):
    return [sample for batch in loader for sample in levels(batch)]


def entries(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def path_of(root, number):
    return root / f"class{number // 5}" / f"{number:02d}.jpg"


@pytest.mark.parametrize("what", BAD)
def test_no_other_sample_is_lost_and_the_file_is_recorded(folder, kind, tmp_path, what):
    BAD[what](path_of(folder, 13))
    loader = make(folder, kind, tmp_path / "bad.jsonl")
    for _ in range(2):
        found = epoch(loader)
        assert len(found) == 40
        tally.assert_none_lost(set(range(40)) - {13}, found)
        assert found.count(14) == 2, "the next one is in its place"
    (entry,) = entries(tmp_path / "bad.jsonl")
    assert entry["path"] == str(path_of(folder, 13))
    assert entry["replaced_by"] == str(path_of(folder, 14))
    assert entry["reason"]
    assert entry["rank"] == 0
    tally.count("bad")


def test_labels_come_with_what_is_read(folder, tmp_path):
    """The last one of a class is replaced by the first of the next, with that one's label."""
    BAD["text"](path_of(folder, 14))
    loader = make(folder, "val", tmp_path / "bad.jsonl")
    found = [(s, label) for batch in loader for s, label in zip(levels(batch), batch[1].tolist(), strict=True)]
    assert found == [(s, s // 5) for s in [*range(14), 15, *range(15, 40)]]


@pytest.mark.parametrize("what", GOOD)
def test_rare_but_good_images_are_no_bad_files(folder, kind, tmp_path, what):
    GOOD[what](path_of(folder, 13))
    loader = make(folder, kind, tmp_path / "bad.jsonl")
    for _ in range(2):
        assert sum(len(labels) for _, labels in loader) == 40
    assert not entries(tmp_path / "bad.jsonl")
    tally.count("bad")


def test_several_in_a_batch_side_by_side_and_at_the_ends(folder, kind, tmp_path):
    bad = {0, 7, 8, 9, 10, 39}
    for number in bad:
        BAD["zeros"](path_of(folder, number))
    loader = make(folder, kind, tmp_path / "bad.jsonl")
    for _ in range(3):
        tally.assert_none_lost(set(range(40)) - bad, epoch(loader))
    assert {entry["path"] for entry in entries(tmp_path / "bad.jsonl")} == {str(path_of(folder, n)) for n in bad}
    replaced = {Path(e["path"]).stem: Path(e["replaced_by"]).stem for e in entries(tmp_path / "bad.jsonl")}
    assert replaced["39"] == "01", "round the end, past the first, which is bad"


def test_evaluation_replaces_within_its_own_shard(folder, tmp_path):
    for number in (19, 39):
        BAD["empty"](path_of(folder, number))
    ranks = [make(folder, "val", tmp_path / "bad.jsonl", shard=(rank, 2)) for rank in (0, 1)]
    assert [epoch(loader) for loader in ranks] == [[*range(19), 0], [*range(20, 39), 20]]
    assert {entry["rank"] for entry in entries(tmp_path / "bad.jsonl")} == {0, 1}


@pytest.mark.parametrize("prefetch", [1, 4])
def test_a_file_that_is_deleted_while_training(folder, kind, tmp_path, prefetch):
    loader = make(folder, kind, tmp_path / "bad.jsonl", prefetch=prefetch)
    epoch(loader)
    path_of(folder, 22).unlink()
    for _ in range(2):
        tally.assert_none_lost(set(range(40)) - {22}, epoch(loader))
    (entry,) = entries(tmp_path / "bad.jsonl")
    assert (entry["path"], entry["reason"]) == (
        str(path_of(folder, 22)),
        "cannot be read: No such file or directory",
    )
    tally.count("bad")


def test_same_batches_for_any_prefetch_and_threads(folder, kind, tmp_path):
    for number in (3, 17, 30):
        BAD["header"](path_of(folder, number))

    def batches(**options):
        loader = make(folder, kind, tmp_path / "bad.jsonl", **options)
        return [tuple(t.numpy().tobytes() for t in batch) for _ in range(3) for batch in loader]

    expected = batches(prefetch=1, num_threads=1)
    assert batches(prefetch=4, num_threads=2) == expected


def test_only_the_batches_of_the_bad_file_differ(folder, kind, tmp_path):
    """Draws, order and pixels of all other samples are those of a run without bad files."""
    clean = [levels(batch) for _ in range(3) for batch in make(folder, kind, tmp_path / "bad.jsonl")]
    BAD["data"](path_of(folder, 21))
    spoiled = [levels(batch) for _ in range(3) for batch in make(folder, kind, tmp_path / "bad.jsonl")]
    assert spoiled == [[22 if sample == 21 else sample for sample in batch] for batch in clean]


def test_a_resumed_run_replaces_the_same_files_and_records_them_once(folder, kind, tmp_path):
    for number in (5, 25):
        BAD["text"](path_of(folder, number))
    log = tmp_path / "bad.jsonl"
    loader, states, batches = make(folder, kind, log), [], []
    for _ in range(2):
        for batch in loader:
            states.append(json.loads(json.dumps(loader.state_dict())))
            batches.append([tensor.numpy().tobytes() for tensor in batch])
    recorded = entries(log)
    assert len(recorded) == 2
    for i in range(0, len(states) - 1, 2):
        resumed = make(folder, kind, log)
        resumed.load_state_dict(states[i])
        following = [[t.numpy().tobytes() for t in batch] for batch in resumed]
        if states[i]["batch"] < len(loader):
            assert following == batches[i + 1 : i + 1 + len(following)]
        tally.count("resumes")
    found = {entry["path"] for entry in entries(log)}
    assert found == {entry["path"] for entry in recorded}
    after = len(entries(log))
    resumed = make(folder, kind, log)
    resumed.load_state_dict(states[-1])
    epoch(resumed)
    assert len(entries(log)) == after, "what the state knows is not recorded again"


def test_a_state_with_replaced_files_goes_on_exactly_also_where_errors_raise(folder, tmp_path):
    BAD["text"](path_of(folder, 5))
    loader = make(folder, "val", tmp_path / "bad.jsonl")
    batches = iter(loader)
    next(batches)
    raising = make(folder, "val", tmp_path / "bad.jsonl", on_error="raise")
    raising.load_state_dict(loader.state_dict())
    assert epoch(raising) == list(range(8, 40))
    assert epoch(raising) == [*range(5), 6, *range(6, 40)]


def test_the_replaced_files_of_a_state_that_is_refused_leave_no_trace(folder, tmp_path):
    BAD["text"](path_of(folder, 5))
    loader = make(folder, "val", tmp_path / "bad.jsonl")
    epoch(loader)
    wrong = as_version_2(loader.state_dict(), pipeline="AAAA")
    other = make(folder, "val", tmp_path / "bad.jsonl", on_error="raise")
    with pytest.raises(ValueError, match="cannot be continued exactly"):
        other.load_state_dict(wrong)
    with pytest.raises(dc.DecodeError, match="05.jpg"):
        epoch(other)


def test_samples_of_shards_are_replaced_too(photo_folder, packed, tmp_path):
    root = shutil.copytree(packed(photo_folder), tmp_path / "copy")
    overwrite(root / "shard-00002.tar", "00000013.jpg", b"this is no picture" * 20)
    for kind in ("val", "train"):
        loader = make(root, kind, tmp_path / f"{kind}.jsonl", batch_size=6)
        for _ in range(2):
            assert sum(len(labels) for _, labels in loader) == 24
        (entry,) = entries(tmp_path / f"{kind}.jsonl")
        assert entry["path"] == f"{root}/shard-00002.tar: 00000013.jpg (was c/06.jpg)"
        assert entry["replaced_by"].startswith(f"{root}/shard-00002.tar: 00000014.jpg")
        tally.count("bad")


def test_a_file_that_vanished_since_the_state_was_taken_hinders_no_resume(folder, kind, tmp_path):
    """Set to a checkpoint, DALI reads the sample before it once more."""
    log = tmp_path / "bad.jsonl"
    loader = make(folder, kind, log)
    batches = iter(loader)
    gone = levels(next(batches)) and levels(next(batches))[-1]
    saved, expected = loader.state_dict(), [levels(batch) for batch in batches]
    path_of(folder, gone).unlink()
    resumed = make_of_list(folder, kind, log, on_error="replace")
    resumed.load_state_dict(as_version_2(saved, binding=resumed.state_dict()["binding"]))
    assert [levels(batch) for batch in resumed] == expected
    tally.assert_none_lost(set(range(40)) - {gone}, epoch(resumed))
    assert {entry["path"] for entry in entries(log)} == {str(path_of(folder, gone))}
    tally.count("resumes")
    tally.count("bad")


def make_of_list(folder, kind, log, **options):
    """A list may name files that are gone."""
    listed = [(str(path_of(folder, number)), number // 5) for number in range(40)]
    return make(lambda **order: dc.read_files(listed, **order), kind, log, **options)


def test_a_row_of_bad_files_costs_one_failed_batch(folder, kind, tmp_path, monkeypatch):
    """What would come in the place of a bad file is looked at, too."""
    bad = set(range(8, 32))
    for number in bad:
        BAD["text"](path_of(folder, number))
    looks, real = [], pipeline_runner.find_bad_samples
    monkeypatch.setattr(pipeline_runner, "find_bad_samples", lambda *given: looks.append(1) or real(*given))
    found = epoch(make(folder, kind, tmp_path / "bad.jsonl", max_bad=0.7))
    tally.assert_none_lost(set(range(40)) - bad, found)
    assert len(looks) <= 2
    assert len(entries(tmp_path / "bad.jsonl")) == 24


@given(st.integers(1, 12), st.sets(st.integers(0, 11)), st.integers(1, 3), st.integers(0, 2), st.booleans())
def test_each_bad_sample_is_replaced_by_the_next_good_one_of_its_shard(total, bad, world_size, rank, shuffled):
    if rank >= world_size or world_size > total:
        return
    seed = 0 if shuffled else None
    source = Source(SampleList.numbered(total), shard=(rank, world_size), seed=seed, digest="")
    replacement = Replacement(source, 1.0, "bad.jsonl")
    replacement.set(number for number in bad if number < total)
    own = list(source.interchangeable)
    expected = {}
    for i, number in enumerate(own):
        following = [*own[i + 1 :], *own[:i]]
        good = [other for other in following if other not in bad]
        if number in bad and good:
            expected[number] = good[0]
    assert replacement.substitutes == expected


def test_a_hundred_thousand_bad_samples_are_replaced_in_no_time():
    replacement = Replacement(Source(SampleList.numbered(200_000), digest=""), 1.0, "bad.jsonl")
    began = time.perf_counter()
    replacement.set(range(50_000, 150_000))
    assert set(replacement.substitutes.values()) == {150_000}
    assert time.perf_counter() - began < 5


# Giving up


def test_more_than_the_share_ends_the_run_and_all_are_listed(folder, kind, tmp_path):
    for number in range(0, 40, 4):
        BAD["text"](path_of(folder, number))
    loader = make(folder, kind, tmp_path / "bad.jsonl", max_bad=0.1)
    with pytest.raises(dc.DecodeError) as caught:
        epoch(loader)
    told = re.match(
        r"(\d) of 40 samples cannot be decoded, more than max_bad=0\.1 allows; they are listed in \S+/bad\.jsonl\. "
        r"Fix the data \(python -m dali_cutmix\.check finds all bad files\), or give a larger max_bad\.",
        str(caught.value),
    )
    assert told
    assert int(told[1]) == len(entries(tmp_path / "bad.jsonl")) > 4


def test_a_loader_that_gave_up_gives_up_again(folder, kind, tmp_path):
    for number in range(3):
        BAD["text"](path_of(folder, number))
    loader = make(folder, kind, tmp_path / "bad.jsonl", max_bad=0.05)
    for _ in range(2):
        with pytest.raises(dc.DecodeError, match="3 of 40 samples cannot be decoded"):
            epoch(loader)


def test_a_shard_without_any_good_file_ends_the_run(folder, tmp_path):
    for number in range(20):
        BAD["empty"](path_of(folder, number))
    with pytest.raises(dc.DecodeError, match="cannot be decoded"):
        epoch(make(folder, "val", tmp_path / "bad.jsonl", shard=(0, 2), max_bad=1.0))


# Wrong arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "skip"}, r"on_error='skip' given; allowed are 'raise' and 'replace'"),
        ({"max_bad": 2}, r"max_bad=2 given; it is a fraction of all samples, 0 to 1"),
        ({"max_bad": "all"}, r"max_bad='all' given; it is a fraction"),
        (
            {"bad_log": __file__ + "/all.jsonl"},
            r"bad_log='.*\.py/all\.jsonl' given; .*\.py is not a folder that can",
        ),
    ],
    ids=str,
)
def test_what_is_refused(folder, kind, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make(folder, kind, tmp_path / "bad.jsonl", **options)


def test_a_reader_of_ones_own_cannot_be_told_to_replace(folder):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        _, labels = fn.readers.file(file_root=str(folder), pad_last_batch=True)
        return labels

    with pytest.raises(ValueError, match=r"on_error='replace' given with a reader of your own; read with one of dc\."):
        dc.Loader(graph(), on_error="replace")


@pytest.mark.parametrize("pixels", [0, 1.5, None, "9"], ids=repr)
def test_a_limit_that_is_none_is_refused(folder, kind, tmp_path, pixels):
    with pytest.raises(ValueError, match=r"max_pixels=.* given; it is width × height, a whole number of at least 1"):
        make(folder, kind, tmp_path / "bad.jsonl", max_pixels=pixels)


def test_an_image_above_the_limit_is_named_with_its_size(folder, kind, tmp_path):
    save(np.zeros((30, 50, 3), np.uint8), path_of(folder, 13))
    with pytest.raises(dc.DecodeError, match=r"13\.jpg \(50×30 pixels, more than max_pixels=1499\)"):
        epoch(make(folder, kind, tmp_path / "bad.jsonl", max_pixels=1499, on_error="raise"))
    assert len(epoch(make(folder, kind, tmp_path / "bad.jsonl", max_pixels=1500, on_error="raise"))) == 40
