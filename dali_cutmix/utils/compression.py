"""Compressed files: recognized by their first bytes, refused with the command that unpacks them."""

import shlex
from pathlib import Path

_TOOLS = {  # first bytes: the tool, and the endings of files that it writes
    b"\x1f\x8b": ("gzip", (".gz", ".tgz")),
    b"\x28\xb5\x2f\xfd": ("zstd", (".zst", ".tzst")),
    b"BZh": ("bzip2", (".bz2", ".tbz2", ".tbz")),
    b"\xfd7zXZ\0": ("xz", (".xz", ".txz")),
    b"\x04\x22\x4d\x18": ("lz4", (".lz4",)),
}


def is_compressed_tar(path: Path) -> bool:
    """Whether a file's name is that of a compressed tar file: ``x.tar.gz``, ``x.tgz``."""
    endings = {ending for _, those in _TOOLS.values() for ending in those}
    return path.suffix in endings and (path.suffix.startswith(".t") or ".tar" in path.suffixes)


def refuse_compressed(path: Path) -> None:
    """Refuse a compressed file, whose samples cannot be read by their places.

    Raises:
        ValueError: the file is compressed; the message has the command that unpacks it.
    """
    with path.open("rb") as file:
        begins = file.read(6)
    for magic, (tool, endings) in _TOOLS.items():
        if begins.startswith(magic):
            raise ValueError(
                f"{path}: compressed by {tool}; samples are read by their places in the file, so unpack it. "
                f"Run {tool} -dc {shlex.quote(str(path))} > {shlex.quote(str(_unpacked(path, endings)))} and give the "
                "file that it writes."
            )


def _unpacked(path: Path, endings: tuple[str, ...]) -> Path:
    if path.suffix not in endings:
        return path.with_name(f"{path.stem}.unpacked{path.suffix}")
    return path.with_suffix(".tar" if path.suffix.startswith(".t") else "")
