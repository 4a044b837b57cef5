"""The moving average of the weights, against its recurrence."""

import torch
from torch import nn

from train.engine.ema import Ema


def test_follows_the_recurrence_and_copies_whole_numbers():
    torch.manual_seed(0)
    model = nn.BatchNorm1d(3)
    ema = Ema(model, decay=0.6)
    weight, mean = model.weight.detach().clone(), model.running_mean.clone()
    for step in range(20):
        model(torch.randn(8, 3) + 1)
        with torch.no_grad():
            model.weight.add_(torch.randn(3))
        ema.update(model, step)
        decay = min(0.6, (1 + step) / (10 + step))
        weight = decay * weight + (1 - decay) * model.weight.detach()
        mean = decay * mean + (1 - decay) * model.running_mean
    torch.testing.assert_close(ema.model.weight, weight)
    torch.testing.assert_close(ema.model.running_mean, mean)
    assert ema.model.num_batches_tracked == 20


def test_leaves_the_model_alone():
    model = nn.Linear(2, 2)
    ema = Ema(model, decay=0.9)
    before = model.weight.detach().clone()
    ema.update(model, 0)
    assert torch.equal(model.weight, before)
    assert model.weight.requires_grad
    assert not ema.model.weight.requires_grad
