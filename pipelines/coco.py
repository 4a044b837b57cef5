"""COCO in its own layout, and other data in the same: JSON files with objects or captions, folders of images.

    annotations/instances_train2017.json, train2017 ──read──▶ Annotated ──▶ ssd.py, faster_rcnn.py
    annotations/captions_train2017.json,  train2017 ──read_captions──▶ Captioned ──▶ captions.py

Copy this file into your project: all that it imports is installed with dali_cutmix.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dali_cutmix.detection import Annotated, Captioned, Entry, Object, annotate, check_exists
from dali_cutmix.utils import Split, check_split, path_below, read_regular

PathLike = str | os.PathLike[str]


def is_coco(root: PathLike) -> bool:
    """Whether a folder has the layout of COCO.

    Example:
        >>> from pipelines import coco
        >>> coco.is_coco("coco"), coco.is_coco("photos")
        (True, False)
    """
    return any(Path(root, "annotations").glob("instances_*.json")) or any(
        Path(root, "annotations").glob("captions_*.json")
    )


def read(root: PathLike, split: Split) -> Annotated:
    """Read the images of a COCO folder with their objects.

    A box is x, y, width, height in the file, and becomes x, y, x + width, y + height. Crowds are kept and marked as
    difficult. An object with an ``area`` of 0 and a box without area is left out: COCO's training images of 2014 and
    2017 have two such objects.

    Args:
        root: folder with ``annotations/instances_train2017.json`` and ``train2017``, or the same for ``val`` and for
            2014 or any other year.
        split: ``"train"`` or ``"val"``.

    Returns:
        Images in the order of the file; classes in the order of their ids.

    Raises:
        FileNotFoundError: the file, or an image, is missing.
        ValueError: the file is damaged, a value has the wrong type, an id appears twice, an annotation has an unknown
            class or image, a ``file_name`` leads out of the folder of images, or a box or size does not fit (see
            ``dc.detection.annotate``). The message names file and entry.

    Example:
        >>> from pipelines import coco
        >>> annotated = coco.read("coco", "train")
        >>> annotated.classes, [labels.tolist() for labels in annotated.labels]
        (('car', 'dog'), [[0], [1, 0], []])
    """
    file, content = _read(root, "instances", split)
    images = _by_id(content, "images", file)
    categories = dict(sorted(_by_id(content, "categories", file).items()))
    names = tuple(_text(category, "name", f"{file}, category {key}") for key, category in categories.items())
    labels = {key: label for label, key in enumerate(categories)}
    mine: dict[int, list[tuple[str, dict[str, Any]]]] = {key: [] for key in images}
    for image, one in _annotations(content, images, file):
        mine[image].append(one)
    return annotate(names, (_entry(file, key, image, mine.pop(key), labels) for key, image in images.items()))


def read_captions(root: PathLike, split: Split) -> Captioned:
    """Read the images of a COCO folder with their captions, from ``annotations/captions_train2017.json`` and the like.

    Args:
        root, split: see :func:`read`.

    Returns:
        Images in the order of the file, without those that have no caption; captions without surrounding spaces.

    Raises:
        FileNotFoundError: the file, or an image, is missing.
        ValueError: the file is damaged, a caption is empty, is not text or has an unknown image, or an id appears
            twice. The message names file and entry.

    Example:
        >>> from pipelines import coco
        >>> captioned = coco.read_captions("coco", "train")
        >>> captioned.sentences
        (('A car',), ('A dog.', 'A brown dog'))
    """
    file, content = _read(root, "captions", split)
    images = _by_id(content, "images", file)
    sentences: dict[int, list[str]] = {key: [] for key in images}
    for image, (where, one) in _annotations(content, images, file):
        sentence = _text(one, "caption", where).strip()
        if not sentence:
            raise ValueError(f"{where}: its caption is empty. Write one, or remove the annotation.")
        sentences[image].append(sentence)
    paths = {key: _path(file, key, images[key]) for key, said in sentences.items() if said}
    for key, path in paths.items():
        check_exists(path, f"{file}, image {key}")
    if not paths:
        raise ValueError(f"{file}: no captions in it; at least one is needed.")
    return Captioned(tuple(paths.values()), tuple(tuple(sentences[key]) for key in paths))


def _entry(
    file: Path, key: int, image: dict[str, Any], mine: list[tuple[str, dict[str, Any]]], labels: dict[int, int]
) -> Entry:
    where = f"{file}, image {key}"
    size = _whole(image, "height", where), _whole(image, "width", where)
    objects = [found for place, one in mine if (found := _object(place, one, labels))]
    return Entry(where, _path(file, key, image), size, objects)


def _path(file: Path, key: int, image: dict[str, Any]) -> Path:
    _, _, folder = file.stem.partition("_")
    where = f"{file}, image {key}"
    return path_below(file.parent.parent / folder, _text(image, "file_name", where), f"{where}: file_name")


def _object(where: str, one: dict[str, Any], labels: dict[int, int]) -> Object | None:
    """An annotation as an object; None if the file itself says that it has no area."""
    category = _whole(one, "category_id", where)
    if category not in labels:
        raise ValueError(
            f"{where}: category_id={category}, which is not in categories ({len(labels)} classes). Correct it, or "
            "remove the annotation."
        )
    box = _get(one, "bbox", where)
    if not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        raise ValueError(f"{where}: bbox={box!r}; expected [x, y, width, height].")
    x, y, width, height = map(float, box)
    if min(width, height) <= 0 and one.get("area") == 0:
        return None
    is_crowd = "iscrowd" in one and _whole(one, "iscrowd", where) != 0
    return Object(where, f"bbox={box}", labels[category], (x, y, x + width, y + height), is_crowd)


def _is_number(side: Any) -> bool:
    return isinstance(side, (int, float)) and abs(side) <= sys.float_info.max  # whole numbers in JSON have no limit


def _annotations(content: Any, images: dict[int, Any], file: Path) -> Iterator[tuple[int, tuple[str, dict[str, Any]]]]:
    """Each annotation: the id of its image, and the annotation with its place in the file for error messages."""
    for number, one in enumerate(_list(content, "annotations", file)):
        where = f"{file}, annotation {one['id'] if isinstance(one, dict) and 'id' in one else f'number {number}'}"
        image = _whole(one, "image_id", where)
        if image not in images:
            raise ValueError(
                f"{where}: image_id={image}, which is not in images. Correct it, or remove the annotation."
            )
        yield image, (where, one)


def _read(root: PathLike, kind: str, split: Split) -> tuple[Path, Any]:
    file = _find(Path(root), kind, split)
    try:
        return file, json.loads(read_regular(file))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: damaged or not JSON ({error}). Unpack or write it again.") from error


def _find(root: Path, kind: str, split: Split) -> Path:
    """The file of a kind and split, of any year."""
    check_split(split)
    pattern = re.compile(rf"{kind}_({split}\d*)\.json")
    matches = [match for path in sorted(root.glob("annotations/*")) if (match := pattern.fullmatch(path.name))]
    if len(matches) > 1:  # annotations of several years, often with the images of only one
        matches = [match for match in matches if (root / match[1]).is_dir()] or matches
    if len(matches) != 1:
        expected = f"expected annotations/{kind}_{split}2017.json, or the same of another year, and a folder of images"
        if not matches:
            raise FileNotFoundError(f"{root}: no annotations/{kind}_{split}….json; {expected}.")
        raise ValueError(f"{root}: {' and '.join(match[0] for match in matches)}; {expected}. Keep only one of them.")
    return root / "annotations" / matches[0][0]


def _by_id(content: Any, name: str, file: Path) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for number, one in enumerate(_list(content, name, file)):
        where = f"{file}, {name}, entry {number}"
        key = _whole(one, "id", where)
        if key in found:
            raise ValueError(f"{where}: id={key} appears twice. Correct it, or remove the entry.")
        found[key] = one
    return found


def _list(content: Any, name: str, file: Path) -> list[Any]:
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise ValueError(f"{file}: it has no list {name!r}; expected a file in COCO's format.")
    return found


def _get(entry: Any, name: str, where: str) -> Any:
    if not isinstance(entry, dict) or name not in entry:
        raise ValueError(f"{where}: it has no {name!r}; expected an entry in COCO's format.")
    return entry[name]


def _text(entry: Any, name: str, where: str) -> str:
    value = _get(entry, name, where)
    if not isinstance(value, str):
        raise ValueError(f"{where}: {name}={value!r}; expected text.")
    return value


def _whole(entry: Any, name: str, where: str) -> int:
    """A whole number; some tools write 480 as 480.0, and 0 or 1 as false or true."""
    value = _get(entry, name, where)
    if not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise ValueError(f"{where}: {name}={value!r}; expected a whole number.")
    return int(value)
