"""Pad with zeros and crop at random: the training crop of small images (CIFAR)."""

from typing import Any

from nvidia.dali import fn, math, types

from dali_cutmix.ops.decode import MAX_PIXELS, decoder_options, noted, random_place
from dali_cutmix.utils import check_size


def padded_crop(jpegs: Any, size: int = 32, *, padding: int = 4, max_pixels: int = MAX_PIXELS) -> Any:
    """Decode, pad every side with zeros, crop size×size at a random place, all places equally likely.

    The windows are those of torchvision's ``RandomCrop(size, padding=padding, pad_if_needed=True)``: where an image is
    smaller than the crop even with its padding, it lies whole and at random within zeros.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels.
        padding: zeros on each side of the image, in pixels, less than ``size``.
        max_pixels: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: a size or padding that is none.
    """
    check_size("size", size)
    if not (isinstance(padding, int) and 0 <= padding < size):
        raise ValueError(
            f"padding={padding!r} given with size={size}; it is a whole number of pixels, 0 to {size - 1}, so that "
            "every crop holds some of the image."
        )
    encoded, shape = noted(jpegs, max_pixels, size=size, padding=padding)
    images = fn.decoders.image(encoded, **decoder_options())
    room = shape[:2] + float(2 * padding - size)  # below 0 where the image has room in the crop instead
    place = random_place(math.abs(room))
    corner = fn.cast(math.min(room, 0.0) + place - float(padding), dtype=types.INT32)
    return fn.slice(
        images, start=corner, shape=[size, size], axis_names="HW", out_of_bounds_policy="pad", fill_values=0.0
    )
