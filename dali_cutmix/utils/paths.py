"""Paths given to a verb: one or several, patterns, always on this machine."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from dali_cutmix.utils.braces import expand_braces

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
    """Absolute paths of files, from paths and patterns.

    Braces are expanded first, see :func:`expand_braces`; then a name with ``*``, ``?`` or ``[…]`` becomes its matches
    in sorted order, without index files (.idx). A file that has such a name is meant as it is.

    Raises:
        ValueError: see :func:`local_paths`; or braces do not fit together.
        FileNotFoundError: no file matches a pattern, or one that braces name is missing.
    """
    found: list[Path] = []
    for path in local_paths(paths, verb):
        if Path(path).exists() or not set("{}") & set(path):
            found += _matching(path, verb)
            continue
        try:
            named = list(expand_braces(path))
        except ValueError as error:
            raise ValueError(
                f"{verb}: {path} given; {error}. Write a range as {{000..099}} and a list as {{a,b}}."
            ) from error
        matches = [match for name in named for match in _matching(name, verb)]
        if missing := [match for match in matches if not match.exists()]:
            raise FileNotFoundError(
                f"{verb}: {path} given; {len(missing)} of the {len(matches)} files that it names are missing, the "
                f"first is {missing[0]}. Copy what is missing, or give a smaller range."
            )
        found += matches
    return found


def _matching(path: str, verb: str) -> list[Path]:
    if not glob.has_magic(path) or Path(path).exists():
        return [Path(path).absolute()]
    if matching := [match for match in sorted(glob.glob(path)) if not match.endswith(".idx")]:  # noqa: PTH207
        return [Path(match).absolute() for match in matching]
    raise FileNotFoundError(f"{verb}: no file matches {path!r}.")
