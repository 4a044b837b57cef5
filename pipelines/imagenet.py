"""ImageNet, or any other folder of classes: training with mixing, evaluation with a centre crop.

    train/<class>/*.JPEG ──read──▶ JPEGs, labels ──decode a random region──▶ resize, flip, mix ──▶ normalize ──▶ Loader
    val/<class>/*.JPEG   ──read──▶ JPEGs, labels ──decode──▶ resize, centre crop ──────────────▶ normalize ──▶ Loader

Copy this file into your project: all that it imports is installed with dali_cutmix.
"""

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Literal

import torch
from nvidia.dali import fn, pipeline_def, types

import dali_cutmix as dc
from dali_cutmix.utils import accepted, check_levels

Path = str | os.PathLike[str]
Root = Path | Sequence[Path] | Callable[..., tuple[Any, Any]]
Augment = Callable[[Any], Any]


def train(
    root: Root,
    *,
    batch_size: int = 256,
    size: int = 224,
    num_classes: int | None = None,
    mix: dc.Policy | None = dc.CutMix(),
    targets: dc.Targets = "dense",
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: float | Sequence[float] = dc.IMAGENET_MEAN,
    std: float | Sequence[float] = dc.IMAGENET_STD,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
    augment: Augment | None = None,
    fused: bool | None = None,
    decode: dc.Decode = "auto",
    hw_decoder_load: float = 0.65,
    preallocate: tuple[int, int] = (0, 0),
    max_pixels: int = dc.MAX_PIXELS,
    formats: Collection[str] = dc.FORMATS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: Path = "bad_files.jsonl",
    retry: float = 60.0,
    after_break: Literal["continue", "restart"] | None = None,
    steps_per_epoch: int | None = None,
) -> dc.Loader:
    """Shuffled, randomly cropped and flipped, mixed and normalized batches; an incomplete last batch is dropped.

    Args:
        root: a folder with one subfolder of images for each class, several such folders, or a folder that
            ``python -m dali_cutmix.pack`` wrote; or a verb with its data, such as
            ``partial(dc.read_webdataset, "/data/train-*.tar")``.
        batch_size: samples in a batch of this rank.
        size: side of the images in pixels.
        num_classes: K; by default as many classes as the data has. The verb gets it, too, if it takes it.
        mix: ``dc.CutMix``, ``dc.Mixup``, ``dc.Cutout``, ``dc.OneOf`` or None.
        targets: ``"dense"`` yields (images, N×K float32); ``"pairs"`` yields (images, labels N×2 int64, λ N float32).
        device: ``"cpu"``, ``"cuda:N"`` or ``"auto"``.
        shard: (rank, world_size).
        seed: seed of order, crops, flips and mixing; the same for all ranks.
        num_threads: threads of the decoder; by default this process's part of the cores.
        prefetch: batches that are prepared ahead.
        dtype: type of the images: float32, float16 or bfloat16.
        channels_last: images in torch's channels_last memory format.
        mean, std: mean and standard deviation of the pixels, one for all channels or one for each, in levels of 0 to
            255, see ``dc.normalize``.
        scale, ratio: smallest and largest fraction of the image's area, and width:height, of the random crop.
        flip: chance of a horizontal flip.
        augment: a function from images to images, such as ``partial(rand_augment.rand_augment, n=2, m=9)`` of
            ``nvidia.dali.auto_aug``. It gets and returns a node of H×W×3 uint8 images, resized, on the graph's device,
            before flip and mix, and may not change type or shape (``fn.cast_like(…, images)``); an ``if`` in it may
            depend on nodes. It costs its operators' time, and that of the fused pass, which is not used then. A saved
            state is bound to its name, and to the numbers and strings of a ``partial``.
        fused: resample, flip, paste, normalize and cast in one compiled pass instead of DALI's operators: the same
            draws and targets, pixels within 2 of 255 levels. By default wherever that is possible: on a GPU, and on a
            CPU if the compiled library is there.
        decode: how much of an image is decoded: ``"region"``, ``"whole"`` or ``"auto"``, see ``dc.random_crop``; on a
            CPU the batches are the same bit for bit.
        hw_decoder_load, preallocate: options of nvJPEG, see ``dc.random_crop``; ``python -m bench tune`` measures them.
        max_pixels: width × height of the largest image that is decoded; a larger one is a bad file.
        formats: names of the formats that are decoded, see ``dc.random_crop``.
        on_error, max_bad, bad_log, retry: what to do about files that cannot be decoded or read, see ``dc.Loader``.
        after_break, steps_per_epoch: what a pass over the loader is, see ``dc.Loader``.

    Returns:
        A loader of N×3×``size``×``size`` images and their targets.

    Raises:
        FileNotFoundError, ValueError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import imagenet
        >>> loader = imagenet.train("photos", batch_size=4, size=64, mix=dc.CutMix(alpha=1.0), device="cpu")
        >>> images, targets = next(iter(loader))
        >>> images.shape, targets.shape
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 2]))
    """

    check_levels(mean, std)
    if augment is not None and not callable(augment):
        raise ValueError(
            f"augment={augment!r} given; allowed is a function from images to images (DALI nodes), or None; give one, "
            "such as partial(rand_augment.rand_augment, n=2, m=9)."
        )
    if augment is not None and fused:
        raise ValueError(
            "fused=True given with augment; the fused pass has no step between resizing and mixing. Allowed are None "
            "and False: leave fused out."
        )
    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    mixing: Any = {"num_classes": num_classes, "targets": targets, "flip": flip}
    output: Any = {"mean": mean, "std": std, "dtype": dtype, "channels_last": channels_last}
    crop: Any = {"scale": scale, "ratio": ratio, "max_pixels": max_pixels, "formats": formats}
    crop |= {"decode": decode, "hw_decoder_load": hw_decoder_load, "preallocate": preallocate}
    passes: Any = {"on_error": on_error, "max_bad": max_bad, "bad_log": bad_log, "retry": retry}
    passes |= {"after_break": after_break, "steps_per_epoch": steps_per_epoch}
    read = root if callable(root) else partial(dc.read_folder, root)
    classes = accepted(read, num_classes=num_classes)

    @pipeline_def(**options, enable_conditionals=augment is not None)
    def graph() -> Any:
        jpegs, labels = read(shard=shard, seed=seed, **classes)
        images = dc.random_resized_crop(jpegs, size, **crop)
        if augment is not None:
            dc.bind_state(augment=_description(augment))
            images = _checked(augment(images), size)
        images, *mixed = dc.mix(images, labels, mix, **mixing)
        return dc.normalize(images, **output), *mixed

    if augment is not None or not dc.can_fuse(options["device_id"], fused):
        return dc.Loader(graph(), **passes)

    resample = dc.Resample(size, num_threads=options["num_threads"], **output)
    finish = dc.FusedMix(mix, resample=resample, **mixing)

    @pipeline_def(**options)
    def fused_graph() -> Any:
        jpegs, labels = read(shard=shard, seed=seed, **classes)
        return finish.inputs(dc.random_crop(jpegs, **crop), labels)

    return dc.Loader(fused_graph(), finish=finish, **passes)


