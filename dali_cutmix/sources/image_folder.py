"""Folders of classes: which images and classes they have; the list of a large one is cached."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from dali_cutmix.sources.manifest import is_packed
from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.utils import cache_path, remember, remembered

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
WORTH_REMEMBERING = 50_000
"""Smallest number of images whose list is cached; a smaller folder is scanned in less than a second."""
_SETTLED = 2.0  # seconds; after a more recent change, another one may have happened during the scan
_VERSION = 1


def scan_folder(root: str | os.PathLike[str]) -> tuple[list[str], list[int], list[str]]:
    """List a folder of classes in sorted order: paths below ``root``, labels, class names.

    Raises:
        FileNotFoundError: ``root`` does not exist.
        ValueError: ``root`` is not a folder, is packed, has no class folders, or a class has no image.
    """
    classes = class_folders(root)
    images = [_images(root, name) for name in classes]
    labels = [label for label, found in enumerate(images) for _ in found]
    return list(chain.from_iterable(images)), labels, classes


def list_folders(roots: Sequence[str], cache: bool = True) -> tuple[SampleList, tuple[str, ...]]:
    """List one folder of classes or several; names are below their common path.

    The classes of all folders are put together by name, in sorted order:

        a/cat/1.jpg  a/dog/1.jpg             cat/1.jpg → 0, of both folders
                                  ──▶        cow/1.jpg → 1
        b/cat/1.jpg  b/cow/1.jpg             dog/1.jpg → 2

    A folder with many images is not scanned again before it or one of its class folders changes.

    Returns:
        The list, and the names of the classes.

    Raises:
        FileNotFoundError, ValueError: see :func:`scan_folder`; or a name cannot be read.
    """
    found = {root: class_folders(root) for root in roots}
    stamps = [(name, _changed(os.path.join(root, name))) for root in roots for name in ("", *found[root])]
    cached = cache_path("lists", *roots)
    header = json.dumps({"version": _VERSION, "roots": list(roots), "changed": stamps}).encode() + b"\n"
    classes = tuple(sorted(set(chain.from_iterable(found.values()))))
    if cache and (content := remembered(cached, header)) is not None:
        return SampleList(content), classes
    began = time.time()
    samples = SampleList.of(*_names_and_labels(os.path.commonpath(roots), found, classes))
    settled = all(changed < (began - _SETTLED) * 1e9 for _, changed in stamps)
    if cache and settled and len(samples) >= WORTH_REMEMBERING:
        remember(cached, header, samples.content)
    return samples, classes


def _names_and_labels(
    base: str, found: dict[str, list[str]], classes: Sequence[str]
) -> tuple[list[str], Iterator[int]]:
    names: list[str] = []
    counts = []
    for name in classes:
        before = len(names)
        for root in found:
            if name in found[root]:
                below = os.path.relpath(root, base)
                names += [image if below == "." else os.path.join(below, image) for image in _images(root, name)]
        counts.append(len(names) - before)
    return names, (label for label, count in enumerate(counts) for _ in range(count))


def class_folders(root: str | os.PathLike[str]) -> list[str]:
    """Names of the class folders, sorted."""
    folder = Path(root)
    expected = "expected a folder with one subfolder for each class, each holding that class's images"
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; {expected}.")
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; {expected}.")
    if is_packed(folder):
        raise ValueError(f"{folder}: packed by dali_cutmix.pack; give the folder that was packed.")
    with os.scandir(folder) as entries:
        classes = sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))
    if not classes:
        found = "it holds files but no subfolders" if any(folder.iterdir()) else "it is empty"
        raise ValueError(f"{folder}: {found}; {expected}.")
    return classes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink() and not Path(entry.path).exists():  # or a class would silently be missing
        raise ValueError(f"{entry.path}: a broken link; fix or remove it.")
    return entry.is_dir()


def _images(root: str | os.PathLike[str], name: str) -> list[str]:
    folder = os.path.join(root, name)
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.lower().endswith(EXTENSIONS))
    if not names:
        raise ValueError(
            f"{folder}: no image in this class folder ({', '.join(EXTENSIONS)} are read); add images or "
            "remove the folder."
        )
    return [f"{name}/{image}" for image in names]


def _changed(folder: str) -> int:
    """Time when a file in a folder was last added, removed or renamed, in ns."""
    return Path(folder).stat().st_mtime_ns
