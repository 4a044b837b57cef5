"""Exponential moving average of a model's weights, updated without waiting for the device."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A copy of a model whose weights are a moving average of the original's.

    torch's ``AveragedModel`` reads a counter on the device at every update, which makes the host wait; this class gets
    the step from the caller. Parameters and floating-point buffers (batch norm's statistics) are averaged, integer
    buffers are copied.

    Example::

        >>> model = nn.Linear(2, 1)
        >>> ema = Ema(model, decay=0.99)
        >>> ema.update(model, step=0)   # after each step of the optimizer

    Args:
        model: the model to average.
        decay: weight of the old average in each update. It is at most (1+step)/(10+step), so that the random initial
            weights soon lose their influence.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the average with ``model``, after the step of this number (counted from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        pairs = zip(self.model.state_dict().values(), model.state_dict().values(), strict=True)
        averages, values = [], []
        for average, value in pairs:
            if average.is_floating_point():
                averages.append(average)
                values.append(value)
            else:
                average.copy_(value)
        torch._foreach_lerp_(averages, values, weight)
