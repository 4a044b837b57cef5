"""Finish: make the batch from a graph's outputs, by functions that the user gives the Loader."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix._dali import pipeline_outputs
from dali_cutmix.fused import FusedMix
from dali_cutmix.loader.to_torch import Dtypes, to_tensors
from dali_cutmix.ops import notes

Function = Callable[..., tuple[Tensor, ...]]


def as_finish(given: Function | Sequence[FusedMix] | None, pipeline: Pipeline, dtypes: Dtypes) -> Function | None:
    """Make one function of what the Loader was given as ``finish``.

        outputs of the graph     crops labels draws   crops labels draws   normalized images
                                 └─────── a ───────┘  └─────── b ───────┘          │
        batch                    images targets       images targets            images

    Args:
        given: a function of all outputs, one ``FusedMix`` or several, or None.
        pipeline: the graph.
        dtypes: see :func:`~dali_cutmix.loader.to_torch.output_dtypes`.

    Raises:
        ValueError: it is something else, or does not fit the ``FusedMix.inputs`` of the graph.
    """
    needed, outputs = notes(pipeline).fused, pipeline_outputs(pipeline)
    several = list(given) if isinstance(given, (tuple, list)) else [] if given is None else [given]
    fused = [one for one in several if isinstance(one, FusedMix)]
    if len(fused) < len(several):
        if not callable(given):
            raise ValueError(
                f"Loader: finish={given!r} given; it is a function, or one dc.FusedMix or several in a tuple."
            )
        return given
    if not outputs and callable(given):  # the graph is defined when it is built
        return given
    if sorted(map(id, fused)) != sorted(map(id, needed)):
        raise ValueError(
            f"Loader: finish= has {len(fused)} FusedMix, but the graph calls inputs() of {len(needed)}, or of others; "
            "give those of the graph, several in a tuple: finish=(a, b)."
        )
    names = [getattr(output, "name", None) for output in outputs]
    parts: dict[int, tuple[int, Function]] = {}
    for one in fused:
        view = one.view(pipeline)
        assert view is not None  # the graph called inputs()
        size = len(view.outputs)
        first = next((at for at in range(len(names)) if tuple(names[at : at + size]) == view.outputs), None)
        if first is None:
            raise ValueError(
                "Loader: the graph does not return all that FusedMix.inputs() gave it, in this order; return it as it "
                "is: return *finish.inputs(crops, labels), …"
            )
        function = partial(one.finish, view)
        if size == len(names):
            return function
        parts[first] = size, function
    return partial(_finish, pipeline, dtypes, parts) if parts else None


def _finish(
    pipeline: Pipeline, dtypes: Dtypes, parts: dict[int, tuple[int, Function]], *outputs: Any
) -> tuple[Tensor, ...]:
    """Each part by its function, given by where it begins and its length; the other outputs as they are."""
    batch: list[Tensor] = []
    at = 0
    while at < len(outputs):
        size, function = parts.get(at, (1, None))
        part = outputs[at : at + size]
        batch += function(*part) if function else to_tensors(part, pipeline, dtypes[at : at + 1])
        at += size
    return tuple(batch)
