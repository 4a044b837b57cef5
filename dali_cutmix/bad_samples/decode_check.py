"""Find images that cannot be decoded, and say why: judge their headers as the graphs do, and decode them on the CPU."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.image_headers import ALL_FORMATS, FORMATS, Header, HeaderError, inspect

CHUNK_IMAGES, CHUNK_BYTES = 64, 256 * 2**20
"""Limits of what is decoded at once; the bytes are those of pixels."""


def find_undecodable(
    images: Sequence[np.ndarray], max_pixels: int, formats: Collection[str] | None = FORMATS, *, num_threads: int = 1
) -> dict[int, Fault]:
    """Find the images that cannot be decoded.

    They are decoded whole, on the CPU, even if the pipeline decodes regions or on a GPU: damage outside of a region is
    not seen, a GPU's JPEG engine reports no error for some damaged files, and a pipeline with nvJPEG takes long to
    build.

    Args:
        images: encoded bytes, 1-D uint8 each.
        max_pixels: larger images are refused without decoding them.
        formats: names of the formats that are decoded; others are not supported. None for a graph with decoders of its
            own, which decode other formats, too: then whatever can be decoded is good.
        num_threads: threads that decode.

    Returns:
        Index of each such image, and what is wrong with it.

    Raises:
        MemoryError: there is too little memory to decode an image; it may be a good one.
    """
    faults: dict[int, Fault] = {}
    headers: dict[int, Header] = {}
    for number, encoded in enumerate(images):
        try:
            headers[number] = inspect(encoded, ALL_FORMATS if formats is None else formats, max_pixels)
        except HeaderError as error:
            if formats is not None or not (_is_unusual(encoded) and _decodes([encoded], num_threads)):
                faults[number] = Fault(error.kind, str(error))

    def search(numbers: list[int]) -> None:
        if _decodes([_decoded_form(images[n], headers[n]) for n in numbers], num_threads):
            return
        if len(numbers) == 1:
            faults[numbers[0]] = Fault("damaged", "its data is damaged or cut off")
            return
        half = len(numbers) // 2
        search(numbers[:half])
        search(numbers[half:])

    for chunk in chunks(headers, lambda number: 3 * headers[number].height * headers[number].width, CHUNK_BYTES):
        search(chunk)
    return dict(sorted(faults.items()))


def chunks(items: Iterable[Any], size: Callable[[Any], int], most: int = CHUNK_BYTES) -> Iterator[list[Any]]:
    """Group items into lists of at most ``CHUNK_IMAGES``.

    Args:
        items: what to group.
        size: the size of one item in bytes.
        most: largest size of a list, unless it has a single item.
    """
    chunk: list[Any] = []
    total = 0
    for item in items:
        if chunk and (len(chunk) == CHUNK_IMAGES or total + size(item) > most):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += size(item)
    if chunk:
        yield chunk


def _is_unusual(encoded: np.ndarray) -> bool:
    """Whether an image is of a kind that is not supported, rather than damaged or too large."""
    try:
        inspect(encoded, ALL_FORMATS)
    except HeaderError as error:
        return error.kind == "not supported"
    return False


def _decoded_form(encoded: np.ndarray, header: Header) -> np.ndarray:
    return encoded if header.mended is None else np.frombuffer(header.mended, np.uint8)


def _decodes(images: list[np.ndarray], num_threads: int) -> bool:
    @pipeline_def(batch_size=len(images), num_threads=num_threads, device_id=None)
    def graph() -> Any:
        return fn.decoders.image(fn.external_source(source=[images]), output_type=types.RGB)

    try:
        graph().run()
    except RuntimeError as error:
        if "bad_alloc" in str(error):
            raise MemoryError("memory ran out while images were decoded") from error
        return False
    return True
