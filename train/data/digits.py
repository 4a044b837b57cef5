"""The embedded data set: scikit-learn's handwritten digits on crops of its two sample photographs.

Real JPEGs from what pip installs, laid out as users lay out theirs::

    ROOT/train/0/0005-2.jpg      one folder for each class; <digit>-<scene>.jpg
    ROOT/val/…
    ROOT/boxes.csv               where the digit lies in each scene

And, apart, scenes without a digit (`backgrounds`), to tell from those.

Nothing else in this project knows about it: to every command it is one more folder of classes.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dali_cutmix.utils import cache_folder, make_atomically

COLUMNS = ("split", "path", "label", "x1", "y1", "x2", "y2", "width", "height", "digit")


@dataclass(frozen=True)
class Digits:
    """What the data set is made of; its digest names the cache folder, so a change makes a new one."""

    version: int = 1  # of the drawing code below: raise it when the same parameters give other pixels
    seed: int = 0
    train_scenes: int = 4  # scenes for each training digit
    val_scenes: int = 2  # scenes for each validation digit
    val_share: float = 0.2  # of the digits of each class
    scene: tuple[int, int] = (80, 128)  # side of the square scene, pixels
    digit: tuple[float, float] = (0.5, 0.9)  # side of the digit, with its margin, over the side of the scene
    quality: int = 90  # JPEG

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for all of the values."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def digits(parent: Path | None = None, parameters: Digits = Digits()) -> Path:
    """Return the data set's root, building it on the first call (some seconds).

    The build happens in a temporary folder that is renamed when complete, so neither a killed build nor
    several processes at once (``torchrun``) can leave or see half a data set. The same parameters and the
    same Pillow give the same bytes.

    Args:
        parent: folder to keep it in; `cache_folder` by default.
        parameters: what to draw.

    Raises:
        OSError: the folder cannot be written.
    """
    parent = cache_folder() if parent is None else parent
    root = parent / f"digits-{parameters.digest}"

    def build(target: Path) -> None:
        target.mkdir()
        _build(target, parameters)

    if not root.is_dir():
        make_atomically(root, build)
    return root


def backgrounds(parent: Path | None = None, images: int = 500, parameters: Digits = Digits()) -> Path:
    """Return a folder with scenes that show no digit, an out-of-distribution set, building it on the first call.

    Args:
        parent, parameters: see `digits`.
        images: how many.

    Raises:
        OSError: the folder cannot be written.
    """
    parent = cache_folder() if parent is None else parent
    root = parent / f"backgrounds-{images}-{parameters.digest}"

    def build(target: Path) -> None:
        photos = _photos()
        target.mkdir()
        for number in range(images):
            rng = np.random.default_rng([parameters.seed, 1_000_000, number])  # no digit has this number
            scene = Image.fromarray(np.floor(_background(photos, rng, parameters) + 0.5).astype(np.uint8))
            scene.save(target / f"{number:04d}.jpg", quality=parameters.quality)

    if not root.is_dir():
        make_atomically(root, build)
    return root


def _photos() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images  # a second's import that only the first run needs

    return [Image.fromarray(photo) for photo in load_sample_images().images]


def split(labels: np.ndarray, parameters: Digits) -> dict[str, np.ndarray]:
    """Divide the digits, class by class, into ``train`` and ``val`` index arrays that share none."""
    rng = np.random.default_rng(parameters.seed)
    train, val = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(parameters.val_share * len(members))
        val.append(members[:held_out])
        train.append(members[held_out:])
    return {"train": np.sort(np.concatenate(train)), "val": np.sort(np.concatenate(val))}


def _build(root: Path, parameters: Digits) -> None:
    # Imported here: a second's import that only the first run needs.
    from sklearn.datasets import load_digits

    glyphs, labels = load_digits(return_X_y=True)
    glyphs = (glyphs.reshape(-1, 8, 8) / 16).astype(np.float32)
    photos = _photos()
    scenes = {"train": parameters.train_scenes, "val": parameters.val_scenes}
    with (root / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for name, members in split(labels, parameters).items():
            for label in range(10):
                (root / name / str(label)).mkdir(parents=True)
            for index in members.tolist():
                for scene in range(scenes[name]):
                    rng = np.random.default_rng([parameters.seed, index, scene])
                    image, box = _draw(glyphs[index], photos, rng, parameters)
                    path = f"{name}/{labels[index]}/{index:04d}-{scene}.jpg"
                    image.save(root / path, quality=parameters.quality)
                    rows.writerow([name, path, labels[index], *box, *image.size, index])


def _draw(
    glyph: np.ndarray, photos: list[Image.Image], rng: np.random.Generator, parameters: Digits
) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Draw one scene; return it with the digit's tight box (x1, y1, x2, y2; the last two exclusive)."""
    scene = _background(photos, rng, parameters)
    side = len(scene)
    size = round(side * rng.uniform(*parameters.digit))
    x, y = (int(rng.integers(0, side - size, endpoint=True)) for _ in range(2))
    # Strokes reach the edge of their 8×8 pixels: with a margin of one more they end round instead of cut off.
    smooth = np.asarray(Image.fromarray(np.pad(glyph, 1)).resize((size, size), Image.Resampling.BICUBIC))
    opacity = np.clip((smooth - 0.25) / 0.5, 0, 1)
    patch = scene[y : y + size, x : x + size]
    # Bright ink on a dark place and dark ink on a bright one, in any hue, keeps every digit legible.
    ink = rng.uniform(190, 255, 3) if patch.mean() < 115 else rng.uniform(0, 60, 3)
    patch += opacity[..., None] * (ink.astype(np.float32) - patch)

    columns, rows = (np.flatnonzero((opacity > 0.5).any(axis)) for axis in (0, 1))
    box = (x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)
    return Image.fromarray(np.floor(scene + 0.5).astype(np.uint8)), box


def _background(photos: list[Image.Image], rng: np.random.Generator, parameters: Digits) -> np.ndarray:
    """A square crop of one of the photographs, of any size, as side×side×3 float32 levels."""
    side = int(rng.integers(*parameters.scene, endpoint=True))
    photo = photos[rng.integers(len(photos))]
    crop = int(rng.integers(side, min(photo.size), endpoint=True))
    left, top = (int(rng.integers(0, extent - crop, endpoint=True)) for extent in photo.size)
    region = (left, top, left + crop, top + crop)
    return np.array(photo.resize((side, side), Image.Resampling.BICUBIC, region), dtype=np.float32)
