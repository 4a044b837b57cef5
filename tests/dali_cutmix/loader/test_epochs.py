"""Epochs and shards: every sample once, whole batches in training, the same number of batches on every rank."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from pipelines import imagenet
from tests.helpers.loaders import epoch_of, flat, label_loader, own_reader_loader


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (12, 4), (9, 2), (5, 5), (7, 1)])
def test_a_training_epoch_has_whole_batches_and_repeats_nothing(numbered_folder, n, batch_size):
    loader = label_loader(numbered_folder(n), batch_size)
    assert len(loader) == n // batch_size
    assert loader.num_samples == len(loader) * batch_size
    for _ in range(4):
        batches = epoch_of(loader)
        assert [len(batch) for batch in batches] == [batch_size] * len(loader)
        assert len(set(flat(batches))) == loader.num_samples


def test_over_the_epochs_every_sample_has_its_turn(numbered_folder):
    loader = label_loader(numbered_folder(10), 4)
    assert {label for _ in range(8) for label in flat(epoch_of(loader))} == set(range(10))


@pytest.mark.parametrize("world_size", [2, 3])
def test_training_shards_are_disjoint_in_every_epoch_and_change_between_epochs(numbered_folder, world_size):
    loaders = [label_loader(numbered_folder(24), 4, shard=(rank, world_size)) for rank in range(world_size)]
    shards = [[set(flat(epoch_of(loader))) for loader in loaders] for _ in range(3)]
    for epoch in shards:
        assert sum(map(len, epoch)) == len(set().union(*epoch)) == 24
    assert shards[0] != shards[1] != shards[2], "samples wander from shard to shard"


@pytest.mark.parametrize(("n", "world_size"), [(23, 3), (10, 4)])
def test_uneven_training_shards_have_the_same_number_of_batches(numbered_folder, n, world_size):
    loaders = [label_loader(numbered_folder(n), 2, shard=(rank, world_size)) for rank in range(world_size)]
    assert {len(loader) for loader in loaders} == {n // world_size // 2}
    for _ in range(5):
        epoch = flat([label for loader in loaders for label in epoch_of(loader)])
        assert len(epoch) == len(set(epoch)) == n // world_size // 2 * 2 * world_size


def test_the_order_comes_from_the_seed_and_changes_with_every_epoch(numbered_folder):
    root = numbered_folder(24)
    first, second = ([epoch_of(loader) for _ in range(3)] for loader in (label_loader(root, seed=7) for _ in "ab"))
    assert first == second
    assert first[0] != first[1] != first[2]
    other = label_loader(root, seed=8)
    assert epoch_of(other) != first[0], "the first epoch"
    assert epoch_of(other) != first[1], "and the later ones"


def test_the_first_batches_of_a_sorted_folder_are_well_mixed(tmp_path):
    """1,500 files in 3 classes, more than DALI's shuffling buffer: every batch of the first epoch has all classes."""
    for label in range(3):
        (tmp_path / str(label)).mkdir()
        for i in range(500):
            (tmp_path / str(label) / f"{i:03d}.jpg").write_bytes(b"not decoded here")
    batches = epoch_of(label_loader(tmp_path, 50))
    counts = np.array([np.bincount(batch, minlength=3) for batch in batches])
    assert counts.min() >= 5
    assert counts.max() <= 32


COMBINATIONS = [
    (n, world_size, batch_size)
    for n in (1, 2, 5, 8, 13)
    for world_size in (1, 2, 3, 5)
    for batch_size in (1, 3, 4, 20)
    if n >= world_size
]


@pytest.mark.parametrize(("n", "world_size", "batch_size"), COMBINATIONS)
def test_evaluation_gives_every_sample_exactly_once(numbered_folder, n, world_size, batch_size):
    loaders = [
        label_loader(numbered_folder(n), batch_size, shuffle=False, shard=(rank, world_size))
        for rank in range(world_size)
    ]
    assert len({len(loader) for loader in loaders}) == 1, "ranks would wait for each other"
    for _ in range(2):
        epochs = [epoch_of(loader) for loader in loaders]
        assert [len(epoch) for epoch in epochs] == [len(loader) for loader in loaders]
        assert [len(flat(epoch)) for epoch in epochs] == [loader.num_samples for loader in loaders]
        assert flat([flat(epoch) for epoch in epochs]) == list(range(n)), "in sorted order"


def test_a_shard_that_is_one_smaller_may_end_with_an_empty_batch(numbered_folder):
    loaders = [imagenet.val(numbered_folder(3), batch_size=1, size=8, shard=(r, 2), device="cpu") for r in (0, 1)]
    assert [[len(labels) for _, labels in loader] for loader in loaders] == [[1, 0], [1, 1]]
    images, labels = list(loaders[0])[-1]
    assert images.shape == (0, 3, 8, 8)
    assert labels.shape == (0,)


def test_drop_last_may_be_chosen(numbered_folder):
    dropping = label_loader(numbered_folder(10), 4, shuffle=False, loader={"drop_last": True})
    assert epoch_of(dropping) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert epoch_of(dropping) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    keeping = label_loader(numbered_folder(10), 4, loader={"drop_last": False})
    assert len(keeping) == 3
    for _ in range(2):
        assert sorted(flat(epoch_of(keeping))) == list(range(10))


def test_the_classes_are_the_folders(colour_folder):
    loader = imagenet.val(colour_folder, batch_size=50, size=8, resize=8, device="cpu")
    assert loader.classes == tuple(f"class{i:02d}" for i in range(12))
    assert loader.num_classes == 12


def test_a_reader_of_ones_own_will_do(numbered_folder):
    loader = own_reader_loader(numbered_folder(10))
    assert loader.classes == ()
    assert [labels.flatten().tolist() for (labels,) in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_empty_last_batch_adds_nothing_to_a_sum_of_losses(photo_folder):
    """24 photos in 5 shards: 4 on rank 0, in whole batches, and 5 on others."""
    val = imagenet.val(photo_folder, batch_size=4, size=8, resize=8, device="cpu", shard=(0, 5))
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))
    batches = list(val)
    assert [tuple(images.shape) for images, _ in batches] == [(4, 3, 8, 8), (0, 3, 8, 8)]
    losses = [cross_entropy(model(images), labels, reduction="sum") for images, labels in batches]
    assert losses[1] == 0
    assert torch.isclose(sum(losses) / val.num_samples, cross_entropy(model(batches[0][0]), batches[0][1]))
    assert cross_entropy(model(batches[1][0]), batches[1][1]).isnan()
