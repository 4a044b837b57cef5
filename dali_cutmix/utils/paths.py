"""Paths given to a verb: one or several, patterns, always on this machine."""

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

from dali_cutmix.utils.braces import expand_braces

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL = "files are read from this machine: download them, or mount what they are on, and give their path"


def local_paths(paths: Paths, verb: str) -> list[str]:
    """One path or several, as a list.

    Args:
        paths: as the user gave them.
        verb: the function that they were given to, for errors.

    Raises:
        ValueError: the list is empty, or a path is a URL or has characters that no path has.
        TypeError: a path is none.
    """
    found = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not found:
        raise ValueError(f"{verb}: no path given; give at least one.")
    for path in found:
        if not isinstance(path, str):
            raise TypeError(f"{verb}: {path!r} given; a path is text, or an os.PathLike of text.")
        if path.startswith("s3://"):
            raise ValueError(f"{verb}: {path} given; on S3 only single images are read, from a list by read_files.")
        check_no_url(path, verb)
        check_name(path, verb)
    return found


def check_no_url(path: str, where: str) -> None:
    """Refuse an address that is not one on S3.

    Raises:
        ValueError: see above.
    """
    if _URL.match(path) and not path.startswith("s3://"):
        raise ValueError(f"{where}: {path} given; {_LOCAL}, or give addresses that begin with s3://.")


def check_name(name: str, where: str) -> None:
    """Refuse text that no file can be called.

    Raises:
        ValueError: it holds a NUL, or characters that names cannot be encoded with.
    """
    try:
        is_name = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # half of a surrogate pair, from JSON
        is_name = False
    if not is_name:
        raise ValueError(f"{where}: {name!r} given; it holds a NUL or half a character, which names of files cannot.")


def path_below(folder: Path, name: str, where: str) -> Path:
    """Path of a file that is named in an annotation file, and has to be in a folder.

    Files of annotations come from elsewhere: they must not lead to other folders. A link in the folder is the user's
    own, and is followed.

    Args:
        folder: the folder.
        name: as the annotation file has it: a path below the folder.
        where: file and entry, for the message.

    Raises:
        ValueError: the name is empty, is no name of a file, or leads out of the folder.
    """
    check_name(name, where)
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(
            f"{where}: {name!r} given; expected a path below {folder}. Put the file there, or a link to its folder, "
            "and write its path below that."
        )
    return folder / name


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
