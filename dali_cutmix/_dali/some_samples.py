"""A function that some samples pass through. Uses DALI's private names, as ``pipeline_template`` does."""

from collections.abc import Callable
from typing import Any

import numpy as np
from nvidia.dali import fn

_conditional: Any = getattr(fn, "_conditional")  # noqa: B009  (it is in no stub)


def change_some(condition: Any, samples: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Pass some samples through a function; the others go by without a copy.

        samples ─▶ split ─┬─▶ function ─▶ merge ─▶
                          └──────────────▶

    Args:
        condition: a node of booleans on the CPU: which samples.
        samples: a node on the CPU.
        function: makes a sample of the same type and number of dimensions from one.
    """
    some, others = _conditional.split(samples, predicate=condition)
    changed = fn.python_function(some, function=function)
    return _conditional.merge(changed, others, predicate=condition)
