"""DALI as its documentation shows it, without this library's operators: the baseline, and upper bounds."""

from collections.abc import Iterator
from typing import Any

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from bench.loaders.contenders import Batch, Settings
from bench.loaders.contenders.endless_pipeline import run_without_end

MEAN = [123.675, 116.28, 103.53]
STD = [58.395, 57.12, 57.375]


def _read(data: str, **reader: Any) -> Any:
    return fn.readers.file(file_root=data, shuffle_after_epoch=True, name="Reader", **reader)


def _crops(jpegs: Any, mixed: bool) -> Any:
    return fn.decoders.image_random_crop(
        jpegs,
        device="mixed" if mixed else "cpu",
        output_type=types.RGB,
        random_area=[0.08, 1.0],
        random_aspect_ratio=[3 / 4, 4 / 3],
        # On a CPU the same pixels as this library's loader, and faster. On a GPU DALI's default: with fancy upsampling
        # nvJPEG below 13.2 decodes no regions of 4:2:0 images, and the CPU would decode them.
        jpeg_fancy_upsampling=not mixed,
    )


@pipeline_def
def _plain(data: str, size: int, mixed: bool) -> tuple[Any, Any]:
    jpegs, labels = _read(data)
    images = fn.resize(_crops(jpegs, mixed), size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)
    images = fn.crop_mirror_normalize(
        images, dtype=types.FLOAT, output_layout="CHW", mean=MEAN, std=STD, mirror=fn.random.coin_flip()
    )
    return images, labels.gpu() if mixed else labels


@pipeline_def
def _decode(data: str, mixed: bool, whole: bool) -> Any:
    # With the options of this library's reader, so that the difference between both is not that of the readers.
    jpegs, _ = _read(data, dont_use_mmap=True)
    if not whole:
        return _crops(jpegs, mixed)
    device = "mixed" if mixed else "cpu"
    return fn.decoders.image(jpegs, device=device, output_type=types.RGB, jpeg_fancy_upsampling=True)


def _options(settings: Settings) -> dict[str, Any]:
    device_id = int(settings.device.removeprefix("cuda:")) if settings.device != "cpu" else None
    return {
        "data": str(settings.data),
        "mixed": device_id is not None,
        "batch_size": settings.batch_size,
        "num_threads": settings.threads,
        "device_id": device_id,
    }


def plain(settings: Settings) -> Iterator[Batch]:
    """Decode the crop, resize (bilinear, antialiased), mirror and normalize; PyTorch plugin; no mixing."""
    pipeline = _plain(size=settings.size, **_options(settings))
    # Size −1 means no end of an epoch, so that it is not measured.
    for batch in DALIGenericIterator(pipeline, ["images", "labels"], size=-1):
        yield batch[0]["images"], batch[0]["labels"].squeeze(1)


def decode(settings: Settings, whole: bool = False) -> Iterator[Batch]:
    """Decode the crop only, or the whole image; these differ in size, so there is no batch tensor."""
    yield from run_without_end(_decode(whole=whole, **_options(settings)))
