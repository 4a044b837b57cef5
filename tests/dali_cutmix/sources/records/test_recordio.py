"""RecordIO: read and written in MXNet's layout, labels as whole numbers."""

from functools import partial

import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.sources import recordio
from tests.helpers import tally
from tests.helpers.bad_files import photo
from tests.helpers.record_loaders import delivered, loader_of
from tests.helpers.records import MAGIC, by_dali, record, write_recordio


def test_a_record_that_holds_the_magic_number_is_put_together_again(tmp_path):
    content = photo()
    assert len(record(content, 1, 0)) % 4 == 0
    samples = [(content + bytes(-(24 + len(content)) % 4) + MAGIC * 3 + b"abc" + MAGIC, 1), (MAGIC + content, 2)]
    for index in (True, False):
        assert delivered(partial(dc.read_recordio, write_recordio(tmp_path, samples, index))) == samples


def test_of_several_labels_the_first_counts(tmp_path, samples):
    path = write_recordio(tmp_path, samples, True, labels=(3.0, 1.5))
    assert delivered(partial(dc.read_recordio, path)) == [(jpeg, 3) for jpeg, _ in samples]


def test_a_label_that_is_no_whole_number_is_named(tmp_path, samples):
    path = write_recordio(tmp_path, [(samples[0][0], 0.5)], True)
    with pytest.raises(dc.DecodeError, match=r"record 0 \(its label is 0\.5; it must be a whole number"):
        list(loader_of(partial(dc.read_recordio, path), "val", batch_size=1))
    tally.count("bad")


@pytest.fixture
def awkward():
    """Samples whose records hold the magic number where it must be cut out, and where it must not."""
    content = [b"", b"x", b"abc" * 50, MAGIC, MAGIC * 3, b"12" + MAGIC, b"1234" + MAGIC + b"56" + MAGIC + b"78" + MAGIC]
    return [(encoded, label) for label, encoded in enumerate(content)]


def test_what_is_written_is_read_again(tmp_path, samples, awkward):
    recordio.write_recordio(tmp_path / "a.rec", [*samples, *awkward])
    read = partial(dc.read_recordio, tmp_path / "a.rec")
    assert delivered(read) == [*samples, *awkward]
    (tmp_path / "a.idx").unlink()
    assert delivered(read) == [*samples, *awkward]


def test_what_is_written_is_what_dalis_own_reader_and_mxnets_layout_have(tmp_path, samples, awkward):
    recordio.write_recordio(tmp_path / "ours.rec", [*samples, *awkward])
    theirs = write_recordio(tmp_path, [*samples, *awkward], index=True)
    for ending in (".rec", ".idx"):
        assert (tmp_path / "ours").with_suffix(ending).read_bytes() == theirs.with_suffix(ending).read_bytes()

    @pipeline_def(batch_size=len(samples), num_threads=1, device_id=None)
    def graph():
        return tuple(fn.readers.mxnet(path=[str(tmp_path / "ours.rec")], index_path=[str(tmp_path / "ours.idx")]))

    assert by_dali(graph()) == samples


@pytest.mark.parametrize("label", [-1, 2**24 + 1, 0.5, "cat", None])
def test_a_label_that_float32_does_not_hold_is_not_written(tmp_path, label):
    with pytest.raises(ValueError, match=rf"a\.rec, record 1: label {label!r} with 1 bytes given; .*0 to 16777216"):
        recordio.write_recordio(tmp_path / "a.rec", [(b"x", 0), (b"x", label)])


def test_a_sample_too_large_for_a_record_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(recordio, "_LENGTH", 1000)
    with pytest.raises(ValueError, match=r"record 0: label 0 with 1001 bytes given; .*976 bytes at most"):
        recordio.write_recordio(tmp_path / "a.rec", [(b"x" * 1001, 0)])
