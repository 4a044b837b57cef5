"""TFRecord: missing features and noise are named by file and place."""

from functools import partial

import numpy as np
import pytest

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.record_loaders import loader_of
from tests.helpers.records import write_tfrecord


def test_a_missing_feature_is_named(tmp_path, samples):
    (path,) = write_tfrecord(tmp_path, samples, 30, index=False)
    told = r"record 0 \(it has no feature 'picture', only 'image/class/label', 'image/encoded', .*"
    with pytest.raises(dc.DecodeError, match=told):
        list(loader_of(partial(dc.read_tfrecord, path, image="picture"), "val"))
    with pytest.raises(dc.DecodeError, match=r"its label is 1, below first_label=2"):
        list(loader_of(partial(dc.read_tfrecord, path, first_label=2), "val"))
    with pytest.raises(dc.DecodeError, match=r"its feature 'x' is not an int64"):
        list(loader_of(partial(dc.read_tfrecord, path, label="x"), "val"))


def test_noise_in_a_record_is_a_bad_sample_and_no_crash(tmp_path, samples):
    (path,) = write_tfrecord(tmp_path, samples, 30, index=True)
    rng = np.random.default_rng(0)
    offset, size = np.array(path.with_suffix(".idx").read_text().split(), int).reshape(-1, 2)[4]
    for _ in range(30):
        with path.open("r+b") as file:
            file.seek(offset + 12)
            file.write(rng.bytes(size - 16))
        with pytest.raises(dc.DecodeError, match=r"record 4 \("):
            list(loader_of(partial(dc.read_tfrecord, path), "val", num_classes=5))
        tally.count("bad")
