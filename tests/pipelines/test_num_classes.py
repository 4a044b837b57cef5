"""``num_classes`` of the pipelines reaches the verb that reads, where it is given and the verb takes it."""

from functools import partial

import pytest

import dali_cutmix as dc
from pipelines import cifar, cub, imagenet

HOW = {"batch_size": 4, "device": "cpu", "num_threads": 1}
TRAIN = {
    "imagenet": partial(imagenet.train, size=16, fused=False, **HOW),
    "imagenet-fused": partial(imagenet.train, size=16, **HOW),
    "imagenet-augmented": partial(imagenet.train, size=16, augment=lambda images: images, **HOW),
    "cifar": partial(cifar.train, size=16, **HOW),
    "cub": partial(cub.train, size=16, resize=20, **HOW),
}


@pytest.fixture
def paths(photo_folder):
    return sorted(photo_folder.glob("*/*.jpg"))


@pytest.fixture
def multi_labels(paths):
    """Samples with labels 0 to 3 of 80 classes."""
    return [(path, [number % 3, 3]) for number, path in enumerate(paths)]


@pytest.mark.parametrize("name", TRAIN)
def test_multi_label_samples_get_their_number_of_classes_from_train(multi_labels, name):
    loader = TRAIN[name](partial(dc.read_files, multi_labels), num_classes=80, mix=None, flip=0)
    _, targets = next(iter(loader))
    assert targets.shape == (4, 80)
    assert targets.sum(1).tolist() == [2] * 4
    assert targets[:, 3].tolist() == [1] * 4


@pytest.mark.parametrize("name", TRAIN)
def test_a_number_of_classes_within_the_partial_stays_where_train_has_none(multi_labels, name):
    _, targets = next(iter(TRAIN[name](partial(dc.read_files, multi_labels, num_classes=7), mix=None)))
    assert targets.shape == (4, 7)


def test_val_hands_on_what_it_is_given_and_leaves_the_partials_number_as_it_is(multi_labels):
    def shape(number, **within):
        read = partial(dc.read_files, multi_labels, **within)
        return next(iter(imagenet.val(read, size=16, resize=20, num_classes=number, **HOW)))[1].shape

    assert shape(80) == (4, 80)
    assert shape(None, num_classes=7) == (4, 7)
    assert shape(80, num_classes=7) == (4, 80)
    assert shape(None) == (4, 4)


@pytest.mark.parametrize("name", TRAIN)
@pytest.mark.parametrize("number", [None, 9])
def test_a_function_of_ones_own_need_not_take_the_number(photo_folder, name, number):
    def read(*, shard, seed):
        return dc.read_folder(photo_folder, shard=shard, seed=seed)

    _, targets = next(iter(TRAIN[name](read, num_classes=number)))
    assert targets.shape == (4, number or 4)


def test_a_function_of_ones_own_for_val_need_not_take_the_number_either(photo_folder):
    def read(*, shard, shuffle):
        return dc.read_folder(photo_folder, shard=shard, shuffle=shuffle)

    loader = imagenet.val(read, size=16, resize=20, **HOW)
    assert loader.num_samples == 24
    with pytest.raises(TypeError, match="num_classes"):
        imagenet.val(read, size=16, resize=20, num_classes=4, **HOW)


def test_a_function_that_takes_any_argument_gets_the_number(photo_folder):
    seen = []

    def read(**options):
        seen.append(options.get("num_classes"))
        return dc.read_folder(photo_folder, **options)

    for number in (None, 9):
        imagenet.train(read, size=16, num_classes=number, **HOW)
    assert seen == [None, 9]
