"""An exponential moving average of a model's weights, updated without waiting for the device."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A copy of a model whose weights follow the original slowly.

    torch's ``AveragedModel`` reads a counter on the device at every update, which stops the host; this one
    takes the step from the caller. Parameters and floating-point buffers (batch norm's statistics) are
    averaged, whole numbers are copied.

    Args:
        model: the model to follow.
        decay: share of the average that stays at each step. It is held below (1+step)/(10+step), so that the
            random weights of the start are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards ``model``, after the step with this number (counted from 0)."""
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
