"""Errors of reads and writes name their file."""

import errno

import pytest

from dali_cutmix.utils import naming


def test_an_error_without_a_file_gets_one():
    with pytest.raises(PermissionError) as raised, naming("/data/a.jpg"):
        raise OSError(errno.EACCES, "Permission denied")
    assert str(raised.value) == "[Errno 13] Permission denied: '/data/a.jpg'"


def test_an_error_keeps_the_file_that_it_names():
    with pytest.raises(OSError, match="'/elsewhere'"), naming("/data/a.jpg"):
        raise OSError(errno.EIO, "Input/output error", "/elsewhere")


def test_other_errors_pass():
    with pytest.raises(OSError, match="^in words$"), naming("/data/a.jpg"):
        raise OSError("in words")
    with pytest.raises(ValueError, match="^3$"), naming("/data/a.jpg"):
        raise ValueError(3)
