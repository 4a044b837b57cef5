"""Records: webdataset, TFRecord and RecordIO as DALI reads them, shuffled as folders are; damage is named."""

import json
import os
from functools import partial

import pytest
from nvidia.dali import fn, pipeline_def, tfrecord

import dali_cutmix as dc
from dali_cutmix.sources import record_files
from tests.helpers import tally
from tests.helpers.record_loaders import KINDS, delivered, loader_of, written
from tests.helpers.records import by_dali, write_recordio


@pytest.mark.parametrize("kind", KINDS)
def test_every_sample_once_in_the_files_order(kind, tmp_path, samples, index):
    assert delivered(written(kind, tmp_path, samples, index)) == samples


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_dalis_own_readers_read(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples)

    @pipeline_def(batch_size=24, num_threads=1, device_id=None)
    def theirs():
        files = [str(path) for path in sorted(tmp_path.iterdir()) if path.suffix != ".idx"]
        indexes = [str(path) for path in sorted(tmp_path.glob("*.idx"))]
        match kind:
            case "webdataset":
                jpeg, digits = fn.readers.webdataset(paths=files, ext=["jpg", "cls"])  # its index allows no spaces
                return jpeg, digits - ord("0")
            case "tfrecord":
                features = {
                    "image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
                    "image/class/label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1),
                }
                found = fn.readers.tfrecord(path=files, index_path=indexes, features=features)
                return found["image/encoded"], found["image/class/label"] - 1
            case "recordio":
                return tuple(fn.readers.mxnet(path=files, index_path=indexes))

    assert delivered(read) == by_dali(theirs())


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_the_folder_bit_for_bit(kind, tmp_path, samples, photo_folder):
    """Same samples in the same order: the format changes nothing, through shuffled epochs and mixing."""
    folder, other = (loader_of(root) for root in (photo_folder, written(kind, tmp_path, samples)))
    for _ in range(3):
        for ours, theirs in zip(other, folder, strict=True):
            assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["train", "val"])
def test_it_goes_on_bit_for_bit_from_every_position(kind, how, tmp_path, samples):
    make = partial(loader_of, written(kind, tmp_path, samples), how)
    reference, states, batches = make(), [], []
    for _ in range(2):
        for batch in reference:
            states.append(json.dumps(reference.state_dict()))
            batches.append([tensor.numpy().tobytes() for tensor in batch])
    for i, saved in enumerate(states[:-1]):
        resumed = make()
        resumed.load_state_dict(json.loads(saved))
        assert [tensor.numpy().tobytes() for tensor in next(iter(resumed))] == batches[i + 1]
        tally.count("resumes")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_evaluation_gives_every_sample_once_over_the_ranks(kind, tmp_path, samples, world_size):
    read = written(kind, tmp_path, samples)
    ranks = [loader_of(read, "val", shard=(rank, world_size)) for rank in range(world_size)]
    assert len({len(loader) for loader in ranks}) == 1
    assert [n for loader in ranks for _, labels in loader for n in labels.tolist()] == [n for _, n in samples]


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_of_other_files_is_refused(kind, tmp_path, samples):
    saved = loader_of(written(kind, tmp_path / "a", samples)).state_dict()
    other = loader_of(written(kind, tmp_path / "b", [*samples[:-1], (samples[-1][0][:-5], 3)]))
    with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved, '[0-9a-f]+' here"):
        other.load_state_dict(saved)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_sample_is_named_by_its_file_and_place_and_replaced(kind, tmp_path, samples):
    spoiled = [(b"this is no picture" * 20, n) if i == 13 else (jpeg, n) for i, (jpeg, n) in enumerate(samples)]
    read = written(kind, tmp_path / "data", spoiled)
    named = {
        "webdataset": r"train-001\.tar: class 2/00013\.jpg",
        "tfrecord": r"train-00001-of-00009: record 3",
        "recordio": r"train\.rec: record 13",
    }[kind]
    told = rf"decoded: \S+/{named} \(not an image: .*\. Write its file again without it"
    with pytest.raises(dc.DecodeError, match=told):
        list(loader_of(read, "val"))
    loader = loader_of(read, "val", on_error="replace", max_bad=0.1, bad_log=tmp_path / "bad.jsonl")
    labels = [n for _, batch in loader for n in batch.tolist()]
    tally.assert_none_lost([n for i, (_, n) in enumerate(samples) if i != 13], labels)
    assert len(labels) == 24
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    tally.count("bad")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_shrinks_while_it_is_read_is_an_error_and_no_crash(kind, tmp_path, samples):
    loader = loader_of(written(kind, tmp_path, samples), "val", batch_size=2, prefetch=1, retry=0)
    next(iter(loader))
    for path in tmp_path.iterdir():
        os.truncate(path, 600)
    with pytest.raises(dc.StorageError, match=r"cannot be read: .* \(the file is shorter than its index says; copy it"):
        list(loader)
    tally.count("bad")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_named_before_anything_is_read(kind, tmp_path, samples, index):
    read = written(kind, tmp_path, samples, index)
    path = sorted(path for path in tmp_path.iterdir() if path.suffix != ".idx")[0]
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match=rf"{path.name}: .*cut off"):
        delivered(read)
    tally.count("bad")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_such_file_is_named(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples, index=False)
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(b"this is something else altogether, " * 40)
    with pytest.raises(ValueError, match=rf"{path.name}: "):
        delivered(read)
    tally.count("bad")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content", [b"v1.2 nine\n", b"1 2 3\n", b"v1.2 2\njpg 0 10 a.jpg\n", b"\xff\xfe \xfa", b"-1 -5\n"]
)
def test_a_damaged_index_is_named(kind, tmp_path, samples, content):
    read = written(kind, tmp_path, samples)
    path = sorted(tmp_path.glob("*.idx"))[0]
    path.write_bytes(content)
    told = rf"{path.name}: not an index written by .*, or damaged .*remove it: the (tar|file)"
    with pytest.raises(ValueError, match=told):
        delivered(read)
    tally.count("bad")


