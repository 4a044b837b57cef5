"""Indexes beside record files: numbers are checked against the file before use; what is wrong is named."""

import os
from functools import partial

import numpy as np
import pytest
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.record_loaders import KINDS, delivered, written

BIG = "99999999999999999999"


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def first_index(folder):
    return sorted(folder.glob("*.idx"))[0]


def change(kind, lines, offset, size):
    """Other numbers for the third sample of an index."""
    words = lines[3 if kind == "webdataset" else 2].split()
    at_offset, at_size = {"webdataset": (1, 2), "tfrecord": (0, 1), "recordio": (1, None)}[kind]
    for place, value in ((at_offset, offset), (at_size, size)):
        if None not in (place, value):
            words[place] = str(value)
    return [*lines[: 3 if kind == "webdataset" else 2], " ".join(words), *lines[4 if kind == "webdataset" else 3 :]]


OUTSIDE = [(BIG, None), (None, BIG), (2**63 - 1, None), (None, 2**63 - 1), (2**62, 2**62), (-512, None), (None, -1)]
ODD = ["1_0", "٣", "9" * 5000, "+512", "0x10", "1e3"]


@pytest.mark.parametrize(
    ("offset", "size"),
    [*OUTSIDE, (512 * 10**5, 5), *((number, None) for number in ODD)],
    ids=lambda value: ascii(value)[:22],
)
def test_a_number_that_leads_out_of_the_file_is_refused_by_name(kind, tmp_path, samples, offset, size):
    read = written(kind, tmp_path, samples)
    index = first_index(tmp_path)
    if kind == "recordio" and offset is None:  # its index has no sizes
        offset = size
    lines = index.read_text().splitlines()
    index.write_text("\n".join([*change(kind, lines, offset, size), ""]))
    with pytest.raises(ValueError, match=rf"{index.stem}(\.idx|\.tar|\.rec|): ") as error:
        delivered(read)
    assert len(str(error.value)) < 600
    tally.count("bad")


def test_an_index_that_is_cut_off_at_a_line_loses_no_samples(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples)
    index = first_index(tmp_path)
    index.write_text("\n".join([*index.read_text().splitlines()[:-2], ""]))
    with pytest.raises(ValueError, match=r"samples would be lost|samples, its first line says"):
        delivered(read)
    tally.count("bad")


def change_index(kind, folder, change):
    """Change the lines of the first index, and let its first line count them; the index."""
    index = first_index(folder)
    lines = change(index.read_text().splitlines())
    if kind == "webdataset":
        lines[0] = f"v1.2 {len(lines) - 1}"
    index.write_text("\n".join([*lines, ""]))
    return index


def test_an_index_of_a_shorter_file_loses_no_samples(kind, tmp_path, samples):
    """Samples were added since; each line of the index is right."""
    read = written(kind, tmp_path, samples)
    index = change_index(kind, tmp_path, lambda lines: lines[:-2])
    with pytest.raises(ValueError, match=rf"{index.stem}(\.idx|\.rec)?: .*, so samples would be lost"):
        delivered(read)
    tally.count("bad")


@pytest.mark.parametrize("place", [0, 3], ids=["first", "middle"])
def test_a_line_that_an_index_lacks_is_no_sample_that_is_lost(kind, place, tmp_path, samples):
    if kind == "webdataset":
        pytest.skip("what is between two samples of a tar may be anything")
    read = written(kind, tmp_path, samples)
    change_index(kind, tmp_path, lambda lines: lines[:place] + lines[place + 1 :])
    with pytest.raises((ValueError, RuntimeError), match=r"so samples would be lost|that one would be lost"):
        delivered(read)
    tally.count("bad")


def test_a_line_that_an_index_has_twice_delivers_no_sample_twice(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples)
    change_index(kind, tmp_path, lambda lines: lines[:4] + lines[3:])
    with pytest.raises(ValueError, match=r"so samples would be lost"):
        delivered(read)
    tally.count("bad")


def test_an_index_that_is_no_file_is_not_opened(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples)
    index = first_index(tmp_path)
    index.unlink()
    os.mkfifo(index)
    assert delivered(read) == samples  # it is none, so the file is read without one


def test_a_record_file_that_is_a_fifo_is_refused(kind, tmp_path):
    name = {"webdataset": "a.tar", "tfrecord": "a.tfrecord", "recordio": "a.rec"}[kind]
    os.mkfifo(tmp_path / name)
    verb = {"webdataset": dc.read_webdataset, "tfrecord": dc.read_tfrecord, "recordio": dc.read_recordio}[kind]
    with pytest.raises((OSError, ValueError), match=r"a FIFO|no such"):
        delivered(partial(verb, tmp_path / name))
    tally.count("bad")


def test_random_damage_of_an_index_is_an_index_or_an_error_that_names_it(kind, tmp_path, samples):
    read = written(kind, tmp_path, samples)
    index = first_index(tmp_path)
    whole, rng, refused = index.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(len(content), size=rng.integers(1, 4)):
            content[at] = rng.choice([*b"0123456789 \n-.v\0\xff", rng.integers(256)])
        index.write_bytes(content)
        error = refusal(read)
        assert error is None or index.stem in error
        refused += error is not None
        tally.count("bad")
    assert refused > 10


def refusal(read):
    """Why no graph can be built over record files; what their samples hold is another matter."""

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        return read(shuffle=False)

    try:
        graph()
    except ValueError as error:
        return str(error)
    return None


def test_parts_of_a_record_without_the_others_are_refused(tmp_path, samples):
    """The records before and behind would be lost, or joined."""
    part = b"\x0a\x23\xd7\xce"
    for kinds in ([2], [3], [1, 0], [1, 1], [1], [4], [0, 3]):
        path = tmp_path / "a.rec"
        path.write_bytes(b"".join(part + (kind << 29 | 4).to_bytes(4, "little") + b"abcd" for kind in kinds))
        with pytest.raises(
            ValueError, match=r"a\.rec: (a part of a record without the others at byte|cut off at byte)"
        ):
            delivered(partial(dc.read_recordio, path))
        tally.count("bad")
