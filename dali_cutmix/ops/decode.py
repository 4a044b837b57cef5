"""Decode and crop: encoded bytes in, uint8 images of one size out."""

from typing import Any, Literal, get_args

from nvidia.dali import fn, math, types

from dali_cutmix.ops.graph_notes import Window, graph_device, notes
from dali_cutmix.utils import check_size

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, width × height; Pillow refuses at the same size."""

Decode = Literal["auto", "region", "whole"]
"""What is decoded of an image of which only a random region is used."""


def bounded(jpegs: Any, max_pixels: int) -> tuple[Any, Any]:
    """The same bytes, or an error for an image with more pixels, before memory is taken for them; and its shape.

    Returns:
        Encoded bytes without a copy; and height, width, channels as int64.
    """
    shape = fn.peek_image_shape(jpegs, dtype=types.INT64)
    # DALI has no assertion: reshaping to 0 times the bytes fails, to 1 times it does nothing.
    return fn.reshape(jpegs, rel_shape=(shape[0:1] * shape[1:2] <= float(max_pixels)) * 1.0), shape


def noted(jpegs: Any, max_pixels: int, **crop: Any) -> tuple[Any, Any]:
    """Note down how a graph decodes, and bound its images."""
    if not (isinstance(max_pixels, int) and max_pixels >= 1):
        raise ValueError(f"max_pixels={max_pixels!r} given; it is width × height, a whole number of at least 1.")
    note = notes()
    note.max_pixels, note.crop = max_pixels, crop
    return bounded(jpegs, max_pixels)


def _decoder_device() -> str:
    return "mixed" if graph_device() == "gpu" else "cpu"


def random_place(room: Any) -> Any:
    """Two whole numbers (y, x), float32, of 0 to ``room`` each, all equally likely; ``room`` is float32 or a float."""
    # In float32 the product can be rounded up to room + 1.
    return math.min(math.floor(fn.random.uniform(range=[0.0, 1.0], shape=[2]) * (room + 1)), room)


def _is_range(value: Any) -> bool:
    match value:
        case (float() | int() as low, float() | int() as high):
            return 0 < low <= high < float("inf")
    return False


def decoder_options(hw_decoder_load: float = 0.65, preallocate: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """Arguments for DALI's decoders; those for nvJPEG only where it decodes.

    Raises:
        ValueError: a share or a size that is none.
    """
    if not (isinstance(hw_decoder_load, (int, float)) and 0 <= hw_decoder_load <= 1):
        raise ValueError(f"hw_decoder_load={hw_decoder_load!r} given; it is a share of the batch, 0 to 1.")
    match preallocate:
        case (int(width), int(height)) if width >= 0 and height >= 0:
            pass
        case _:
            raise ValueError(
                f"preallocate={preallocate!r} given; it is (width, height) in pixels of the largest image, (0, 0) for "
                "no memory ahead."
            )
    options = {"output_type": types.RGB, "jpeg_fancy_upsampling": True, "device": _decoder_device()}
    if options["device"] == "cpu":
        return options
    notes().decoder = {"hw_decoder_load": float(hw_decoder_load)}
    hints = {"preallocate_width_hint": width, "preallocate_height_hint": height}
    return options | {"hw_decoder_load": float(hw_decoder_load)} | hints


def random_crop(
    jpegs: Any,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    decode: Decode = "auto",
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Decode a random region.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        scale: smallest and largest share of the image's area that the region may have.
        ratio: smallest and largest width:height of the region.
        decode: ``"region"`` decodes the region only; ``"whole"`` decodes the image and takes the region out of it,
            without a copy where :class:`~dali_cutmix.FusedMix` follows. The windows are the same, and on a CPU the
            pixels to the bit. ``"auto"`` is ``"region"`` on a CPU, where it is faster, and ``"whole"`` on a GPU: nvJPEG
            before 13.2 leaves regions of images with 4:2:0 chroma to the CPU.
        hw_decoder_load: share of a batch that the GPU's JPEG engine decodes, where it has one; ``python -m bench tune``
            measures it. Without meaning on a CPU.
        preallocate: (width, height) in pixels of the largest image of the data, for which nvJPEG takes memory at the
            start instead of while it runs. Without meaning on a CPU.
        max_pixels: width × height of the largest image that is decoded; a larger one (a decompression bomb) is a bad
            file, and no memory is taken for it.

    Returns:
        H×W×3 uint8, RGB, layout HWC, each of its own size, on the graph's device (nvJPEG decodes when that is a GPU).
    """
    if not (_is_range(scale) and scale[1] <= 1):
        raise ValueError(f"scale={scale!r} given; it is (smallest, largest) share of the area, above 0 and at most 1.")
    if not _is_range(ratio):
        raise ValueError(f"ratio={ratio!r} given; it is (smallest, largest) width:height, both above 0.")
    if decode not in get_args(Decode):
        raise ValueError(f"decode={decode!r} given; allowed are 'auto', 'region' and 'whole'.")
    options = decoder_options(hw_decoder_load, preallocate)
    encoded, shape = noted(jpegs, max_pixels, scale=tuple(map(float, scale)), ratio=tuple(map(float, ratio)))
    # Drawn apart from decoding, so that both ways have the same windows and the same state.
    corner, extent = fn.random_crop_generator(
        shape, random_area=list(scale), random_aspect_ratio=list(ratio), num_attempts=10
    )
    if decode == "region" or (decode == "auto" and graph_device() == "cpu"):
        notes().decodes_regions = True
        return fn.decoders.image_slice(encoded, corner, extent, axis_names="HW", **options)
    images = fn.decoders.image(encoded, **options)
    crops = fn.slice(images, start=corner, shape=extent, axis_names="HW")
    notes().windows[crops.name] = Window(images, corner, extent)
    return crops


