"""Folders of images with boxes, in the forms in which data sets have them: bright rectangles on a dark ground."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.images import save

SHADES = {"bright": 255, "middle": 170, "pale": 110, "faint": 70}


def draw(rng, shade: int, mode: str = "RGB") -> tuple[Image.Image, tuple[int, int, int, int]]:
    """An image of any size with one rectangle; and its box."""
    width, height = (int(side) for side in rng.integers(40, 90, 2))
    pixels = np.full((height, width), 12, np.uint8)
    x1, y1 = int(rng.integers(0, width // 2)), int(rng.integers(0, height // 2))
    x2, y2 = int(rng.integers(x1 + width // 4, width + 1)), int(rng.integers(y1 + height // 4, height + 1))
    pixels[y1:y2, x1:x2] = shade
    return Image.fromarray(pixels).convert(mode), (x1, y1, x2, y2)


def make_boxed(root: Path, train: int = 8, val: int = 5, mode: str = "L", names=tuple(SHADES)) -> Path:
    """``root/train``, ``root/val`` and ``root/boxes.csv``; so many images for each class."""
    rng = np.random.default_rng(0)
    rows = []
    for split, count in (("train", train), ("val", val)):
        for name in names:
            for number in range(count):
                image, box = draw(rng, SHADES[name], mode)
                path = f"{split}/{name}/{number}.png"
                save(image, root / path)
                rows.append([path, *box])
    with (root / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "x1", "y1", "x2", "y2"], *rows])
    return root


def make_cub(root: Path, per_class: int = 6) -> Path:
    """A folder in the layout of CUB-200-2011: three classes, every second image for testing."""
    rng = np.random.default_rng(1)
    names = ["001.Bright_bird", "002.Middle_bird", "004.Pale_bird"]
    lists: dict[str, list[str]] = {
        name: [] for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes")
    }
    number = 0
    for label, name in enumerate(names, 1):
        for index in range(per_class):
            number += 1
            image, (x1, y1, x2, y2) = draw(rng, list(SHADES.values())[label - 1])
            path = f"{name}/{name[4:]}_{index:04d}_{number}.jpg"
            save(image, root / "images" / path)
            lists["images"].append(f"{number} {path}")
            lists["image_class_labels"].append(f"{number} {label}")
            lists["train_test_split"].append(f"{number} {index % 2}")
            lists["bounding_boxes"].append(f"{number} {x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f}")
    lists["classes"] = [f"{label} {name}" for label, name in enumerate(names, 1)]
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first ``old`` in a text file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
