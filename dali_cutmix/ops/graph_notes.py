"""What the verbs note down about the graph under construction, for its ``Loader`` and for each other."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from nvidia.dali import Pipeline

from dali_cutmix.sources import Source


class Window(NamedTuple):
    """Nodes: whole images, and corner (y, x) and extent (height, width) in pixels of what is taken of each."""

    images: Any
    corner: Any
    extent: Any


@dataclass
class Notes:
    """One graph's notes; whatever a graph does not use stays None.

    ``windows`` has, by its node's name, what was taken out of whole images. ``bound`` has ``bind_state``'s values.
    """

    source: Source | None = None
    crop: dict[str, Any] = field(default_factory=dict)
    bound: dict[str, Any] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    max_pixels: int | None = None
    decodes_regions: bool = False
    decoder: dict[str, Any] = field(default_factory=lambda: {"hw_decoder_load": None})
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
