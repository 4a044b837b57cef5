"""Random damage to image files: varied originals and ways to spoil them, all drawn from one generator."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image

Damage = Callable[[np.random.Generator, bytes], bytes]

SIZES = [(1, 1), (17, 9), (64, 48), (96, 80), (500, 375)]
JPEGS = {
    "4:2:0": ("RGB", {"subsampling": 2}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:4:4": ("RGB", {"subsampling": 0}),
    "progressive": ("RGB", {"progressive": True}),
    "gray": ("L", {}),
    "gray progressive": ("L", {"progressive": True}),
    "CMYK": ("CMYK", {}),
    "restarts": ("RGB", {"restart_marker_blocks": 3}),
    "EXIF": ("RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
    "optimized": ("RGB", {"optimize": True, "icc_profile": bytes(3000), "comment": b"a comment"}),
}
OTHERS = {
    "PNG": ("RGB", "PNG", {}),
    "PNG with alpha": ("RGBA", "PNG", {}),
    "PNG with a palette": ("P", "PNG", {}),
    "BMP": ("RGB", "BMP", {}),
    "TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "WebP": ("RGB", "WEBP", {}),
}
SCANS = (0xC0, 0xC1, 0xC2)


@cache
def original(form: str, size: tuple[int, int]) -> bytes:
    """A file of noise on a ramp."""
    mode, options = JPEGS[form] if form in JPEGS else (OTHERS[form][0], OTHERS[form][2])
    width, height = size
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, width)[None, :, None] + rng.normal(0, 30, (height, width, 3))
    image = Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8)).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "JPEG" if form in JPEGS else OTHERS[form][1], **options)
    return stream.getvalue()


def segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """Marker, start and end of each segment up to the first scan's data."""
    found, at = [], 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        found.append((jpeg[at + 1], at, end))
        if jpeg[at + 1] == 0xDA:
            break
        at = end
    return found


def _range(rng: np.random.Generator, content: bytes) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, max(2, len(content) // 4))))


def _truncated(rng: np.random.Generator, content: bytes) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _flipped(rng: np.random.Generator, content: bytes) -> bytes:
    spoiled = np.frombuffer(content, np.uint8).copy()
    where = rng.integers(len(spoiled), size=int(rng.integers(1, 40)))
    spoiled[where] ^= (1 << rng.integers(8, size=len(where))).astype(np.uint8)
    return spoiled.tobytes()


def _flipped_head(rng: np.random.Generator, content: bytes) -> bytes:
    head = min(len(content), 700)
    return _flipped(rng, content[:head]) + content[head:]


def _overwritten(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + rng.bytes(end - start) + content[end:]


def _zeroed(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + bytes(end - start) + content[end:]


def _inserted(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + rng.bytes(end - start) + content[start:]


def _removed(rng: np.random.Generator, content: bytes) -> bytes:
    start, end = _range(rng, content)
    return content[:start] + content[end:]


def _random_marker(rng: np.random.Generator, content: bytes) -> bytes:
    start, _ = _range(rng, content)
    return content[:start] + bytes([0xFF, int(rng.integers(0xC0, 0xFF))]) + content[start:]


def _duplicated_segment(rng: np.random.Generator, content: bytes) -> bytes:
    _, start, end = segments(content)[int(rng.integers(len(segments(content))))]
    return content[:end] + content[start:end] * int(rng.integers(1, 20)) + content[end:]


def _swapped_segments(rng: np.random.Generator, content: bytes) -> bytes:
    found = segments(content)
    parts = [content[start:end] for _, start, end in found]
    rng.shuffle(parts)
    return content[:2] + b"".join(parts) + content[found[-1][2] :]


def _removed_segment(rng: np.random.Generator, content: bytes) -> bytes:
    _, start, end = segments(content)[int(rng.integers(len(segments(content))))]
    return content[:start] + content[end:]


def _segment_length(rng: np.random.Generator, content: bytes) -> bytes:
    _, start, _ = segments(content)[int(rng.integers(len(segments(content))))]
    length = int(rng.choice([0, 1, 2, 3, 0x7FFF, 0xFFFF, int(rng.integers(0x10000))]))
    return content[: start + 2] + struct.pack(">H", length) + content[start + 4 :]


def _spoiled_segment(rng: np.random.Generator, content: bytes) -> bytes:
    """Tables, components, EXIF: what a segment says, with its length as it was."""
    _, start, end = segments(content)[int(rng.integers(len(segments(content))))]
    return content[: start + 4] + _flipped(rng, content[start + 4 : end]) + content[end:]


def _frame(content: bytes) -> int:
    return next(start for marker, start, _ in segments(content) if marker in SCANS)


def _dimensions(content: bytes, height: int, width: int) -> bytes:
    at = _frame(content) + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def _other_size(rng: np.random.Generator, content: bytes) -> bytes:
    height, width = rng.integers(1, 4000, size=2)
    return _dimensions(content, int(height), int(width))


def _huge(rng: np.random.Generator, content: bytes) -> bytes:
    height, width = rng.integers(20_000, 65_536, size=2)
    return _dimensions(content, int(height), int(width))


def _no_pixels(rng: np.random.Generator, content: bytes) -> bytes:
    return _dimensions(content, *((0, 64), (64, 0), (0, 0))[int(rng.integers(3))])


def _many_scans(rng: np.random.Generator, content: bytes) -> bytes:
    """The first scan again and again: a decoder that takes each one anew may seem to hang."""
    start = segments(content)[-1][1]
    return content[:start] + content[start:-2] * int(rng.integers(2, 30)) + content[-2:]


def _headless(rng: np.random.Generator, content: bytes) -> bytes:
    return content[: int(rng.integers(segments(content)[-1][1]))]


ANYWHERE: list[Damage] = [_truncated, _flipped, _flipped_head, _overwritten, _zeroed, _inserted, _removed]
IN_JPEGS: list[Damage] = [
    *ANYWHERE,
    _random_marker,
    _duplicated_segment,
    _swapped_segments,
    _removed_segment,
    _segment_length,
    _spoiled_segment,
    _other_size,
    _huge,
    _no_pixels,
    _many_scans,
    _headless,
]
HOPELESS: list[Damage] = [_huge, _no_pixels, _headless]
"""No decoder can make an image of these, or none that is allowed to be that large."""


def _png_size(rng: np.random.Generator, content: bytes) -> bytes:
    header = b"IHDR" + struct.pack(">II", *map(int, rng.choice([0, 1, 77, 30_000, 2**31 - 1], 2))) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def damaged(seed: int, jpegs: int, others: int) -> Iterator[tuple[str, bool, bytes]]:
    """What it is, whether it is hopeless, and the bytes of each file; the same for the same arguments."""
    for number in range(jpegs + others):
        rng = np.random.default_rng([seed, number])
        is_jpeg = number < jpegs
        form = str(rng.choice(list(JPEGS if is_jpeg else OTHERS)))
        width, height = SIZES[int(rng.integers(len(SIZES)))]
        ways = IN_JPEGS if is_jpeg else [*ANYWHERE, *([_png_size] * 3 if "PNG" in form else [])]
        way = ways[int(rng.integers(len(ways)))]
        name = f"{form} {width}×{height}, {way.__name__.strip('_').replace('_', ' ')}"
        yield name, way in HOPELESS, way(rng, original(form, (width, height)))