def random_resized_crop(
    jpegs: Any,
    size: int = 224,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    antialias: bool = True,
    decode: Decode = "auto",
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Decode a random region, and resample it to size×size (the usual training crop).

    Args:
        size: side of the result in pixels.
        antialias: widen the bilinear filter on downscale, as torchvision does.
        jpegs, scale, ratio, decode, hw_decoder_load, preallocate, max_pixels: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.
    """
    check_size("size", size)
    how: Any = {"hw_decoder_load": hw_decoder_load, "preallocate": preallocate, "max_pixels": max_pixels}
    crops = random_crop(jpegs, scale=scale, ratio=ratio, decode=decode, **how)
    notes().crop |= {"size": size, "antialias": antialias}
    return fn.resize(crops, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=antialias)


def resize_center_crop(
    jpegs: Any,
    size: int = 224,
    *,
    resize: int = 256,
    stretch: bool = False,
    antialias: bool = True,
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Decode, bring the shorter side to ``resize`` pixels and crop the centre (the usual evaluation crop).

    Sizes are those of torchvision's ``Resize`` and ``CenterCrop``: the longer side is rounded down, the crop's corner
    to the nearest pixel. The mean absolute difference to torchvision's decode + resize + centre crop was 0.13 of 255
    levels over 400 photographs on the CPU, 0.18 for the worst of them; a test holds it below 0.5. DALI turns images
    as their EXIF orientation says, torchvision's ``ImageFolder`` does not.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels, at most ``resize``.
        resize: shorter side before the crop, in pixels; with ``stretch`` either side.
        stretch: bring both sides to ``resize`` pixels, whatever the image's shape (paper, B).
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
        side = "stretched" if stretch else "shorter"
        raise ValueError(f"resize={resize} given with size={size}; the {side} side must be at least the crop's.")
    options = decoder_options(hw_decoder_load, preallocate)
    encoded, shape = noted(jpegs, max_pixels, size=size, resize=resize, stretch=stretch, antialias=antialias)
    shape = shape[:2]
    sides = shape * 0 + resize if stretch else shape * resize // fn.reductions.min(shape)
    images = fn.decoders.image(encoded, **options)
    images = fn.resize(
        images, size=fn.cast(sides, dtype=types.FLOAT), interp_type=types.INTERP_LINEAR, antialias=antialias
    )
    half = (sides - size) // 2
    corner = half + ((sides - size) & half & 1)  # half to even, as Python's round
    return fn.slice(images, start=fn.cast(corner, dtype=types.INT32), shape=[size, size], axis_names="HW")
