"""Paths given to a verb: one or several, patterns, always on this machine."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]


def local_paths(paths: Paths, verb: str) -> list[str]:
    """One path or several, as a list.

    Args:
        paths: as the user gave them.
        verb: the function that they were given to, for errors.

    Raises:
        ValueError: the list is empty, or a path is a URL.
    """
    found = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not found:
        raise ValueError(f"{verb}: no path given; give at least one.")
    for path in found:
        if "://" in path:
            raise ValueError(f"{verb}: {path} given; on S3 only single images are read, from a list by read_files.")
    return found


def local_files(paths: Paths, verb: str) -> list[Path]:
    """Absolute paths of files; each pattern becomes its matches in sorted order, without index files (.idx).

    Raises:
        ValueError: see :func:`local_paths`.
        FileNotFoundError: no file matches a pattern.
    """
    found: list[Path] = []
    for path in local_paths(paths, verb):
        if not glob.has_magic(path) or Path(path).exists():
            found.append(Path(path).absolute())
        elif matching := [match for match in sorted(glob.glob(path)) if not match.endswith(".idx")]:  # noqa: PTH207
            found += [Path(match).absolute() for match in matching]
        else:
            raise FileNotFoundError(f"{verb}: no file matches {path!r}.")
    return found
