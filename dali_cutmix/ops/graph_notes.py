"""Notes that the verbs take about the graph under construction, for its ``Loader`` and for each other.

A graph may have several crops, mixes and normalized outputs. What concerns one of them is noted by the name of a node,
and whoever needs it looks for the nearest such node that its own images were made from:

    normalize(images)  ──▶ the mix that made them: its holes
    an output          ──▶ the normalize that made it: its dtype
    FusedMix.inputs    ──▶ the crop that made them: its arguments, which a saved state is bound to
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from nvidia.dali import Pipeline

from dali_cutmix.image_headers import ALL_FORMATS, FORMATS, Format
from dali_cutmix.sources import Source


class Window(NamedTuple):
    """A region of each whole image, as nodes: the images, and corner (y, x) and extent (height, width) in pixels."""

    images: Any
    corner: Any
    extent: Any


class Mixed(NamedTuple):
    """The result of a mix: the mix's name, and the node with the boxes that ``normalize`` fills with zeros, if any."""

    mix: str
    holes: Any


@dataclass
class Crop:
    """A verb that decodes.

    Args:
        arguments: those that change the images, by name; a saved state is bound to them.
        max_pixels: width × height of the largest image that it decodes; None without a limit.
        formats: names of the formats that it decodes.
        hw_decoder_load: fraction that the GPU's JPEG engine decodes; None on a CPU.
        decodes_regions: whether it decodes regions, not whole images.
        finished: whether a ``FusedMix`` resizes its images.
    """

    arguments: dict[str, Any]
    max_pixels: int | None = None
    formats: tuple[Format, ...] = FORMATS
    hw_decoder_load: float | None = None
    decodes_regions: bool = False
    finished: bool = False


@dataclass
class Notes:
    """The notes about one graph; whatever the graph does not use keeps its default.

    Args:
        device: where the graph decodes.
        source: what it reads.
        bound: values given to ``bind_state``, by name; a saved state is bound to them.
        crops: what decodes, in the order of the calls.
        encoded: the crops by the names of the nodes with the bytes that they decode.
        windows: regions taken out of whole images, by the name of the node that has them.
        mixes: the checked arguments of each ``mix``, by its name, in the order of the calls.
        mixed: results of mixes, by the name of the node with the images.
        dtypes: dtype of normalized images at the hand-off, by the name of the node with the images.
        fused: each ``FusedMix`` whose inputs the graph makes.
    """

    device: Literal["cpu", "gpu"]
    source: Source | None = None
    bound: dict[str, Any] = field(default_factory=dict)
    crops: list[Crop] = field(default_factory=list)
    encoded: dict[str, Crop] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    mixes: dict[str, Any] = field(default_factory=dict)
    mixed: dict[str, Mixed] = field(default_factory=dict)
    dtypes: dict[str, Any] = field(default_factory=dict)
    fused: list[Any] = field(default_factory=list)

    @property
    def max_pixels(self) -> int | None:
        """Width × height above which an image is bad for at least one of the crops; None without a limit."""
        return min((crop.max_pixels for crop in self.crops if crop.max_pixels), default=None)

    @property
    def formats(self) -> tuple[Format, ...] | None:
        """Formats that all of the crops decode; None where there is none, and the graph's own decoders decide."""
        if not self.crops:
            return None
        return tuple(name for name in ALL_FORMATS if all(name in crop.formats for crop in self.crops))

    @property
    def decodes_regions(self) -> bool:
        """Whether any crop decodes regions, not whole images."""
        return any(crop.decodes_regions for crop in self.crops)


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
