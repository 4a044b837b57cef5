"""What the verbs note down about the graph under construction, for its ``Loader`` and for each other."""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from nvidia.dali import Pipeline

from dali_cutmix.source import Source


@dataclass
class Notes:
    """One graph's notes; whatever a graph does not use stays None."""

    source: Source | None = None
    crop: dict[str, Any] = field(default_factory=dict)
    max_pixels: int | None = None
    mixing: Any = None
    holes: Any = None
    dtype: Any = None


_notes: WeakKeyDictionary[Pipeline, Notes] = WeakKeyDictionary()


def notes(pipeline: Pipeline | None = None) -> Notes:
    """The notes of a pipeline; by default of the one under construction.

    Raises:
        RuntimeError: a verb was called outside a graph.
    """
    pipeline = pipeline or Pipeline.current()
    if pipeline is None:
        raise RuntimeError(
            "The verbs of dali_cutmix build a DALI graph: call them inside a function decorated with "
            "@nvidia.dali.pipeline_def, or use pipelines that do (pipelines/imagenet.py)."
        )
    return _notes.setdefault(pipeline, Notes())


def graph_device() -> str:
    """``"gpu"`` when the graph under construction has a ``device_id``, else ``"cpu"``."""
    notes()
    return "cpu" if Pipeline.current().device_id is None else "gpu"
