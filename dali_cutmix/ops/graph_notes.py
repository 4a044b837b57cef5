"""Notes that the verbs take about the graph under construction, for its ``Loader`` and for each other."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from nvidia.dali import Pipeline

from dali_cutmix.sources import Source


class Window(NamedTuple):
    """A region of each whole image, as nodes: the images, and corner (y, x) and extent (height, width) in pixels."""

    images: Any
    corner: Any
    extent: Any


@dataclass
class Notes:
    """The notes about one graph; whatever the graph does not use keeps its default.

    Args:
        device: where the graph decodes.
        source: what it reads.
        crop: arguments that change the images, by name; a saved state is bound to them.
        bound: values given to ``bind_state``, by name; a saved state is bound to them, too.
        windows: regions taken out of whole images, by the name of the node that has them.
        max_pixels: width × height of the largest image that is decoded.
        decodes_regions: whether it decodes regions, not whole images.
        decoder: arguments of the decoder that may change pixels by a level or two.
        mixing: the checked arguments of ``mix``.
        holes: node with the boxes that ``normalize`` fills with zeros.
        dtype: of the images at the hand-off.
    """

    device: Literal["cpu", "gpu"]
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
    """The notes about a pipeline, by default about the one under construction.

    Raises:
        RuntimeError: no graph is under construction.
    """
    pipeline = pipeline or Pipeline.current()
    if pipeline is None:
        raise RuntimeError(
            "The verbs of dali_cutmix build a DALI graph: call them inside a function decorated with "
            "@nvidia.dali.pipeline_def, or use pipelines that do (pipelines/imagenet.py)."
        )
    return _notes.setdefault(pipeline, Notes("cpu" if pipeline.device_id is None else "gpu"))
