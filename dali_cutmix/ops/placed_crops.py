"""Crops at a random place, of a padded image or a stretched one: encoded bytes in, uint8 images out."""

from collections.abc import Collection
from typing import Any

from nvidia.dali import fn, math, types

from dali_cutmix._dali import verb
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.ops.decode import MAX_PIXELS, decoder_options, prepare_decoding
from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.utils import check_padding, check_resize, check_size


@verb
def stretch_random_crop(
    jpegs: Any,
    size: int = 224,
    *,
    resize: int = 256,
    antialias: bool = True,
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
    formats: Collection[str] = FORMATS,
) -> Any:
    """Decode, stretch to resize×resize whatever the image's shape, and crop size×size at a random place (paper, B).

    This is the training crop of localization. Only the crop is resampled; all (resize − size + 1)² places are equally
    likely.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels, at most ``resize``.
        resize: side of the stretched image, in pixels.
        antialias: widen the bilinear filter when an image gets smaller, as torchvision does.
        hw_decoder_load, preallocate, max_pixels, formats: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: an invalid argument, or ``resize`` is less than ``size``.

    Example:
        >>> @pipeline_def(batch_size=8, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.stretch_random_crop(jpegs, size=56, resize=64)
        >>> (images,) = graph().run()
        >>> images.as_tensor().shape()
        [8, 56, 56, 3]
    """
    resize, size = check_resize(resize, size, "stretched")
    graph = notes()
    options = decoder_options(graph, hw_decoder_load, preallocate)
    bound: Any = {"size": size, "resize": resize, "stretch": True, "antialias": antialias}
    encoded, _ = prepare_decoding(graph, jpegs, max_pixels, formats, options, **bound)
    images = fn.decoders.image(encoded, **options)
    corner = _random_place(float(resize - size))
    return fn.resize(
        images,
        size=[size, size],
        roi_start=corner / resize,
        roi_end=(corner + size) / resize,
        roi_relative=True,
        interp_type=types.INTERP_LINEAR,
        antialias=antialias,
    )


@verb
def padded_crop(
    jpegs: Any, size: int = 32, *, padding: int = 4, max_pixels: int = MAX_PIXELS, formats: Collection[str] = FORMATS
) -> Any:
    """Decode, pad each side with zeros, and crop size×size at a random place (the training crop of CIFAR).

    All places are equally likely. They are those of torchvision's ``RandomCrop(size, padding=padding,
    pad_if_needed=True)``: an image that is smaller than the crop even with its padding is placed whole and at random
    among zeros.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels.
        padding: zeros on each side of the image, in pixels, less than ``size``.
        max_pixels, formats: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: an invalid argument.

    Example:
        >>> @pipeline_def(batch_size=8, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.padded_crop(jpegs, size=32, padding=4)
        >>> (images,) = graph().run()
        >>> images.as_tensor().shape()
        [8, 32, 32, 3]
    """
    size = check_size("size", size)
    padding = check_padding(padding, size)
    graph = notes()
    options = decoder_options(graph)
    encoded, shape = prepare_decoding(graph, jpegs, max_pixels, formats, options, size=size, padding=padding)
    images = fn.decoders.image(encoded, **options)
    room = shape[:2] + float(2 * padding - size)  # below 0 where the image has room in the crop instead
    place = _random_place(math.abs(room))
    corner = fn.cast(math.min(room, 0.0) + place - float(padding), dtype=types.INT32)
    return fn.slice(
        images, start=corner, shape=[size, size], axis_names="HW", out_of_bounds_policy="pad", fill_values=0.0
    )


def _random_place(room: Any) -> Any:
    """Two whole numbers (y, x), float32, each from 0 to ``room`` (float32 or a float), all equally likely."""
    # In float32 the product can be rounded up to room + 1.
    return math.min(math.floor(fn.random.uniform(range=[0.0, 1.0], shape=[2]) * (room + 1)), room)
