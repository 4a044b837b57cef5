"""Decode: what all crops share. Inspect images before they are decoded, and choose the decoder's arguments."""

from collections.abc import Collection
from functools import partial
from typing import Any, Literal

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix._dali import change_some
from dali_cutmix.image_headers import FORMATS, check_formats, inspect
from dali_cutmix.ops.graph_notes import Crop, Notes
from dali_cutmix.utils import check_fraction, check_max_pixels, check_preallocate

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, width × height; Pillow refuses larger ones, too."""

Decode = Literal["auto", "region", "whole"]
"""How much of an image is decoded if only a random region of it is used, see :func:`~dali_cutmix.random_crop`."""

_NO, _YES = np.array(False), np.array(True)


def inspect_images(
    jpegs: Any, max_pixels: int, formats: Collection[str] = FORMATS, *, upright: bool = True
) -> tuple[Any, Any]:
    """Make images that must not be decoded an error, before a decoder sees them or memory is allocated for them.

        encoded ─┬─▶ inspect ─┬─▶ height, width, channels
                 │            └─▶ which few DALI takes only when mended
                 └─▶ split ─┬─▶ mend ─▶ merge ─▶ what is decoded
                            └─────────▶

    Args:
        jpegs: encoded bytes on the CPU.
        max_pixels: width × height of the largest image.
        formats: names of the formats that are decoded.
        upright: whether the decoder applies EXIF's orientation.

    Returns:
        Encoded bytes, without a copy of those that need no mending; and height, width, channels (3) as int64.
    """
    function = partial(_inspect, max_pixels=max_pixels, formats=tuple(formats), upright=upright)
    found: Any = fn.python_function(jpegs, function=function, batch_processing=True, num_outputs=2)
    shape, needs_mending = found
    return change_some(needs_mending, jpegs, _mend), shape


def _inspect(
    images: list[np.ndarray], max_pixels: int, formats: tuple[str, ...], upright: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    shapes, needs_mending = [], []
    for image in images:
        _, height, width, turn, mended = inspect(image, formats, max_pixels)
        shapes.append((width, height, 3) if upright and turn > 4 else (height, width, 3))
        needs_mending.append(_NO if mended is None else _YES)
    return list(np.array(shapes, np.int64)), needs_mending


def _mend(image: np.ndarray) -> np.ndarray:
    return np.frombuffer(inspect(image).mended or b"", np.uint8)


def prepare_decoding(
    graph: Notes,
    jpegs: Any,
    max_pixels: int,
    formats: Collection[str],
    options: dict[str, Any],
    *,
    upright: bool = True,
    **arguments: Any,
) -> tuple[Any, Any]:
    """Write into a graph's notes how a crop decodes, and inspect its images.

    Args:
        graph: its notes.
        jpegs: encoded bytes on the CPU.
        max_pixels: width × height of the largest image.
        formats: names of the formats that are decoded.
        options: the decoder's arguments, from :func:`decoder_options`.
        upright: whether the decoder applies EXIF's orientation.
        arguments: arguments of the crop, which a saved state is bound to.

    Returns:
        See :func:`inspect_images`.
    """
    max_pixels, formats = check_max_pixels(max_pixels), check_formats(formats)
    crop = Crop(arguments, max_pixels, formats, options.get("hw_decoder_load"))
    encoded, shape = inspect_images(jpegs, max_pixels, formats, upright=upright)
    graph.crops.append(crop)
    graph.encoded[encoded.name] = crop
    return encoded, shape


def decoder_options(
    graph: Notes, hw_decoder_load: float = 0.65, preallocate: tuple[int, int] = (0, 0)
) -> dict[str, Any]:
    """Make the arguments for DALI's decoders; those for nvJPEG only if it decodes.

    Raises:
        ValueError: ``hw_decoder_load`` is not a fraction, or ``preallocate`` not a size.
    """
    load = check_fraction("hw_decoder_load", hw_decoder_load, "a fraction of the batch")
    width, height = check_preallocate(preallocate)
    options: dict[str, Any] = {"output_type": types.RGB, "jpeg_fancy_upsampling": True}
    if graph.device == "cpu":
        return options | {"device": "cpu"}
    hints = {"preallocate_width_hint": width, "preallocate_height_hint": height}
    return options | {"device": "mixed", "hw_decoder_load": load} | hints
