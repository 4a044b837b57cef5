"""Find the nvJPEG that nvImageCodec, DALI's decoder, loads at run time. Run as a script, load one and describe it."""

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Nvjpeg:
    """A file of the nvJPEG library."""

    path: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"nvJPEG {'.'.join(map(str, self.version))} ({self.path})"


def library() -> Nvjpeg | None:
    """The nvJPEG that decodes in this process: the one that is loaded, else the one that nvImageCodec would load.

    Needs no GPU and loads nothing: one that is not loaded yet is asked for its version in a process of its own.
    """
    loaded = _loaded()
    if loaded is not None:
        return _describe(loaded)
    # The dynamic loader takes any loaded file with the same SONAME for the one that is asked for by name: a file that
    # was opened here only to read its version would decode from then on.
    command = [sys.executable, "-I", "-S", __file__, *_candidates()]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:  # an embedded Python has no executable
        return None
    if len(said) != 4:
        return None
    path, major, minor, patch = said
    return Nvjpeg(path, (int(major), int(minor), int(patch)))


def load() -> None:
    """Load the nvJPEG that nvImageCodec would load now, before another package loads its own.

    Packages bring copies with the same SONAME (torchvision does), and nvImageCodec gets whichever was loaded first.
    """
    if _loaded() is None:
        _first(_candidates())


def library_path() -> list[str]:
    """Folders of ``LD_LIBRARY_PATH`` as this process began: later changes are nothing to the dynamic loader."""
    began = dict(line.split("=", 1) for line in _read("/proc/self/environ").split("\0") if "=" in line)
    value = began.get("LD_LIBRARY_PATH", "")
    return [folder or "." for folder in re.split("[:;]", value)] if value else []


def _read(path: str) -> str:
    return Path(path).read_text(errors="surrogateescape")


@cache
def _wanted(extension: str) -> tuple[list[str], list[str]]:
    """Names by which nvImageCodec's extension asks for the library, and the folders of its RUNPATH, from its binary."""
    content = Path(extension).read_bytes()
    names = {name.decode() for name in re.findall(rb"(?<=\0)libnvjpeg\.so(?:\.\d+)?(?=\0)", content)}
    runpath = re.search(rb"\$ORIGIN[^\0]*(?=\0)", content)
    folders = runpath[0].decode().replace("$ORIGIN", str(Path(extension).parent)).split(":") if runpath else []
    return sorted(names, key=len, reverse=True), folders


def _names_and_folders() -> tuple[list[str], list[str]]:
    for _, _, path in _mapped():
        if Path(path).name.startswith("libnvjpeg_ext.so") and Path(path).is_file():  # not replaced since
            return _wanted(path)
    package = find_spec("nvidia.nvimgcodec")
    folders = package.submodule_search_locations or [] if package else []
    extensions = [str(path) for folder in folders for path in Path(folder, "extensions").glob("libnvjpeg_ext.so*")]
    return _wanted(extensions[0]) if extensions else ([], [])


def _candidates() -> list[str]:
    """Files and names to open, in the dynamic loader's order; a name alone is looked up in the system's folders."""
    names, folders = _names_and_folders()
    candidates = []
    for name in names:
        paths = [os.path.join(folder, name) for folder in library_path() + folders]
        candidates += [*filter(os.path.isfile, paths), name]
    return candidates


def _loaded() -> ctypes.CDLL | None:
    return _first(_names_and_folders()[0], os.RTLD_NOLOAD)


def _first(candidates: list[str], mode: int = 0) -> ctypes.CDLL | None:
    for candidate in candidates:
        try:
            return ctypes.CDLL(candidate, mode)
        except OSError:
            continue
    return None


def _describe(opened: ctypes.CDLL) -> Nvjpeg:
    address = ctypes.cast(opened.nvjpegGetProperty, ctypes.c_void_p).value or 0
    path = next(path for begin, end, path in _mapped() if begin <= address < end)
    major, minor, patch = (_property(opened, number) for number in range(3))  # as library_types.h numbers them
    return Nvjpeg(os.path.realpath(path), (major, minor, patch))


def _property(opened: ctypes.CDLL, number: int) -> int:
    value = ctypes.c_int()
    opened.nvjpegGetProperty(number, ctypes.byref(value))
    return value.value


def _mapped() -> Iterator[tuple[int, int, str]]:
    """Files in this process's memory: first address, the one after the last, path."""
    for line in _read("/proc/self/maps").splitlines():
        span, _, _, _, _, *path = line.split(maxsplit=5)
        if path:
            begin, end = span.split("-")
            yield int(begin, 16), int(end, 16), path[0]


if __name__ == "__main__":
    opened = _first(sys.argv[1:])
    if opened is not None:
        described = _describe(opened)
        print(described.path, *described.version, sep="\n")
