"""Read the header of a TIFF file: only its plainest kinds are decoded, and only if it holds a single image."""

import struct

import numpy as np

from dali_cutmix.image_headers.header import DamagedHeaderError, Header, cut_off, not_supported

MARKS = (b"II*\0", b"MM\0*")
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOUR, _SAMPLES, _PLANES = 256, 257, 258, 259, 262, 277, 284
_ORIENTATION, _STRIPS, _TILES, _PREDICTOR, _EXTRA, _SAMPLE_FORMAT = 274, (273, 279), (324, 325), 317, 338, 339
_TYPES = {3: "u2", 4: "u4"}
_LOSSLESS = (1, 5, 8, 32773, 32946)  # none, LZW, deflate, PackBits, deflate by its old number
_WHITE_IS_0, _RGB = 0, 2


def read_tiff(data: memoryview) -> Header:
    """Read a TIFF's header.

    Args:
        data: the file, which begins with one of ``MARKS``.

    Raises:
        HeaderError: see :func:`dali_cutmix.image_headers.inspect`.
    """
    try:
        tags = _tags(data)
    except struct.error:
        raise cut_off() from None

    def value(tag: int, otherwise: int) -> int:
        return int(tags[tag][0]) if tag in tags else otherwise

    width, height, samples = value(_WIDTH, 0), value(_HEIGHT, 0), value(_SAMPLES, 1)
    bits = tags[_BITS].tolist() if _BITS in tags else [1]
    if not width or not height:
        raise DamagedHeaderError("its header is damaged: no size")
    kind = {
        "samples": samples in (1, 3) and value(_COLOUR, 1) == (_RGB if samples == 3 else min(value(_COLOUR, 1), 1)),
        "bits of a sample": len(bits) == samples and set(bits) in ({8}, {16} if value(_COLOUR, 1) else {8}),
        "compression": value(_COMPRESSION, 1) in _LOSSLESS,
        "planes": samples == 1 or value(_PLANES, 1) == 1,
        "predictor": value(_PREDICTOR, 1) in (1, 2),
        "samples beside its colours": _EXTRA not in tags,
        "sample format": _SAMPLE_FORMAT not in tags or set(tags[_SAMPLE_FORMAT].tolist()) == {1},
    }
    if wrong := [name for name, fits in kind.items() if not fits]:
        raise not_supported(f"a TIFF of an unusual kind ({', '.join(wrong)})")
    _check_places(data, tags)
    turn = value(_ORIENTATION, 1)
    return Header("tiff", height, width, turn if 1 <= turn <= 8 else 1)


def _tags(data: memoryview) -> dict[int, np.ndarray]:
    """Whole numbers of the only image, by their tags.

    Raises:
        struct.error: the file ends before them.
    """
    order = "<" if data[0] == 0x49 else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    (another,) = struct.unpack_from(f"{order}I", data, first + 2 + 12 * count)
    if another:
        raise not_supported("a TIFF of several images")
    tags: dict[int, np.ndarray] = {}
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, length, place = struct.unpack_from(f"{order}HHII", data, at)
        if kind not in _TYPES or not length:
            continue
        if tag in tags:
            raise DamagedHeaderError(f"its header is damaged: tag {tag} twice")
        number = np.dtype(order + _TYPES[kind])
        start = at + 8 if length * number.itemsize <= 4 else place
        if start + length * number.itemsize > len(data):
            raise cut_off()
        tags[tag] = np.frombuffer(data, number, length, start)
    return tags


def _check_places(data: memoryview, tags: dict[int, np.ndarray]) -> None:
    """Refuse a file whose strips or tiles reach over its end."""
    places, lengths = _TILES if _TILES[0] in tags else _STRIPS
    if places not in tags or lengths not in tags or len(tags[places]) != len(tags[lengths]):
        raise DamagedHeaderError("its header is damaged: no places of its pixels")
    if (tags[places].astype(np.int64) + tags[lengths] > len(data)).any():
        raise DamagedHeaderError("its data is cut off")
