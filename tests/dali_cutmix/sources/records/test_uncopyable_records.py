"""Readers of record files own open files: they are not copied, and an attempt leaves them whole."""

import copy
import pickle

import pytest

from dali_cutmix.sources import RecordIO, Source
from tests.helpers.records import write_recordio


@pytest.fixture
def records(tmp_path, samples):
    found = RecordIO([write_recordio(tmp_path, samples, index=True)])
    found.read(0)
    return found


@pytest.mark.parametrize("attempt", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_of_the_records_or_their_open_file_is_refused_and_they_are_read_on(records, samples, attempt):
    opened = records._open(records.paths[0])
    for owner in (records, opened):
        with pytest.raises(TypeError, match=r"cannot be copied or pickled; keep the loader out of .*state_dict\(\)"):
            attempt(owner)
    del opened
    assert [records.read(number)[0].tobytes() for number in range(24)] == [jpeg for jpeg, _ in samples]


@pytest.mark.parametrize("attempt", [copy.deepcopy, pickle.dumps])
def test_a_copy_of_a_source_over_them_is_refused(records, samples, attempt):
    source = Source(records)
    with pytest.raises(TypeError, match="RecordIO holds operating-system resources and cannot be copied or pickled"):
        attempt({"source": source})
    assert source.encoded(3).tobytes() == samples[3][0]
