"""Lists of the images and classes of folders; the list of a large one is cached."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from itertools import chain

from dali_cutmix.sources.class_folders import ClassFolders
from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.sources.tiny_imagenet import TinyImageNetVal, is_tiny_imagenet_val
from dali_cutmix.utils import cache_path, forget, remember, remembered

WORTH_REMEMBERING = 50_000
"""Smallest number of images whose list is cached; a smaller folder is scanned in less than a second."""
_SETTLED = 2.0  # seconds; after a more recent change, another one may have happened during the scan
_VERSION = 3

Layout = ClassFolders | TinyImageNetVal


def scan_folder(root: str | os.PathLike[str]) -> tuple[list[str], list[int], list[str]]:
    """List a folder of classes in sorted order: paths below ``root``, labels, class names.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: ``root`` is not a folder, is packed, has no class folders, or a class has no image.
    """
    layout = _layout(root)
    images = [layout.images(name)[0] for name in layout.classes]
    labels = [label for label, found in enumerate(images) for _ in found]
    return list(chain.from_iterable(images)), labels, layout.classes


def list_folders(roots: Sequence[str], cache: bool = True, refresh: bool = False) -> tuple[SampleList, tuple[str, ...]]:
    """List one folder of classes or several; names are below their common path.

    The classes of all folders are put together by name, in sorted order:

        a/cat/1.jpg  a/dog/1.jpg             cat/1.jpg → 0, of both folders
                                  ──▶        cow/1.jpg → 1
        b/cat/1.jpg  b/cow/1.jpg             dog/1.jpg → 2

    A folder with many images is not scanned again before it or a folder in it changes, or ``refresh`` is given.

    Returns:
        The list, and the names of the classes.

    Raises:
        FileNotFoundError, ValueError: see :func:`scan_folder`; or a name cannot be read.
    """
    layouts = [_layout(root) for root in roots]
    stamps = _stamps(chain.from_iterable(layout.decisive for layout in layouts))
    cached = cache_path("lists", *roots)
    header = json.dumps({"version": _VERSION, "roots": list(roots), "changed": stamps}).encode() + b"\n"
    classes = tuple(sorted(set(chain.from_iterable(layout.classes for layout in layouts))))
    if cache and refresh:
        forget(cached)
    elif cache and (content := remembered(cached, header)) is not None and (known := _known(content, len(classes))):
        return known, classes
    began = time.time()
    names, labels, folders = _scan(os.path.commonpath(roots), layouts, classes)
    samples = SampleList.of(names, labels)
    if cache and len(samples) >= WORTH_REMEMBERING:
        nested = _stamps(folders)
        if all(max(changed, renamed) < (began - _SETTLED) * 1e9 for _, changed, renamed, *_ in (*stamps, *nested)):
            below = json.dumps({"images": len(samples), "folders": nested}).encode()
            remember(cached, header, below + b"\n" + samples.content)
    return samples, classes


def _layout(root: str | os.PathLike[str]) -> Layout:
    return TinyImageNetVal(root) if is_tiny_imagenet_val(root) else ClassFolders(root)


def _scan(base: str, layouts: Sequence[Layout], classes: Sequence[str]) -> tuple[list[str], list[int], list[str]]:
    """Names below ``base``, labels, and the folders below the class folders."""
    names: list[str] = []
    labels: list[int] = []
    folders: list[str] = []
    classes_of = [set(layout.classes) for layout in layouts]
    for label, name in enumerate(classes):
        for layout, own in zip(layouts, classes_of, strict=True):
            if name in own:
                images, found = layout.images(name)
                below = os.path.relpath(layout.root, base)
                names += images if below == "." else [os.path.join(below, image) for image in images]
                labels += [label] * len(images)
                folders += found
    return names, labels, folders


Stamp = tuple[str, int, int, int, int]


def _stamps(paths: Iterable[str]) -> list[Stamp]:
    """Each path, and what is different after an entry was added, removed or renamed in it.

    The time of the last change of a folder can be set back (``rsync -a``, ``touch -r``), that of its inode cannot. Some
    network file systems have no such time; there its size and its number of links may tell.
    """
    return [(path, *_stamp(path)) for path in paths]


def _stamp(path: str) -> tuple[int, int, int, int]:
    found = os.stat(path)  # noqa: PTH116  (a thousand of them: a Path takes as long as the call)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_nlink


def _known(content: bytes, num_classes: int) -> SampleList | None:
    """The list in an entry of the cache; None where a folder has changed since, or it is no list of images."""
    below, _, lines = content.partition(b"\n")
    samples = SampleList(lines)
    try:
        found = json.loads(below)
        unchanged = all(_stamp(path) == tuple(before) for path, *before in found["folders"])
        return samples if unchanged and len(samples) == found["images"] and samples.is_sound(num_classes) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):  # OSError: a folder is gone
        return None
