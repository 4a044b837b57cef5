"""Whole numbers may be NumPy's: batches and states are those of Python's. True and False are no numbers."""

import json
import re
from functools import partial

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from pipelines import cifar, cub, faster_rcnn, imagenet, ssd
from tests.helpers.annotated_images import painted
from tests.helpers.loaders import bits, label_loader

COMMON = {"batch_size": 4, "seed": 3, "num_threads": 1, "prefetch": 2, "max_pixels": 10**6, "shard": (0, 2)}
EVALUATION = {name: value for name, value in COMMON.items() if name != "seed"}
KINDS = {
    "imagenet": (
        partial(imagenet.train, fused=False),
        COMMON | {"size": 16, "num_classes": 5, "steps_per_epoch": 2, "preallocate": (64, 64)},
    ),
    "imagenet-fused": (imagenet.train, COMMON | {"size": 16, "num_classes": 5}),
    "imagenet-val": (imagenet.val, EVALUATION | {"size": 16, "resize": 20, "num_classes": 4}),
    "cifar": (cifar.train, COMMON | {"size": 16, "padding": 2}),
    "cub": (cub.train, COMMON | {"size": 16, "resize": 20}),
    "ssd": (ssd.train, COMMON | {"size": 32, "batch_size": 2}),
    "faster-rcnn": (faster_rcnn.train, COMMON | {"short_side": 32, "long_side": 40, "batch_size": 2}),
}


def as_numpy(value):
    return tuple(map(np.int64, value)) if isinstance(value, tuple) else np.int64(value)


@pytest.fixture
def root(kind_of_data, photo_folder, tmp_path):
    return painted(tmp_path, 12) if kind_of_data in ("ssd", "faster-rcnn") else photo_folder


@pytest.mark.parametrize("kind_of_data", KINDS)
def test_numpys_numbers_give_the_same_batches_and_states(kind_of_data, root):
    make, options = KINDS[kind_of_data]
    plain = make(root, device="cpu", **options)
    loader = make(root, device="cpu", **{name: as_numpy(value) for name, value in options.items()})
    assert bits(next(iter(loader))) == bits(next(iter(plain)))
    ours, theirs = (json.loads(json.dumps(one.state_dict())) for one in (loader, plain))
    assert ours["binding"] == theirs["binding"]
    plain.load_state_dict(ours)
    loader.load_state_dict(theirs)
    assert bits(next(iter(loader))) == bits(next(iter(plain)))


@pytest.mark.parametrize("name", ["batch_size", "size", "seed", "num_threads", "prefetch", "steps_per_epoch"])
def test_true_is_no_number(photo_folder, name):
    options = {"batch_size": 4, "size": 16, "device": "cpu", name: True}
    with pytest.raises(ValueError, match=rf"{name}=True given; .*whole number"):
        imagenet.train(photo_folder, **options)


@pytest.mark.parametrize("make", [imagenet.train, imagenet.val], ids=["train", "val"])
def test_true_is_no_number_of_classes(numbered_folder, make):
    with pytest.raises(ValueError, match="num_classes=True given; allowed is a whole number of at least 1"):
        make(numbered_folder(1), batch_size=1, size=8, device="cpu", num_classes=True)


def test_an_epoch_of_data_in_memory_is_counted_alike():
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        return fn.external_source(lambda info: np.int64(info.idx_in_epoch), batch=False)

    loader = dc.Loader(graph(), epoch_size=np.int64(5))
    assert len(loader) == 3
    assert json.loads(json.dumps(loader.state_dict()))["binding"]["total"] == 5
    with pytest.raises(ValueError, match="epoch_size=True given; allowed is a whole number of at least 1"):
        dc.Loader(graph(), epoch_size=True)


@pytest.mark.parametrize("seed", [True, "3", 1.5, np.True_], ids=repr)
def test_the_order_of_samples_takes_a_whole_number(numbered_folder, seed):
    with pytest.raises(ValueError, match=rf"seed={re.escape(repr(seed))} given; allowed is a whole number"):
        label_loader(numbered_folder(10), seed=seed)


@pytest.mark.parametrize("seed", [-1, 0, 2**40])
def test_any_whole_number_orders_the_samples(numbered_folder, seed):
    saved = label_loader(numbered_folder(10), seed=seed).state_dict()
    label_loader(numbered_folder(10), seed=np.int64(seed)).load_state_dict(json.loads(json.dumps(saved)))
