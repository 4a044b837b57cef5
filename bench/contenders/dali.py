"""DALI as its documentation shows it, with nothing of this library: the baseline and the ceiling."""

from collections.abc import Iterator
from typing import Any

from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from bench.contenders import Batch, Settings

MEAN = [123.675, 116.28, 103.53]
STD = [58.395, 57.12, 57.375]


def _crops(data: str, mixed: bool, **reader: Any) -> tuple[Any, Any]:
    jpegs, labels = fn.readers.file(file_root=data, shuffle_after_epoch=True, name="Reader", **reader)
    crops = fn.decoders.image_random_crop(
        jpegs,
        device="mixed" if mixed else "cpu",
        output_type=types.RGB,
        random_area=[0.08, 1.0],
        random_aspect_ratio=[3 / 4, 4 / 3],
        # The same pixels as this library's, and on the CPU the faster choice.
        jpeg_fancy_upsampling=True,
    )
    return crops, labels


@pipeline_def
def _plain(data: str, size: int, mixed: bool) -> tuple[Any, Any]:
    crops, labels = _crops(data, mixed)
    images = fn.resize(crops, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)
    images = fn.crop_mirror_normalize(
        images, dtype=types.FLOAT, output_layout="CHW", mean=MEAN, std=STD, mirror=fn.random.coin_flip()
    )
    return images, labels.gpu() if mixed else labels


@pipeline_def
def _decode(data: str, mixed: bool) -> Any:
    # As this library reads: what it takes beyond this is then not the reader's.
    return _crops(data, mixed, dont_use_mmap=True)[0]


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
    # Size −1: no end of an epoch, so that its turn is not billed.
    for batch in DALIGenericIterator(pipeline, ["images", "labels"], size=-1):
        yield batch[0]["images"], batch[0]["labels"].squeeze(1)


def decode(settings: Settings) -> Iterator[Batch]:
    """Decode the crop only; the crops differ in size, so there is no batch tensor."""
    pipeline = _decode(**_options(settings))
    pipeline.build()
    while True:
        pipeline.run()
        yield None
