"""Copies of a loader: refused in words that help, without damage to the original."""

import copy
import os
import pickle

import pytest
import torch

import dali_cutmix as dc
from tests.helpers.loaders import epoch_of, flat, label_loader

HINT = "holds operating-system resources and cannot be copied or pickled; keep the loader out of what is copied"


class Holder(torch.nn.Module):
    """A module that keeps its loader, as users' Lightning modules do."""

    def __init__(self, loader):
        super().__init__()
        self.loader = loader


@pytest.mark.parametrize(
    "wrap",
    [lambda loader: loader, iter, Holder, dc.AllRanks, lambda loader: Holder(iter(loader))],
    ids=["loader", "pass", "module", "all ranks", "module with a pass"],
)
@pytest.mark.parametrize("act", [copy.deepcopy, pickle.dumps])
def test_a_loader_cannot_be_copied_and_is_not_harmed(numbered_folder, wrap, act):
    loader = label_loader(numbered_folder(10), 4, shuffle=False)
    with pytest.raises(TypeError, match=HINT):
        act(wrap(loader))
    # What a failed copy closed would now be somebody else's file.
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    loader.load_state_dict(loader.state_dict())
    assert flat(epoch_of(loader)) == list(range(10))
    for descriptor in descriptors:
        os.close(descriptor)
