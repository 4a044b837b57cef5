"""The embedded data set for detection and captioning: scenes with several digits, in the layouts of VOC and COCO.

They show scikit-learn's handwritten digits on crops of its two sample photographs, like `train.data.digits`::

    ROOT/VOCdevkit/VOC2007/{Annotations,ImageSets/Main,JPEGImages}      trainval and test
    ROOT/COCO/annotations/{instances,captions}_{train,val}2017.json     the same scenes, with captions
    ROOT/COCO/{train,val}2017/…

Digits that are tiny or mostly hidden are difficult objects in VOC and crowds in COCO: they are not trained on, ignored
in evaluation, and not mentioned in captions. No other code treats this data set specially.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from dali_cutmix.utils import generated
from train.data.digits import Digits, split
from train.data.scene_captions import sentences
from train.data.scene_drawing import NAMES, Digit, Glyph, Scenes, draw

_PARTS = {"train": ("trainval", "train2017"), "val": ("test", "val2017")}
"""Names of the two splits in VOC and in COCO."""


class _Record(NamedTuple):
    """A scene as it is written to files."""

    number: int
    jpeg: bytes
    size: tuple[int, int]
    digits: list[Digit]
    sentences: list[str]


def scenes_voc(parent: Path | None = None, parameters: Scenes = Scenes()) -> Path:
    """Return the VOCdevkit folder of the data set, which is generated on first use (some ten seconds).

    It is generated in a temporary folder that is renamed when complete, as in `train.data.digits.digits`. The same
    parameters and the same version of Pillow give the same bytes. No handwritten digit is in both splits.

    Args:
        parent: folder to keep it in; `dali_cutmix.utils.cache_folder` if not given.
        parameters: what to draw.

    Raises:
        OSError: the folder cannot be written.
    """
    return _root(parent, parameters) / "VOCdevkit"


def scenes_coco(parent: Path | None = None, parameters: Scenes = Scenes()) -> Path:
    """Return the folder of the data set in COCO's layout; see `scenes_voc`."""
    return _root(parent, parameters) / "COCO"


def _root(parent: Path | None, parameters: Scenes) -> Path:
    def build(target: Path) -> None:
        _build(target, parameters)

    return generated(f"scenes-{parameters.digest}", build, parent)


def _build(root: Path, parameters: Scenes) -> None:
    from sklearn.datasets import load_digits, load_sample_images  # takes a second; only the first use needs it

    pixels, labels = load_digits(return_X_y=True)
    inks = (pixels.reshape(-1, 8, 8) / 16).astype(np.float32)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    for part, members in split(labels, Digits()).items():
        glyphs = [Glyph(inks[index], int(labels[index])) for index in members.tolist()]
        records = []
        for number in range(1, getattr(parameters, part) + 1):
            rng = np.random.default_rng([parameters.seed, part == "val", number])
            scene = draw(glyphs, photos, rng, parameters)
            jpeg = io.BytesIO()
            scene.image.save(jpeg, "JPEG", quality=parameters.quality)
            captions = sentences(scene.digits, rng)
            records.append(_Record(number, jpeg.getvalue(), scene.image.size, scene.digits, captions))
        voc, coco = _PARTS[part]
        _write_voc(root / "VOCdevkit" / "VOC2007", voc, records)
        _write_coco(root / "COCO", coco, records)


def _write_voc(year: Path, part: str, records: list[_Record]) -> None:
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (year / folder).mkdir(parents=True, exist_ok=True)
    names = [f"{record.number + (part == 'test') * 100_000:06d}" for record in records]
    (year / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in names))
    for name, record in zip(names, records, strict=True):
        (year / "JPEGImages" / f"{name}.jpg").write_bytes(record.jpeg)
        width, height = record.size
        content: dict[str, Any] = {"folder": "VOC2007", "filename": f"{name}.jpg"}
        root = _element("annotation", content | {"size": {"width": width, "height": height, "depth": 3}})
        for digit in record.digits:
            x1, y1, x2, y2 = digit.box  # VOC counts from 1, and the last pixels belong to the object
            box = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
            root.append(_element("object", {"name": digit.name, "difficult": int(digit.difficult), "bndbox": box}))
        ElementTree.indent(root)
        ElementTree.ElementTree(root).write(year / "Annotations" / f"{name}.xml")


def _element(tag: str, content: Any) -> ElementTree.Element:
    """An XML element with text, or with child elements."""
    element = ElementTree.Element(tag)
    if isinstance(content, dict):
        element.extend(_element(name, below) for name, below in content.items())
    else:
        element.text = str(content)
    return element


def _write_coco(root: Path, part: str, records: list[_Record]) -> None:
    for folder in (part, "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    captions: list[dict[str, Any]] = []
    for record in records:
        name = f"{record.number:012d}.jpg"
        (root / part / name).write_bytes(record.jpeg)
        width, height = record.size
        images.append({"id": record.number, "file_name": name, "width": width, "height": height})
        for digit in record.digits:
            x1, y1, x2, y2 = digit.box
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            kind = {"category_id": digit.label + 1, "iscrowd": int(digit.difficult)}
            objects.append({"id": len(objects) + 1, "image_id": record.number, **kind, **box})
        captions += [{"image_id": record.number, "caption": sentence} for sentence in record.sentences]
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(NAMES)]
    instances = {"images": images, "annotations": objects, "categories": categories}
    numbered = [{"id": number} | caption for number, caption in enumerate(captions, 1)]
    for kind_of_file, written in (("instances", instances), ("captions", {"images": images, "annotations": numbered})):
        (root / "annotations" / f"{kind_of_file}_{part}.json").write_text(json.dumps(written))
