"""Nodes of a graph that is not built yet: what its outputs are, and which nodes one was made from.

Uses DALI's private names, as ``pipeline_template`` does.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from nvidia.dali import Pipeline

T = TypeVar("T")


def pipeline_outputs(pipeline: Pipeline) -> tuple[Any, ...]:
    """The nodes that a graph returns; none where it is defined only when it is built (a subclass of ``Pipeline``)."""
    return tuple(pipeline._graph_out or ())


def nearest(node: Any, marked: Mapping[str, T]) -> list[T]:
    """Find the marked nodes that a node was made from, without those behind another marked node.

        jpegs ─▶ [crop] ─▶ [mix] ─▶ blur ─▶ node        with crop and mix marked: the mix

    Only what an operator computes with counts (its inputs), not its arguments: a blur whose strength depends on other
    images is not made from them.

    Args:
        node: where to begin; it may be marked itself.
        marked: values by the names of the marked nodes.

    Returns:
        The value of each node that was found, in the order of the operators' inputs.
    """
    seen: set[str] = set()

    def search(nodes: list[Any]) -> Iterator[T]:
        while nodes:
            node = nodes.pop()
            name, source = getattr(node, "name", None), getattr(node, "source", None)
            if name is None or name in seen:
                continue
            seen.add(name)
            if name in marked:
                yield marked[name]
            elif source is not None:
                nodes += reversed(source.inputs[: source.spec.NumRegularInput()])

    return list(search([node]))
