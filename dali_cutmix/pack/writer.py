"""Write the shards of a packed folder: a pool of processes encodes, this process writes."""

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from dali_cutmix.sources import MANIFEST, UNFINISHED, Manifest, checksum_field, member, read_index
from dali_cutmix.utils import (
    Crash,
    map_in_children,
    printable,
    publish,
    remove_leftovers,
    temporary_beside,
    write_atomically,
)

_GROUP = 4  # images that a worker encodes at once
_TIMEOUT = 600  # seconds that they may take


def write_shard(tar: Path, samples: Iterable[tuple[int, int, bytes | str]]) -> list[str]:
    """Write one shard and its index, but only if all its images are good.

    Args:
        tar: path of the shard.
        samples: number and label of each sample, and its JPEG or an error message.

    Returns:
        The error messages.
    """
    for path in (tar, tar.with_suffix(".idx")):
        remove_leftovers(path, older_than=0)  # no other run is packing into the folder
    with temporary_beside(tar) as file:
        bad, lines = _write_tar(file, samples)
        if not bad:
            file.flush()
            index = "\n".join([f"v1.2 {len(lines)}", *lines, ""])
            write_atomically(tar.with_suffix(".idx"), index.encode())
            publish(Path(file.name), tar)  # last: a shard that is there is complete
        return bad


def _write_tar(file: BinaryIO, samples: Iterable[tuple[int, int, bytes | str]]) -> tuple[list[str], list[str]]:
    """Write a tar; error messages, and the lines of the index."""
    bad, lines = [], []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, label, jpeg in samples:
            if isinstance(jpeg, str):
                bad.append(jpeg)
            elif not bad:
                fields: list[Any] = []
                for extension, content in (("jpg", jpeg), ("cls", str(label).encode())):
                    info = tarfile.TarInfo(member(number, extension))  # owner 0, time 0: the same bytes in every run
                    info.size = len(content)
                    info.gname = checksum_field(content)
                    fields += [extension, file.tell() + tarfile.BLOCKSIZE, info.size, info.name]
                    archive.addfile(info, io.BytesIO(content))
                lines.append(" ".join(map(str, fields)))
    return bad, lines


def write_shards(source: Path, out: Path, wanted: Manifest, workers: int) -> list[str]:
    """Write the shards that are missing.

    Args:
        source: the folder to pack.
        out: the folder for the shards.
        wanted: the manifest.
        workers: number of processes that encode.

    Returns:
        An error message for each image that cannot be packed; their shards are not written. If there are none, ``out``
        is complete.
    """
    from tqdm import tqdm

    from dali_cutmix.pack.encode import encode_all

    samples = list(zip(wanted.files, wanted.labels, strict=True))
    firsts = range(0, len(samples), wanted.samples_per_shard)
    todo = [
        (out / name, first, count)
        for (name, count), first in zip(wanted.shards.items(), firsts, strict=True)
        if not _is_complete(out / name, count)
    ]
    missing = sum(count for _, _, count in todo)
    paths = [source / file for _, first, count in todo for file, _ in samples[first : first + count]]
    task = partial(encode_all, short_side=wanted.short_side, quality=wanted.quality)
    bad = []
    done = len(samples) - missing
    with tqdm(total=len(samples), initial=done, unit=" images", desc=printable(out)) as bar:
        jpegs = _encoded(task, paths, workers, bar.update)
        for tar, first, count in todo:
            numbers = range(first, first + count)
            labels = [label for _, label in samples[first : first + count]]
            try:
                bad += write_shard(tar, zip(numbers, labels, jpegs))  # noqa: B905  (the next shard's follow)
            except OSError as error:
                raise OSError(
                    error.errno,
                    f"could not be written ({error.strerror}); fix that and run the same command again, it continues",
                    str(tar),
                ) from error
    if not bad and not (out / MANIFEST).is_file():
        publish(out / UNFINISHED, out / MANIFEST)
    return bad


def _is_complete(tar: Path, samples: int) -> bool:
    try:
        read_index(tar, samples)
    except ValueError:
        return False
    return True


def _encoded(
    task: Callable[[Sequence[Path]], list[bytes | str]], paths: Sequence[Path], workers: int, advance: Callable[[], Any]
) -> Iterator[bytes | str]:
    """The JPEG of each image, or an error message."""
    groups = (paths[start : start + _GROUP] for start in range(0, len(paths), _GROUP))
    for group, jpegs, _ in map_in_children(task, groups, workers=workers, timeout=_TIMEOUT, ahead=4 * workers):
        for path, jpeg in zip(group, jpegs, strict=True):
            advance()
            if isinstance(jpeg, Crash):
                yield f"{path}: {jpeg.sentence('its decoder')}"
            else:
                yield jpeg