def val(
    root: Root,
    *,
    batch_size: int = 256,
    size: int = 224,
    resize: int = 256,
    stretch: bool = False,
    num_classes: int | None = None,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: float | Sequence[float] = dc.IMAGENET_MEAN,
    std: float | Sequence[float] = dc.IMAGENET_STD,
    max_pixels: int = dc.MAX_PIXELS,
    formats: Collection[str] = dc.FORMATS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: Path = "bad_files.jsonl",
    retry: float = 60.0,
    after_break: Literal["continue", "restart"] | None = None,
    steps_per_epoch: int | None = None,
) -> dc.Loader:
    """Each image exactly once, in sorted order: shorter side resized to ``resize``, centre crop, normalized.

    Pixels differ from torchvision's by 0.13 of 255 levels on average over photographs, see ``dc.resize_center_crop``.
    With ``stretch`` both sides become ``resize`` (paper, B). Other arguments and errors are those of :func:`train`;
    ``steps_per_epoch`` is refused, since an evaluation has each sample once.

    Returns:
        A loader of N×3×``size``×``size`` images and N int64 labels; the last batch is smaller. Files without labels
        (``partial(dc.read_files, [path, …])``) give batches of images alone.

    Example:
        >>> from pipelines import imagenet
        >>> loader = imagenet.val("photos", batch_size=6, size=64, resize=72, device="cpu")
        >>> [labels.tolist() for images, labels in loader]
        [[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1]]
    """

    check_levels(mean, std)
    read = root if callable(root) else partial(dc.read_folder, root)
    classes = {} if num_classes is None else {"num_classes": num_classes}
    crop: Any = {"max_pixels": max_pixels, "formats": formats}

    @pipeline_def
    def graph() -> Any:
        jpegs, labels = read(shard=shard, shuffle=False, **classes)
        images = dc.resize_center_crop(jpegs, size, resize=resize, stretch=stretch, **crop)
        images = dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return images if labels is None else (images, labels)

    options = dc.pipeline_options(batch_size, device=device, num_threads=num_threads, prefetch=prefetch, shard=shard)
    passes: Any = {"after_break": after_break, "steps_per_epoch": steps_per_epoch}
    bad: Any = {"on_error": on_error, "max_bad": max_bad, "bad_log": bad_log, "retry": retry}
    return dc.Loader(graph(**options), **bad, **passes)


def _checked(images: Any, size: int) -> Any:
    """Refuse what an ``augment`` returned if it cannot be mixed: at once if it is no node, or in the first batch."""
    if not hasattr(images, "device"):
        raise ValueError(f"augment returned {images!r}; allowed is one node of H×W×3 uint8 images.")
    shape = images.shape(dtype=types.INT32)
    other = shape != types.Constant([size, size, 3], dtype=types.INT32)
    # DALI has no assertion: where a side is another, the new shape holds more pixels, and that fails.
    return fn.reshape(images, shape=shape + other, layout="HWC")  # augment must return images of the shape it was given


def _description(augment: Augment) -> str:
    """Name of a function, with the plain values of a ``partial``."""
    if not isinstance(augment, partial):
        return getattr(augment, "__name__", type(augment).__name__)
    given = [("", value) for value in augment.args] + [
        (f"{name}=", augment.keywords[name]) for name in augment.keywords
    ]
    values = [f"{name}{value!r}" for name, value in given if _is_plain(value)]
    return f"{_description(augment.func)}({', '.join(values)})"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
