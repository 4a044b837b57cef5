"""Boxes in float32 where the network computes in bfloat16."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def gives_float32(module: nn.Module) -> None:
    """Have a module return its tensors as float32, also under autocast.

    torchvision computes boxes in the type of what a head returns, and bfloat16 has eight bits: at 300 pixels a box
    would be right to two of them.
    """
    module.register_forward_hook(_in_float32)


def _in_float32(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
    return _float(outputs)


def _float(value: Any) -> Any:
    """Tensors alone, or in tuples, lists and dictionaries."""
    match value:
        case Tensor():
            return value.float()
        case dict():
            return {name: _float(one) for name, one in value.items()}
        case _:
            return type(value)(map(_float, value))
