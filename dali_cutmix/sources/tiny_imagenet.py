"""TinyImageNetVal: the folder val of Tiny ImageNet as it is handed out, whose labels are in a list of annotations.

val/val_annotations.txt    val_0.JPEG <tab> n03444034 <tab> 0 <tab> 32 <tab> 44 <tab> 62
val/images/val_0.JPEG      → n03444034
"""

import os
from pathlib import Path

from dali_cutmix.sources.class_folders import walk
from dali_cutmix.utils import read_text

_ANNOTATIONS, _IMAGES, _WNIDS = "val_annotations.txt", "images", "wnids.txt"


def is_tiny_imagenet_val(root: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a list of annotations and one folder of images, as Tiny ImageNet's val does."""
    if not Path(root, _ANNOTATIONS).is_file() or not Path(root, _IMAGES).is_dir():
        return False
    with os.scandir(root) as entries:
        return [entry.name for entry in entries if entry.name[0] != "." and entry.is_dir()] == [_IMAGES]


class TinyImageNetVal:
    """Tiny ImageNet's folder val.

    The classes are those of ``wnids.txt`` beside the folder, where it is there, and else those of the annotations; in
    sorted order, as the folders of train are.

    Args:
        root: the folder.

    Attributes:
        classes: names of the classes, sorted.

    Raises:
        ValueError: a line is damaged, or images and lines do not fit together.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        self._wnids = Path(os.path.abspath(root)).parent / _WNIDS
        wnids = set(read_text(self._wnids).split()) if self._wnids.is_file() else None
        self._images: dict[str, list[str]] = {name: [] for name in wnids or ()}
        annotations = Path(root, _ANNOTATIONS)
        folder = os.path.join(self.root, _IMAGES)
        there = set(walk(self.root, _IMAGES)[_IMAGES])
        lines: dict[str, int] = {}
        for number, line in enumerate(read_text(annotations).splitlines(), 1):
            image, name, *_ = [*line.split("\t"), ""]
            where = f"{annotations}, line {number}"
            if not image or not name:
                raise ValueError(f"{where}: {line!r} given; expected a file name, a tab and a class. Restore the file.")
            if wnids is not None and name not in wnids:
                raise ValueError(f"{where}: class {name} is not in {self._wnids}; restore both files.")
            if image in lines:
                raise ValueError(f"{where}: {image} again; it is in line {lines[image]}. Remove one of the lines.")
            if image not in there:
                raise ValueError(f"{where}: {image} is not in {folder}; restore the image, or remove the line.")
            lines[image] = number
            self._images.setdefault(name, []).append(f"{_IMAGES}/{image}")
        if without := there - lines.keys():
            raise ValueError(
                f"{folder}: {len(without)} of {len(there)} images {'is' if len(without) == 1 else 'are'} in no line of "
                f"{_ANNOTATIONS}, such as {min(without)}; restore that file, or remove the images."
            )
        self.classes = sorted(self._images)

    @property
    def decisive(self) -> list[str]:
        """Paths whose times of change tell whether the list may have changed."""
        files = [os.path.join(self.root, _ANNOTATIONS), *([str(self._wnids)] if self._wnids.is_file() else [])]
        return [self.root, os.path.join(self.root, _IMAGES), *files]

    def images(self, name: str) -> tuple[list[str], list[str]]:
        """Sorted paths of a class's images below the root; no further folders decide about them."""
        return sorted(self._images[name]), []
