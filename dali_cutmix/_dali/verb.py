"""Verbs of a graph, as DALI sees them."""

from collections.abc import Callable
from typing import Any, TypeVar

from nvidia.dali.pipeline import do_not_convert

F = TypeVar("F", bound=Callable[..., Any])


def verb(function: F) -> F:
    """Mark a function that adds nodes to a graph.

    With ``@pipeline_def(enable_conditionals=True)`` DALI rewrites the functions that a graph calls, so that an ``if``
    about a node becomes a conditional of the graph. A verb is left as it is written. Its signature and types stay.
    """
    do_not_convert(function)
    return function
