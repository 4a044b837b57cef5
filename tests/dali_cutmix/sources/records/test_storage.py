"""Storage that fails while record files are read: short reads are completed, and the next try opens the file again."""

import errno
import os

import pytest

from dali_cutmix.sources import RecordIO, SampleError
from tests.helpers import tally
from tests.helpers.records import write_recordio


@pytest.fixture
def path(tmp_path, samples):
    return write_recordio(tmp_path, samples, index=True)


def test_short_reads_are_completed(path, samples, monkeypatch):
    """Network file systems may deliver less than was asked for."""
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda descriptor, buffers, at: whole(descriptor, [buffers[0][:100]], at))
    records = RecordIO([path])
    assert [records.read(number)[0].tobytes() for number in range(24)] == [jpeg for jpeg, _ in samples]


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
def test_an_error_of_the_storage_is_no_damage_and_the_next_try_opens_the_file_again(path, samples, monkeypatch, code):
    """A file handle of a server that was restarted stays stale for ever."""
    records = RecordIO([path])
    records.read(0)
    stale, whole = records._open(path), os.preadv

    def fails(descriptor, buffers, at):
        if descriptor == stale.descriptor:
            raise OSError(code, os.strerror(code))
        return whole(descriptor, buffers, at)

    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        records.read(3)
    assert caught.value.errno == code
    assert records.read(3)[0].tobytes() == samples[3][0]
    tally.count("bad")


def test_damage_is_no_error_of_the_storage(path):
    with path.open("r+b") as file:
        file.write(b"xxxx")
    with pytest.raises(SampleError) as caught:
        RecordIO([path]).read(0)
    assert not isinstance(caught.value, OSError)
    tally.count("bad")
