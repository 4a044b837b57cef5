"""Find images that cannot be decoded, and say why, by decoding them on the CPU."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.image_headers import FORMATS, HeaderError, inspect
from dali_cutmix.ops import inspect_images

CHUNK_IMAGES, CHUNK_BYTES = 64, 16 * 2**20
"""Limits of what is decoded at once, hundreds of megabytes of pixels."""


def find_undecodable(
    images: Sequence[np.ndarray], max_pixels: int, formats: Collection[str] = FORMATS, *, num_threads: int = 1
) -> dict[int, Fault]:
    """Find the images that cannot be decoded.

    They are decoded on the CPU even if the pipeline decodes on a GPU: a GPU's JPEG engine reports no error for some
    damaged files, and a pipeline with nvJPEG takes long to build.

    Args:
        images: encoded bytes, 1-D uint8 each.
        max_pixels: larger images are refused without decoding them.
        formats: names of the formats that are decoded.
        num_threads: threads that decode.

    Returns:
        Index of each such image, and what is wrong with it.
    """
    faults = {number: fault for number, image in enumerate(images) if (fault := _refusal(image, formats, max_pixels))}
    rest = [number for number in range(len(images)) if number not in faults]

    def search(numbers: list[int]) -> None:
        if not numbers or _decodes([images[n] for n in numbers], max_pixels, formats, num_threads):
            return
        if len(numbers) == 1:
            faults[numbers[0]] = Fault("damaged", "its data is damaged or cut off")
            return
        half = len(numbers) // 2
        search(numbers[:half])
        search(numbers[half:])

    for chunk in chunks(rest, lambda number: len(images[number])):
        search(chunk)
    return dict(sorted(faults.items()))


def chunks(items: Iterable[Any], size: Callable[[Any], int]) -> Iterator[list[Any]]:
    """Group items into lists that can be decoded at once.

    Args:
        items: what to group.
        size: the size of one item in bytes.
    """
    chunk, total = [], 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if len(chunk) == CHUNK_IMAGES or total >= CHUNK_BYTES:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _decodes(images: list[np.ndarray], max_pixels: int, formats: Collection[str], num_threads: int) -> bool:
    @pipeline_def(batch_size=len(images), num_threads=num_threads, device_id=None)
    def graph() -> Any:
        encoded, _ = inspect_images(fn.external_source(source=[images]), max_pixels, formats)
        return fn.decoders.image(encoded, output_type=types.RGB)

    return _runs(graph())


def _runs(pipeline: Any) -> bool:
    try:
        pipeline.run()
    except RuntimeError:
        return False
    return True


def _refusal(encoded: np.ndarray, formats: Collection[str], max_pixels: int) -> Fault | None:
    """Why an image must not reach a decoder."""
    try:
        inspect(encoded, formats, max_pixels)
    except HeaderError as error:
        return Fault(error.kind, str(error))
    return None
