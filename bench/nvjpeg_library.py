"""Which nvJPEG a process has loaded, and its version."""

import ctypes
import re
from pathlib import Path

_PROPERTIES = (0, 1, 2)
"""``MAJOR_VERSION``, ``MINOR_VERSION``, ``PATCH_LEVEL`` of CUDA's ``libraryPropertyType``."""


def loaded_libraries(maps: str | None = None) -> list[str]:
    """Paths of the libnvjpeg that this process has loaded: one, unless something went wrong.

    Args:
        maps: text of a ``/proc/PID/maps``; by default of this process.
    """
    text = Path("/proc/self/maps").read_text() if maps is None else maps
    # Wheels add a hash to the name: libnvjpeg.36e11081.so.13.
    return sorted(set(re.findall(r"\s(/\S*/libnvjpeg(?:\.[0-9a-f]+)?\.so\S*)", text)))


def version(library: str) -> str:
    """``MAJOR.MINOR.PATCH`` of a libnvjpeg, as it says itself."""
    get = ctypes.CDLL(library).nvjpegGetProperty
    numbers = []
    for which in _PROPERTIES:
        number = ctypes.c_int()
        if status := get(ctypes.c_int(which), ctypes.byref(number)):
            raise OSError(f"{library}: nvjpegGetProperty({which}) returned {status}")
        numbers.append(number.value)
    return ".".join(map(str, numbers))


def short(library: str) -> str:
    """Without the folder of the machine's Python, which says nothing elsewhere."""
    return library.rpartition("/site-packages/")[2]
