"""Crops of photographs, for training and evaluation: encoded bytes in, uint8 images out."""

from collections.abc import Collection
from typing import Any, get_args

from nvidia.dali import fn, types

from dali_cutmix._dali import verb
from dali_cutmix.image_headers import FORMATS
from dali_cutmix.ops.decode import MAX_PIXELS, Decode, decoder_options, prepare_decoding
from dali_cutmix.ops.graph_notes import Notes, Window, notes
from dali_cutmix.utils import check_choice, check_range, check_resize, check_size


@verb
def random_crop(
    jpegs: Any,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    decode: Decode = "auto",
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = MAX_PIXELS,
    formats: Collection[str] = FORMATS,
) -> Any:
    """Decode a random region of each image.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        scale: smallest and largest area of the region, as a fraction of the image's area.
        ratio: smallest and largest width:height of the region.
        decode: ``"region"`` decodes the region only. ``"whole"`` decodes the image and slices the region out of it,
            without a copy if :class:`~dali_cutmix.FusedMix` follows. Both give the same regions, and on a CPU the same
            pixels to the bit. ``"auto"`` is ``"region"`` on a CPU, where it is faster, and ``"whole"`` on a GPU: nvJPEG
            before 13.2 leaves regions of images with 4:2:0 chroma to the CPU.
        hw_decoder_load: fraction of a batch that the GPU's JPEG engine decodes, if it has one; ``python -m bench tune``
            measures the best value. No effect on a CPU.
        preallocate: (width, height) in pixels of the largest image of the data; nvJPEG then allocates its memory at
            the start instead of while it runs. No effect on a CPU.
        max_pixels: width × height of the largest image that is decoded; a larger one (a decompression bomb) is a bad
            file, and no memory is allocated for it.
        formats: names of the formats that are decoded, by default ``dc.FORMATS``: JPEG, PNG and WebP without animation,
            plain BMP, PGM and PPM. The others are ``"tiff"``, and ``"jpeg2000"``, which may crash DALI where it is
            damaged. A format is told by the first bytes of a file, whatever its name; an image of another one is not
            supported.

    Returns:
        H×W×3 uint8, RGB, layout HWC, each of its own size, on the graph's device (nvJPEG decodes if that is a GPU).

    Raises:
        ValueError: an invalid argument.

    Example:
        >>> @pipeline_def(batch_size=8, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.random_crop(jpegs, scale=(0.25, 1.0))
        >>> (crops,) = graph().run()
        >>> len(crops), crops[0].shape()[2]
        (8, 3)
    """
    return _random_region(notes(), jpegs, scale, ratio, decode, hw_decoder_load, preallocate, max_pixels, formats)


def _random_region(
    graph: Notes,
    jpegs: Any,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    decode: Decode,
    hw_decoder_load: float,
    preallocate: tuple[int, int],
    max_pixels: int,
    formats: Collection[str],
    **crop: Any,
) -> Any:
    check_range("scale", scale, "fraction of the area", most=1)
    check_range("ratio", ratio, "width:height")
    check_choice("decode", decode, get_args(Decode))
    options = decoder_options(graph, hw_decoder_load, preallocate)
    bounds: Any = {"scale": tuple(map(float, scale)), "ratio": tuple(map(float, ratio))}
    encoded, shape = prepare_decoding(graph, jpegs, max_pixels, formats, options, **bounds, **crop)
    # Drawn apart from decoding, so that both ways have the same windows and the same state.
    corner, extent = fn.random_crop_generator(
        shape, random_area=list(scale), random_aspect_ratio=list(ratio), num_attempts=10
    )
    if decode == "region" or (decode == "auto" and graph.device == "cpu"):
        graph.crops[-1].decodes_regions = True
        return fn.decoders.image_slice(encoded, corner, extent, axis_names="HW", **options)
    images = fn.decoders.image(encoded, **options)
    crops = fn.slice(images, start=corner, shape=extent, axis_names="HW")
    graph.windows[crops.name] = Window(images, corner, extent)
    return crops


@verb
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
    formats: Collection[str] = FORMATS,
) -> Any:
    """Decode a random region of each image and resize it to size×size (the usual training crop).

    Args:
        size: side of the result in pixels.
        antialias: widen the bilinear filter when an image gets smaller, as torchvision does.
        jpegs, scale, ratio, decode, hw_decoder_load, preallocate, max_pixels, formats: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: an invalid argument.

    Example:
        >>> @pipeline_def(batch_size=8, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return dc.random_resized_crop(jpegs, size=96)
        >>> (images,) = graph().run()
        >>> images.as_tensor().shape()
        [8, 96, 96, 3]
    """
    size = check_size("size", size)
    bound: Any = {"size": size, "antialias": antialias}
    crops = _random_region(
        notes(), jpegs, scale, ratio, decode, hw_decoder_load, preallocate, max_pixels, formats, **bound
    )
    return fn.resize(crops, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=antialias)


@verb
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
    formats: Collection[str] = FORMATS,
) -> Any:
    """Decode, resize the shorter side to ``resize`` pixels and crop the centre (the usual evaluation crop).

    Sizes are those of torchvision's ``Resize`` and ``CenterCrop``: the longer side is rounded down, the crop's corner
    to the nearest pixel. The mean absolute difference to torchvision's decode + resize + centre crop was 0.13 of 255
    levels over 400 photographs on the CPU, 0.18 for the worst of them; a test holds it below 0.5. DALI rotates images
    according to their EXIF orientation, torchvision's ``ImageFolder`` does not.

    Args:
        jpegs: encoded bytes on the CPU, from a reader.
        size: side of the result in pixels, at most ``resize``.
        resize: shorter side before the crop, in pixels; with ``stretch`` both sides.
        stretch: resize both sides to ``resize`` pixels, whatever the image's shape (paper, B).
        antialias: widen the bilinear filter when an image gets smaller, as torchvision does.
        hw_decoder_load, preallocate, max_pixels, formats: see :func:`random_crop`.

    Returns:
        size×size×3 uint8, RGB, layout HWC, on the graph's device.

    Raises:
        ValueError: an invalid argument, or ``resize`` is less than ``size``.

    Example:
        >>> @pipeline_def(batch_size=8, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos", shuffle=False)
        ...     return dc.resize_center_crop(jpegs, size=56, resize=64)
        >>> (images,) = graph().run()
        >>> images.as_tensor().shape()
        [8, 56, 56, 3]
    """
    resize, size = check_resize(resize, size, "stretched" if stretch else "shorter")
    graph = notes()
    options = decoder_options(graph, hw_decoder_load, preallocate)
    bound: Any = {"size": size, "resize": resize, "stretch": stretch, "antialias": antialias}
    encoded, shape = prepare_decoding(graph, jpegs, max_pixels, formats, options, **bound)
    shape = shape[:2]
    sides = shape * 0 + resize if stretch else shape * resize // fn.reductions.min(shape)
    half = (sides - size) // 2
    corner = half + ((sides - size) & half & 1)  # half to even, as Python's round
    images = fn.decoders.image(encoded, **options)
    # Only what is cut out is resized: a long, thin image would become a huge one.
    start, end = (
        fn.cast(place, dtype=types.FLOAT) / fn.cast(sides, dtype=types.FLOAT) for place in (corner, corner + size)
    )
    return fn.resize(
        images,
        size=[size, size],
        roi_start=start,
        roi_end=end,
        roi_relative=True,
        interp_type=types.INTERP_LINEAR,
        antialias=antialias,
    )
