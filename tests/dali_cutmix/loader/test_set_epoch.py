"""set_epoch: the next pass has the order of the epoch that is named, as with PyTorch's samplers."""

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from pipelines import imagenet
from tests.helpers.loaders import batches_of, bits, epoch_of, flat, label_loader, take


def test_set_epoch_gives_the_order_of_that_epoch(make, sequence):
    loader = make()
    for epoch in (3, 0, 0, 4):
        loader.set_epoch(epoch)
        assert loader.epoch == epoch
        assert epoch_of(loader) == sequence[6 * epoch : 6 * epoch + 6]


def test_set_epoch_is_called_as_for_a_distributed_sampler(make, sequence):
    """The same calls on PyTorch's: the same epoch gives the same order, also after a pass that was left early."""
    sampler = DistributedSampler(TensorDataset(torch.arange(26)), num_replicas=1, rank=0, drop_last=True)
    theirs = DataLoader(TensorDataset(torch.arange(26)), 4, sampler=sampler, drop_last=True)
    ours = make()
    orders = {"theirs": [], "ours": []}
    for epoch, kept in [(0, 6), (1, 2), (2, 6), (1, 2), (0, 6)]:
        sampler.set_epoch(epoch)
        orders["theirs"].append([labels.tolist() for (labels,) in islice(theirs, kept)])
        ours.set_epoch(epoch)
        orders["ours"].append(batches_of(ours, kept))
        assert orders["ours"][-1] == sequence[6 * epoch : 6 * epoch + kept]
    for found in orders.values():
        assert found[0] == found[4]
        assert found[1] == found[3]
        assert found[0] != found[2]


def test_set_epoch_keeps_the_shards_disjoint(numbered_folder):
    loaders = [label_loader(numbered_folder(24), 4, shard=(rank, 3)) for rank in range(3)]
    for epoch in (5, 2):
        for loader in loaders:
            loader.set_epoch(epoch)
        assert sorted(flat([flat(epoch_of(loader)) for loader in loaders])) == list(range(24))


def test_set_epoch_reaches_a_pass_whose_iterator_is_there_already(make, sequence):
    """Lightning makes the first iterator before it sets the epoch."""
    loader = make()
    batches = iter(loader)
    loader.set_epoch(2)
    assert [labels.tolist() for (labels,) in batches] == sequence[12:18]


def test_set_epoch_in_a_pass_is_for_the_next_one(make, sequence):
    loader = make()
    batches = iter(loader)
    found = [next(batches)[0].tolist()]
    loader.set_epoch(3)
    found += [labels.tolist() for (labels,) in batches]
    assert found == sequence[:6]
    assert epoch_of(loader) == sequence[18:24]
    assert epoch_of(loader) == sequence[24:30]


def test_set_epoch_leaves_a_resumed_pass_alone(make, sequence):
    saving = make()
    epoch_of(saving)
    batches_of(saving, 2)
    saved = saving.state_dict()
    for epoch, expected in [(1, sequence[8:12]), (2, sequence[12:18]), (0, sequence[:6])]:
        resumed = make()
        resumed.load_state_dict(saved)
        assert resumed.epoch == 1
        resumed.set_epoch(epoch)
        assert epoch_of(resumed) == expected
        assert resumed.epoch == epoch + 1


def test_set_epoch_of_virtual_epochs_is_the_number_of_the_pass(make, sequence):
    loader = make(loader={"steps_per_epoch": 4})
    for number in (0, 1, 4, 2):
        loader.set_epoch(number)
        assert epoch_of(loader) == sequence[4 * number : 4 * number + 4]


def test_set_epoch_does_not_change_evaluation(make):
    loader = make(shuffle=False)
    for epoch in (0, 7, 3):
        loader.set_epoch(epoch)
        assert flat(epoch_of(loader)) == list(range(26))
    batches_of(loader, 2)
    loader.set_epoch(4)
    assert flat(epoch_of(loader)) == list(range(26))


def test_set_epoch_that_says_what_comes_anyway_changes_nothing(photo_folder):
    def make():
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")

    told, untold = make(), make()
    for epoch in range(3):
        told.set_epoch(epoch)
        assert [bits(batch) for batch in told] == [bits(batch) for batch in untold]


@pytest.mark.parametrize("act", ["set_epoch", "restart", "steps"])
def test_a_state_after_a_jump_resumes_bit_for_bit(photo_folder, fused, act):
    options = {"restart": {"after_break": "restart"}, "steps": {"steps_per_epoch": 2}, "set_epoch": {}}[act]

    def make():
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", fused=fused, **options)

    loader = make()
    take(loader, 2)
    if act == "set_epoch":
        loader.set_epoch(5)
    batches = iter(loader)
    next(batches)
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    rest = [bits(batch) for batch in batches]
    assert [bits(batch) for batch in resumed] == rest
    assert [bits(batch) for batch in resumed] == [bits(batch) for batch in loader]


@pytest.mark.parametrize("epoch", [-1, 1.0, "2", None])
def test_an_epoch_is_a_whole_number(make, epoch):
    with pytest.raises(ValueError, match=f"epoch={epoch!r} given; allowed is a whole number from 0 to"):
        make().set_epoch(epoch)


def test_a_number_that_is_too_large_for_dali_is_refused(make):
    """It counts with 64 bits."""
    loader = make()
    largest = 2**62 // len(loader) - 1
    for number in (largest + 1, 2**64, 10**100):
        with pytest.raises(ValueError, match=f"epoch={number} given; allowed is a whole number from 0 to {largest}"):
            loader.set_epoch(number)
    loader.set_epoch(largest)
    assert len(epoch_of(loader)) == len(loader)
