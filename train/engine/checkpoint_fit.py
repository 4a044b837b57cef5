"""Whether the parts of a checkpoint fit a run; checked before any of them is loaded, since loading cannot be undone."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

IMPLEMENTATION = {"foreach", "fused", "capturable", "differentiable"}
"""Options of an optimizer that only say how PyTorch computes, and may differ between its versions."""
MOMENTS = {"SGD": {"momentum_buffer"}, "Adam": {"step", "exp_avg", "exp_avg_sq"}}
"""What each optimizer keeps for a parameter."""


def check_weights(saved: dict[str, Tensor], model: nn.Module, *, same_types: bool = True) -> None:
    """Refuse weights with other names or shapes than a model's.

    Args:
        saved: the weights.
        model: the model.
        same_types: refuse other types, too.

    Raises:
        ValueError: the message names a tensor.
    """
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in saved:
            raise ValueError(f"it has no {name}")
        if saved[name].shape != tensor.shape or (same_types and saved[name].dtype != tensor.dtype):
            raise ValueError(f"{name} is {_described(saved[name])}, in the model {_described(tensor)}")
    if unknown := [name for name in saved if name not in own]:
        raise ValueError(f"the model has no {unknown[0]}")


def fitting_state(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of an optimizer in a checkpoint, with this optimizer's value of each option that an older one lacks.

    Raises:
        ValueError: it is the state of an optimizer with other options or parameters.
    """
    own = optimizer.state_dict()["param_groups"]
    groups, state = saved.get("param_groups"), saved.get("state")
    if not (isinstance(groups, list) and len(groups) == len(own) and all(isinstance(group, dict) for group in groups)):
        raise ValueError(f"the optimizer's param_groups are not a list of {len(own)} dicts")
    for group, mine in zip(groups, own, strict=True):
        _check_group(group, mine)
    if not isinstance(state, dict):
        raise ValueError("the optimizer's state is not a dict")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    names = MOMENTS[type(optimizer).__name__]
    for number, moments in state.items():
        if type(number) is not int or not 0 <= number < len(parameters):
            raise ValueError(f"the optimizer's state is of a parameter {number!r}; there are {len(parameters)}")
        if not isinstance(moments, dict) or {*moments} != names:
            raise ValueError(f"the optimizer's state of parameter {number} is not {', '.join(sorted(names))}")
        for name, value in moments.items():
            if not _fits(value, name, parameters[number]):
                raise ValueError(f"the optimizer's {name} of parameter {number} does not have its shape")
    merged = [{**mine, **group} for group, mine in zip(groups, own, strict=True)]
    return {"state": state, "param_groups": merged}


def _check_group(group: dict[str, Any], own: dict[str, Any]) -> None:
    for name, value in group.items():
        if name == "lr":  # the schedule's: another one in each step
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise ValueError(f"the optimizer's lr is {value!r}, not a number of at least 0")
        elif name in own and name not in IMPLEMENTATION and not _equal(value, own[name]):
            raise ValueError(f"the optimizer's {name} is {value!r}, by the options it is {own[name]!r}")
    if "lr" not in group or "params" not in group:
        raise ValueError("the optimizer's param_groups lack lr or params")


def _equal(value: Any, own: Any) -> bool:
    return type(value) in (int, float, bool, tuple, list, type(None)) and bool(value == own)


def _fits(value: Any, name: str, parameter: Tensor) -> bool:
    if value is None:
        return name == "momentum_buffer"
    if not isinstance(value, Tensor) or value.layout != torch.strided or not value.is_floating_point():
        return False
    return value.shape == (torch.Size() if name == "step" else parameter.shape)


def check_rank(saved: dict[str, Any], device: torch.device) -> None:
    """Refuse the state of a process that is not as `train.engine.Run.save` writes it; the loader checks its own part.

    Raises:
        ValueError: something is missing or has another type or size.
    """
    loss_sum, rng = saved.get("loss_sum"), saved.get("rng")
    if not isinstance(saved.get("loader"), dict):
        raise ValueError("it has no state of the loader")
    if not isinstance(loss_sum, Tensor) or loss_sum.shape != () or loss_sum.dtype != torch.float64:
        raise ValueError("its loss_sum is not a number of 64 bits")
    if not isinstance(rng, dict) or "cpu" not in rng:
        raise ValueError("it has no state of the random numbers")
    for name in rng.keys() & {"cpu", device.type}:
        try:
            torch.Generator(device if name != "cpu" else "cpu").set_state(rng[name])
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"its state of the random numbers ({name}) is damaged") from error


def _described(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"
