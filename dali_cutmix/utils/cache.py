"""Where files that can be made again are kept between runs."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from dali_cutmix.utils.atomic_files import publish


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/dali_cutmix``, or below ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dali_cutmix"


def cache_path(kind: str, *belongs_to: str) -> Path:
    """A file in the cache folder, named by what it belongs to."""
    name = hashlib.sha256("\0".join(belongs_to).encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / kind / name


def remember(path: Path, belongs_to: bytes, content: bytes) -> None:
    """Keep ``content`` for as long as ``belongs_to`` stays the same; where nothing can be kept, do nothing."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")  # of its own: all ranks may do this at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(belongs_to + _digest(content) + content)
        publish(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


def remembered(path: Path, belongs_to: bytes) -> bytes | None:
    """What was kept; None where that is nothing, damaged, or belongs to something else."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    start = len(belongs_to) + hashlib.sha256().digest_size
    content = found[start:]
    return content if found[:start] == belongs_to + _digest(content) else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
