"""Stretch to a square and crop at random: the training crop of localization (paper, B)."""

from typing import Any

from nvidia.dali import fn, types

from dali_cutmix.ops.decode import MAX_PIXELS, decoder_options, noted, random_place
from dali_cutmix.utils import check_size


def stretch_random_crop(
    jpegs: Any,
    size: int = 224,
    *,
    resize: int = 256,
    antialias: bool = True,
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Decode, stretch to resize×resize whatever the image's shape, crop size×size at a random place.

    Only the crop is resampled; all of the (resize − size + 1)² places are equally likely.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels, at most ``resize``.
        resize: side of the stretched image, in pixels.
        antialias: widen the bilinear filter on downscale, as torchvision does.
        hw_decoder_load, preallocate, max_pixels: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: a size, or an option of the decoder, that is none; ``resize`` is less than ``size``.
    """
    check_size("size", size)
    check_size("resize", resize)
    if resize < size:
        raise ValueError(f"resize={resize} given with size={size}; the stretched side must be at least the crop's.")
    options = decoder_options(hw_decoder_load, preallocate)
    encoded, _ = noted(jpegs, max_pixels, size=size, resize=resize, stretch=True, antialias=antialias)
    images = fn.decoders.image(encoded, **options)
    corner = random_place(float(resize - size))
    return fn.resize(
        images,
        size=[size, size],
        roi_start=corner / resize,
        roi_end=(corner + size) / resize,
        roi_relative=True,
        interp_type=types.INTERP_LINEAR,
        antialias=antialias,
    )
