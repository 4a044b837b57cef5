"""ClassFolders: one folder for each class, with images at any depth, as torchvision's ``ImageFolder`` reads it.

cat/1.jpg           → cat      the folder's own images first,
cat/2.jpg           → cat      then those of each folder below it, in the order of their paths
cat/left/0.jpg      → cat
dog/x/y/1.jpg       → dog
dog/.cache/1.jpg    is left out, as all folders are whose names begin with a dot
0.jpg               is in no class: left out, with a warning
"""

import os
import warnings
from pathlib import Path

from dali_cutmix.sources.manifest import is_packed

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""Names of the parts of a data set, in lower case."""
_EXPECTED = "expected a folder with one subfolder for each class, each holding that class's images"
_WAYS = "Labels in a CSV file beside the images are read by dc.read_csv, and a list of paths by dc.read_files."


class ClassFolders:
    """The class folders of a folder.

    Args:
        root: the folder.

    Attributes:
        classes: names of the class folders, sorted.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is not a folder, is packed, has no class folders, or holds the parts of a data set.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        self.classes, images = _classes(Path(root))
        if _PARTS.issuperset(map(str.lower, self.classes)):
            self._judge_parts()
        if images:
            warnings.warn(
                f"{self.root}: images beside the class folders are not read ({len(images)}, such as {min(images)}); "
                f"move them into the folder of their class, or remove them. {_WAYS}",
                stacklevel=2,
            )
        if [name.lower() for name in self.classes] == ["images"]:
            warnings.warn(
                f"{self.root}: its only subfolder, {self.classes[0]}, is read as one class; if it holds a folder for "
                f"each class, give {os.path.join(self.root, self.classes[0])}. {_WAYS}",
                stacklevel=2,
            )

    @property
    def decisive(self) -> list[str]:
        """Paths whose times of change tell whether the list may have changed: of the folder and its class folders."""
        return [self.root, *(os.path.join(self.root, name) for name in self.classes)]

    def images(self, name: str) -> tuple[list[str], list[str]]:
        """The images of a class, and the folders that were found below its own.

        Returns:
            Paths of the images below the root, in ``ImageFolder``'s order, and paths of the folders.

        Raises:
            ValueError: the class has no image, or a link is broken or leads back into itself.
        """
        found = walk(self.root, name)
        images = [f"{folder}/{image}" for folder in sorted(found) for image in found[folder]]
        if not images:
            raise ValueError(
                f"{os.path.join(self.root, name)}: no image in this class folder or below it "
                f"({', '.join(EXTENSIONS)} are read); add images or remove the folder."
            )
        return images, [os.path.join(self.root, folder) for folder in found if folder != name]

    def _judge_parts(self) -> None:
        """Refuse parts of a data set in place of classes, or warn where they may be classes."""
        names = ", ".join(self.classes)
        if any(map(self._has_images, self.classes)):
            warnings.warn(
                f"{self.root}: its subfolders, {names}, are read as classes; if they are parts of a data set, put the "
                f"images of each into one folder for each class. {_WAYS}",
                stacklevel=3,
            )
            return
        part = os.path.join(self.root, min(self.classes, key=lambda name: not name.lower().startswith("train")))
        raise ValueError(
            f"{self.root}: it holds {names}, each with folders of its own: parts of a data set, not classes; give one "
            f"of them, such as {part}."
        )

    def _has_images(self, name: str) -> bool:
        with os.scandir(os.path.join(self.root, name)) as entries:
            return any(_is_image(entry) for entry in entries)


def walk(root: str, name: str) -> dict[str, list[str]]:
    """Names of the images in a folder and in all folders below it.

    An empty folder that is named like an image counts as one, which nothing can decode.

    Args:
        root: the folder that names are relative to.
        name: the folder to search, below ``root``.

    Returns:
        For each folder, its path below ``root`` and the sorted names of its images.

    Raises:
        ValueError: a link is broken, or leads to a folder that holds it.
    """
    found: dict[str, list[str]] = {}
    pending: list[tuple[str, tuple[Path, ...]]] = [(name, ())]  # and the real folders from which links led there
    while pending:
        folder, origins = pending.pop()
        images, empty = [], True
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                empty = False
                if entry.name.lower().endswith(EXTENSIONS) and not entry.is_dir(follow_symlinks=False):  # see _is_image
                    images.append(entry.name)
                elif entry.name[0] != "." and is_folder(entry):
                    below = _followed(entry, origins) if entry.is_symlink() else origins
                    pending.append((f"{folder}/{entry.name}", below))
        parent, _, base = folder.rpartition("/")
        if empty and parent and base.lower().endswith(EXTENSIONS):
            found[parent] = sorted([*found[parent], base])
        else:
            found[folder] = sorted(images)
    return found


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one.

    Raises:
        ValueError: it is a link to nowhere; images would silently be missing.
    """
    if entry.is_symlink() and not Path(entry.path).exists():
        raise ValueError(f"{entry.path}: a broken link; fix or remove it.")
    return entry.is_dir()


def _is_image(entry: os.DirEntry[str]) -> bool:
    """By its name; what a link leads to is not looked up, since that takes long on network disks."""
    return entry.name.lower().endswith(EXTENSIONS) and not entry.is_dir(follow_symlinks=False)


def _followed(link: os.DirEntry[str], origins: tuple[Path, ...]) -> tuple[Path, ...]:
    """The real folders from which links led to what is below this one."""
    origins = (*origins, Path(link.path).parent.resolve())
    target = Path(link.path).resolve()
    if any(origin.is_relative_to(target) for origin in origins):
        raise ValueError(
            f"{link.path}: a link to {target}, which holds this link itself, so that reading would never end; remove "
            "the link, or let it lead to another folder."
        )
    return origins


def _classes(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the class folders, sorted, and of the images beside them."""
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; {_EXPECTED}.")
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; {_EXPECTED}.")
    if is_packed(folder):
        raise ValueError(f"{folder}: packed by dali_cutmix.pack; give the folder that was packed.")
    classes, images, others = [], [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                others = True
            elif is_folder(entry):
                classes.append(entry.name)
            elif _is_image(entry):
                images.append(entry.name)
            else:
                others = True
    if not classes:
        found = "it holds images but no subfolders" if images else "it holds files but no subfolders"
        found = found if images or others else "it is empty"
        raise ValueError(f"{folder}: {found}; {_EXPECTED}. {_WAYS}")
    return sorted(classes), images
