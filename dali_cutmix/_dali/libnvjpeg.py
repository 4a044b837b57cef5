"""Find the nvJPEG that nvImageCodec, DALI's decoder, loads at run time. As a script: load one, print its version."""

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
    """The nvJPEG library: path of its file, and version."""

    path: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return f"nvJPEG {'.'.join(map(str, self.version))} ({self.path})"


def library() -> Nvjpeg | None:
    """Find the nvJPEG that decodes in this process: the loaded one, or the one that nvImageCodec would load.

    This needs no GPU and loads nothing: a library that is not loaded yet is asked for its version in another process.
    """
    loaded = _loaded()
    if loaded is not None:
        return _describe(loaded)
    # The dynamic loader reuses any loaded file with the requested SONAME: a file that was opened here only to read its
    # version would decode from then on.
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
    """Load the nvJPEG that nvImageCodec would load, before another package loads its own.

    Some packages bring copies with the same SONAME (torchvision does), and nvImageCodec gets the one loaded first.
    """
    if _loaded() is None:
        _first(_candidates())


def library_path() -> list[str]:
    """Folders of ``LD_LIBRARY_PATH`` at the start of this process: the dynamic loader ignores later changes."""
    began = dict(line.split("=", 1) for line in _read("/proc/self/environ").split("\0") if "=" in line)
    value = began.get("LD_LIBRARY_PATH", "")
    return [folder or "." for folder in re.split("[:;]", value)] if value else []


def _read(path: str) -> str:
    return Path(path).read_text(errors="surrogateescape")


@cache
def _wanted(extension: str) -> tuple[list[str], list[str]]:
    """Names of the library that nvImageCodec's extension asks for, and the folders of its RUNPATH, from its binary."""
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
    """Files and names to try, in the dynamic loader's order; a name alone is looked up in the system's folders."""
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
    """Files mapped into this process's memory: first address, end address, path."""
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
