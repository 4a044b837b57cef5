"""A choice between two nodes, for each sample. Uses DALI's private names, as ``pipeline_template`` does."""

from typing import Any

from nvidia.dali import fn

_conditional: Any = getattr(fn, "_conditional")  # noqa: B009  (it is in no stub)


def choose(condition: Any, if_true: Any, if_false: Any) -> Any:
    """Take each sample from one of two nodes, without a copy.

    Args:
        condition: a node of booleans on the CPU.
        if_true, if_false: nodes of one type and number of dimensions.
    """
    yes, _ = _conditional.split(if_true, predicate=condition)
    _, no = _conditional.split(if_false, predicate=condition)
    return _conditional.merge(yes, no, predicate=condition)
