"""A cache of files that can be generated again, in a folder that belongs to the user alone.

Entries of other users, entries that others can write to, and what is no regular file are never read.
"""

import errno
import hashlib
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

from dali_cutmix.utils.atomic_files import make_atomically, publish, remove_leftovers, temporary_beside
from dali_cutmix.utils.files import open_regular

_LENGTH = 8  # bytes of the number that says how long an entry's content is
_warned: set[str | None] = set()
_cleaned: set[Path] = set()
_SET = "set XDG_CACHE_HOME to the absolute path of a folder of your own"


def cache_folder() -> Path:
    """The folder: ``$XDG_CACHE_HOME/dali_cutmix``, by default ``~/.cache/dali_cutmix``.

    A relative ``XDG_CACHE_HOME`` is ignored, as its specification says.

    Raises:
        OSError: there is no home folder.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "dali_cutmix"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home() raises an error where there is none)
    if not home.is_absolute():
        raise FileNotFoundError(errno.ENOENT, f"no home folder, so no cache; {_SET}", str(home))
    return home / ".cache" / "dali_cutmix"


def make_cache_folder(*below: str) -> Path:
    """Make the cache folder, or a folder below it, and check that it belongs to this user alone.

    Raises:
        OSError: there is none, it cannot be made, or others can write to it.
    """
    folder = cache_folder()
    for parent in reversed([folder, *folder.parents]):
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    for name in ("", *below):
        folder /= name
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_own(folder.stat(), folder)
    return folder


def generated(name: str, make: Callable[[Path], None], parent: Path | None = None) -> Path:
    """Path of a folder that is made on the first call, and found by all later ones.

    It appears there complete or not at all, see :func:`make_atomically`.

    Args:
        name: of the folder; it changes with whatever the content depends on.
        make: makes the folder, at the path that it is given.
        parent: where it lies; by default in the cache.

    Raises:
        OSError: it cannot be made, or others can write to it.
    """
    if found := generated_before(name, parent):
        return found
    if parent is None:
        make_atomically(make_cache_folder() / name, lambda target: _make_own(target, make))
    else:
        make_atomically(parent / name, make)
    return generated_before(name, parent) or (parent or cache_folder()) / name


def generated_before(name: str, parent: Path | None = None) -> Path | None:
    """Path of a folder that an earlier call of :func:`generated` made; None where there is none.

    Raises:
        OSError: others can write to it.
    """
    path = (cache_folder() if parent is None else parent) / name
    if not path.is_dir():
        return None
    for made in (path.parent, path) if parent is None else ():
        _check_own(made.stat(), made)
    return path


def _make_own(target: Path, make: Callable[[Path], None]) -> None:
    make(target)
    target.chmod(0o700)


def _check_own(found: os.stat_result, path: Path) -> None:
    """Refuse what another user made, root excepted, or what others can write to."""
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(errno.EPERM, f"it belongs to another user; remove it, or {_SET}", str(path))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, f"others can write to it; run chmod go-w on it, or {_SET}", str(path))


def cache_path(kind: str, *belongs_to: str) -> Path | None:
    """Path of a file in the cache, named by a hash of what it belongs to; None where there is no home folder."""
    name = hashlib.sha256("\0".join(belongs_to).encode(errors="surrogateescape")).hexdigest()[:32]
    try:
        return cache_folder() / kind / name
    except OSError:
        return None


def remember(path: Path | None, belongs_to: bytes, content: bytes) -> None:
    """Store ``content``, valid for as long as ``belongs_to`` stays the same; warn where that is not possible."""
    try:
        if path is None:
            cache_folder()  # says why there is none
            return
        entry = make_cache_folder(path.parent.name) / "entry"
        if entry.parent not in _cleaned:
            _cleaned.add(entry.parent)
            remove_leftovers(entry)
        with temporary_beside(entry) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(_header(belongs_to, content))
            file.write(content)
            file.flush()
            publish(Path(file.name), path)
    except OSError as error:
        _warn(error)


def remembered(path: Path | None, belongs_to: bytes) -> bytes | None:
    """Load what was stored; None where nothing was, it is damaged, or it belongs to something else."""
    if path is None:
        return None
    try:
        descriptor = open_regular(path, flags=os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            for folder in (path.parent.parent, path.parent):
                _check_own(folder.stat(), folder)
            found = os.fstat(descriptor)
            _check_own(found, path)
            header = file.read(len(belongs_to) + _LENGTH + hashlib.sha256().digest_size)
            length = found.st_size - len(header)
            if not header.startswith(belongs_to + length.to_bytes(_LENGTH, "big")):
                return None  # before its content is read: that of a damaged entry may have any size
            content = file.read(length)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
            _warn(error)
        return None
    return content if header == _header(belongs_to, content) else None


def forget(path: Path | None) -> None:
    """Remove what was stored, so that nothing is loaded even if nothing can be stored."""
    if path is None:
        return
    try:
        for folder in (path.parent.parent, path.parent):
            _check_own(folder.stat(), folder)
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        _warn(error)


def _header(belongs_to: bytes, content: bytes) -> bytes:
    return belongs_to + len(content).to_bytes(_LENGTH, "big") + hashlib.sha256(content).digest()


def _warn(error: OSError) -> None:
    """Warn once for each reason, on one process of each machine."""
    if error.strerror not in _warned and os.environ.get("LOCAL_RANK", "0") == "0":
        _warned.add(error.strerror)
        where = f"{error.filename}: " if error.filename else ""
        warnings.warn(
            f"{where}not used as a cache ({error.strerror}); large data sets are listed again at each start. If that "
            f"takes long, {_SET}.",
            stacklevel=4,
        )
