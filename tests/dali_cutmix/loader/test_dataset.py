"""What tools that know PyTorch's DataLoader find on a loader: each attribute has a true answer or is not there."""

import pytest

import dali_cutmix as dc
from tests.helpers.loaders import label_loader


@pytest.mark.parametrize("wrap", [lambda loader: loader, dc.AllRanks], ids=["Loader", "AllRanks"])
@pytest.mark.parametrize(("rank", "own"), [(0, 3), (1, 3), (2, 4)])
def test_the_dataset_counts_the_samples_of_all_ranks_and_the_sampler_those_of_one(numbered_folder, wrap, rank, own):
    loader = wrap(label_loader(numbered_folder(10), 2, shuffle=False, shard=(rank, 3)))
    assert len(loader.dataset) == 10
    assert (loader.batch_size, loader.drop_last, len(loader), loader.num_samples) == (2, False, 2, own)
    sampler = loader.batch_sampler.sampler
    assert (sampler.num_replicas, sampler.rank, len(sampler)) == (3, rank, own)
    assert (loader.batch_sampler.batch_size, loader.batch_sampler.drop_last, len(loader.batch_sampler)) == (2, False, 2)
    assert sum(len(labels) for (labels,) in loader) == own


def test_training_drops_the_last_batch_and_says_so(numbered_folder):
    loader = label_loader(numbered_folder(10), 4)
    assert loader.drop_last
    assert len(loader.dataset) == 10
    assert len(loader.batch_sampler.sampler) == sum(len(labels) for (labels,) in loader) == 8


def test_the_dataset_names_its_classes_as_torchvision_does(photo_folder):
    from torchvision.datasets import ImageFolder

    dataset, theirs = label_loader(photo_folder).dataset, ImageFolder(str(photo_folder))
    assert len(dataset) == len(theirs)
    assert list(dataset.classes) == theirs.classes
    assert dataset.class_to_idx == theirs.class_to_idx
    assert repr(dataset) == "LoaderDataset(24 samples, 4 classes)"


def test_the_dataset_is_neither_indexed_nor_iterated(numbered_folder):
    dataset = label_loader(numbered_folder(10)).dataset
    with pytest.raises(TypeError, match="'LoaderDataset' object is not subscriptable"):
        dataset[0]
    with pytest.raises(TypeError, match="'LoaderDataset' object is not iterable"):
        iter(dataset)


@pytest.mark.parametrize("wrap", [lambda loader: loader, dc.AllRanks], ids=["Loader", "AllRanks"])
def test_a_sampler_is_not_there_and_the_error_says_what_is(numbered_folder, wrap):
    loader = wrap(label_loader(numbered_folder(10)))
    assert not hasattr(loader, "sampler")
    with pytest.raises(AttributeError, match=r"no sampler.* use loader\.set_epoch.*skip_first_batches.* use .*islice"):
        loader.sampler  # noqa: B018
