"""Find images that cannot be decoded, and say why, by decoding them on the CPU."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.ops import limit_pixels

CHUNK_IMAGES, CHUNK_BYTES = 64, 16 * 2**20
"""Limits of what is decoded at once, hundreds of megabytes of pixels."""
_STARTS = {b"GIF8": "a GIF, which is not supported", b"%PDF": "a PDF", b"RIFF": "a RIFF file", b"<": "a page of text"}
_IMAGES = (b"\xff\xd8", b"\x89PNG", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P5", b"P6")


def find_undecodable(images: Sequence[np.ndarray], max_pixels: int, *, num_threads: int = 1) -> dict[int, Fault]:
    """Find the images that cannot be decoded.

    They are decoded on the CPU even if the pipeline decodes on a GPU: a GPU's JPEG engine reports no error for some
    damaged files, and a pipeline with nvJPEG takes long to build.

    Args:
        images: encoded bytes, 1-D uint8 each.
        max_pixels: larger images are refused without decoding them.
        num_threads: threads that decode.

    Returns:
        Index of each such image, and what is wrong with it.
    """
    faults = {
        number: Fault("damaged", "the file is empty") for number, encoded in enumerate(images) if not len(encoded)
    }
    rest = [number for number in range(len(images)) if number not in faults]

    def search(numbers: list[int]) -> None:
        if not numbers or _decodes([images[n] for n in numbers], max_pixels, num_threads):
            return
        if len(numbers) == 1:
            faults[numbers[0]] = _fault(images[numbers[0]], max_pixels)
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


def _decodes(images: list[np.ndarray], max_pixels: int, num_threads: int) -> bool:
    @pipeline_def(batch_size=len(images), num_threads=num_threads, device_id=None)
    def graph() -> Any:
        encoded, _ = limit_pixels(fn.external_source(source=[images]), max_pixels)
        return fn.decoders.image(encoded, output_type=types.RGB)

    return _runs(graph())


def _runs(pipeline: Any) -> bool:
    try:
        pipeline.run()
    except RuntimeError:
        return False
    return True


def _fault(encoded: np.ndarray, max_pixels: int) -> Fault:
    """What is wrong with an image that does not decode."""
    start = encoded[:16].tobytes()
    if start.startswith(_IMAGES):
        return _size_fault(encoded, max_pixels) or Fault("damaged", "its data is damaged or cut off")
    known = next((what for mark, what in _STARTS.items() if start.startswith(mark)), None)
    return Fault("damaged", known or f"not an image: it begins with {start!r}")


def _size_fault(encoded: np.ndarray, max_pixels: int) -> Fault | None:
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph() -> Any:
        return fn.peek_image_shape(fn.external_source(source=[[encoded]]))

    try:
        height, width = np.asarray(graph().run()[0][0])[:2].tolist()
    except RuntimeError:
        return Fault("damaged", "its header is damaged or cut off")
    if width * height > max_pixels:
        return Fault("not supported", f"{width}×{height} pixels, more than max_pixels={max_pixels}")
    return None
