"""A cache folder for files that can be generated again."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from dali_cutmix.utils.atomic_files import publish


def cache_folder() -> Path:
    """The folder: ``$XDG_CACHE_HOME/dali_cutmix``, by default ``~/.cache/dali_cutmix``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dali_cutmix"


def cache_path(kind: str, *belongs_to: str) -> Path:
    """Path of a file in the cache folder, named by a hash of what it belongs to."""
    name = hashlib.sha256("\0".join(belongs_to).encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / kind / name


def remember(path: Path, belongs_to: bytes, content: bytes) -> None:
    """Store ``content``, valid for as long as ``belongs_to`` stays the same; do nothing where the disk refuses it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")  # one per process: all ranks may do this at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(belongs_to + _digest(content) + content)
        publish(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


def remembered(path: Path, belongs_to: bytes) -> bytes | None:
    """Load what was stored; None where nothing was, it is damaged, or it belongs to something else."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    start = len(belongs_to) + hashlib.sha256().digest_size
    content = found[start:]
    return content if found[:start] == belongs_to + _digest(content) else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
