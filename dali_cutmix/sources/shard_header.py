"""Header of an image in a shard: the image's name and its checksum.

The checksum is in the field that other tar files have the name of a group in. Every reader of tar files takes it for an
unknown group, and packed folders are the same to all versions of this library. Shards of versions that wrote none are
read without a comparison.
"""

import google_crc32c
import numpy as np

from dali_cutmix.sources.sample_error import SampleError

HEADER_BYTES = 512
_NAME, _GROUP = slice(0, 100), slice(297, 329)


def checksum_field(image: bytes | np.ndarray) -> str:
    """Text for the header of an image: ``crc32c:`` and the checksum of its bytes, CRC-32C, in hexadecimal digits."""
    return f"crc32c:{google_crc32c.value(image):08x}"


def checked_image(content: np.ndarray, member: str) -> np.ndarray:
    """The bytes of an image in a shard, compared with its header.

    Args:
        content: header and image, 1-D uint8.
        member: the name that it must have.

    Raises:
        SampleError: it has another name or another checksum.
    """
    header, image = content[:HEADER_BYTES].tobytes(), content[HEADER_BYTES:]
    name, written = header[_NAME].rstrip(b"\0"), header[_GROUP].rstrip(b"\0")
    if name != member.encode():
        raise SampleError(
            f"its place holds {name[:40].decode(errors='replace')!a}: the shard or its index is damaged, or another's"
        )
    if written and written != checksum_field(image).encode():
        raise SampleError("its checksum is wrong: its bytes are not those that were packed")
    return image
