"""Decode: what all crops share. Limit the size of images, and choose the decoder's arguments."""

from typing import Any, Literal

from nvidia.dali import fn, types

from dali_cutmix.ops.graph_notes import Crop, Notes
from dali_cutmix.utils import check_fraction, check_max_pixels, check_preallocate

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, width × height; Pillow refuses larger ones, too."""

Decode = Literal["auto", "region", "whole"]
"""How much of an image is decoded if only a random region of it is used, see :func:`~dali_cutmix.random_crop`."""


def limit_pixels(jpegs: Any, max_pixels: int) -> tuple[Any, Any]:
    """Make images with too many pixels an error, before memory is allocated for them.

    Args:
        jpegs: encoded bytes on the CPU.
        max_pixels: width × height of the largest image.

    Returns:
        The same encoded bytes, without a copy; and height, width, channels as int64.
    """
    shape = fn.peek_image_shape(jpegs, dtype=types.INT64)
    # DALI has no assertion: reshaping to 0 times the bytes fails, to 1 times it does nothing.
    return fn.reshape(jpegs, rel_shape=(shape[0:1] * shape[1:2] <= float(max_pixels)) * 1.0), shape


def prepare_decoding(
    graph: Notes, jpegs: Any, max_pixels: int, options: dict[str, Any], **arguments: Any
) -> tuple[Any, Any]:
    """Write into a graph's notes how a crop decodes, and limit the size of its images.

    Args:
        graph: its notes.
        jpegs: encoded bytes on the CPU.
        max_pixels: width × height of the largest image.
        options: the decoder's arguments, from :func:`decoder_options`.
        arguments: arguments of the crop, which a saved state is bound to.

    Returns:
        See :func:`limit_pixels`.
    """
    max_pixels = check_max_pixels(max_pixels)
    crop = Crop(arguments, max_pixels, options.get("hw_decoder_load"))
    encoded, shape = limit_pixels(jpegs, max_pixels)
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