@pytest.mark.parametrize("verb", [dc.read_webdataset, dc.read_tfrecord, dc.read_recordio])
def test_missing_files_and_none_are_refused(verb, tmp_path):
    for paths, error, message in [
        (str(tmp_path / "x.tar"), FileNotFoundError, "x.tar: no such"),
        (str(tmp_path / "*.tar"), FileNotFoundError, "no file matches"),
        ([], ValueError, "no path given; give at least one"),
        ("s3://bucket/x.tar", ValueError, "on S3 only single images are read, from a list by read_files"),
    ]:
        with pytest.raises(error, match=message):
            delivered(partial(verb, paths))


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_number_of_classes_mixing_asks_for_it(kind, tmp_path, samples):
    with pytest.raises(ValueError, match="num_classes=None given, and the data does not say it"):
        loader_of(written(kind, tmp_path, samples), num_classes=None)
    assert loader_of(written(kind, tmp_path, samples), "val", num_classes=None).num_classes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_above_the_classes_is_named(kind, tmp_path, samples):
    with pytest.raises(dc.DecodeError, match=r"its label is 3; labels are 0 to 2 \(num_classes=3\)"):
        list(loader_of(written(kind, tmp_path, samples), num_classes=3, fused=False))


@pytest.mark.parametrize("kind", ["tfrecord", "recordio"])
def test_patterns_do_not_mean_indexes_and_an_index_may_have_either_name(kind, tmp_path, samples):
    written(kind, tmp_path, samples)
    for index in tmp_path.glob("*.idx"):
        file = next(path for path in tmp_path.iterdir() if path.with_suffix(".idx") == index and path != index)
        index.rename(file.with_name(f"{file.name}.idx"))
    verb = {"tfrecord": partial(dc.read_tfrecord, first_label=1), "recordio": dc.read_recordio}[kind]
    assert delivered(partial(verb, str(tmp_path / "train*"))) == samples


def test_more_files_than_are_kept_open(tmp_path, samples, monkeypatch):
    monkeypatch.setattr(record_files, "_OPEN_FILES", 1)
    assert delivered(written("tfrecord", tmp_path, samples)) == samples


def test_classes_of_records_may_be_named(tmp_path, samples):
    path = write_recordio(tmp_path, samples, True)
    names = ["ant", "bee", "cat", "dog"]
    loader = loader_of(partial(dc.read_recordio, path, classes=names), num_classes=None)
    assert loader.classes == tuple(names)
    assert loader.num_classes == 4
    assert next(iter(loader))[1].shape == (7, 4)
    assert loader_of(partial(dc.read_recordio, path)).classes == ()


def test_a_state_of_other_class_names_is_refused(tmp_path, samples):
    path = write_recordio(tmp_path, samples, True)
    one, two = (loader_of(partial(dc.read_recordio, path, classes=names)) for names in ("abcd", "abdc"))
    with pytest.raises(ValueError, match=r"files: '[0-9a-f]+' saved, '[0-9a-f]+' here"):
        two.load_state_dict(one.state_dict())


@pytest.mark.parametrize("fused", [True, False])
def test_fewer_names_than_labels_are_noticed_at_the_label_that_has_none(tmp_path, samples, fused):
    read = partial(dc.read_recordio, write_recordio(tmp_path, samples, True), classes="abc")
    with pytest.raises(dc.DecodeError, match=r"its label is 3; labels are 0 to 2 \(num_classes=3\)"):
        list(loader_of(read, num_classes=None, fused=fused))
