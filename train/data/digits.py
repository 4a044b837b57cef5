"""The embedded data set: scikit-learn's handwritten digits on crops of its two sample photographs.

It consists of JPEG files made from what pip installs, in the usual layout::

    ROOT/train/0/0005-2.jpg      one folder per class; <digit>-<scene>.jpg
    ROOT/val/…
    ROOT/boxes.csv               the digit's box in each scene

`backgrounds` makes scenes without a digit, for out-of-distribution detection.

No other code treats it specially: for every command it is a folder of classes.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dali_cutmix.utils import generated

COLUMNS = ("split", "path", "label", "x1", "y1", "x2", "y2", "width", "height", "digit")


@dataclass(frozen=True)
class Digits:
    """Parameters of the data set. Their digest names the cache folder, so other parameters make another data set."""

    version: int = 1  # of the drawing code below: raise it when the same parameters give other pixels
    seed: int = 0
    train_scenes: int = 4  # scenes per training digit
    val_scenes: int = 2  # scenes per validation digit
    val_share: float = 0.2  # fraction of the digits of each class that are for validation
    scene: tuple[int, int] = (80, 128)  # range of the side of the square scene, pixels
    digit: tuple[float, float] = (0.5, 0.9)  # range of the digit's side, with its margin, over the scene's side
    quality: int = 90  # of the JPEG files

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify these values."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def digits(parent: Path | None = None, parameters: Digits = Digits()) -> Path:
    """Return the root of the data set, which is generated on first use (some seconds).

    It is generated in a temporary folder that is renamed when complete, so an incomplete data set is never visible,
    even if a process is killed or several processes (``torchrun``) run at once. The same parameters and the same
    version of Pillow give the same bytes.

    Example::

        from train.data import open_split

        root = digits()  # ~/.cache/dali_cutmix/digits-…
        training = open_split(root, "train")

    Args:
        parent: folder to keep it in; `dali_cutmix.utils.cache_folder` if not given.
        parameters: what to draw.

    Raises:
        OSError: the folder cannot be written.
    """

    def build(target: Path) -> None:
        target.mkdir()
        _build(target, parameters)

    return generated(f"digits-{parameters.digest}", build, parent)


def backgrounds(parent: Path | None = None, images: int = 500, parameters: Digits = Digits()) -> Path:
    """Return a folder of scenes without a digit, an out-of-distribution set, which is generated on first use.

    Args:
        parent: see `digits`.
        images: number of scenes.
        parameters: see `digits`.

    Raises:
        OSError: the folder cannot be written.
    """

    def build(target: Path) -> None:
        photos = _photos()
        target.mkdir()
        for number in range(images):
            rng = np.random.default_rng([parameters.seed, 1_000_000, number])  # no digit's index is as large
            scene = Image.fromarray(np.floor(_background(photos, rng, parameters) + 0.5).astype(np.uint8))
            scene.save(target / f"{number:04d}.jpg", quality=parameters.quality)

    return generated(f"backgrounds-{images}-{parameters.digest}", build, parent)


def _photos() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images  # takes a second; only the first use needs it

    return [Image.fromarray(photo) for photo in load_sample_images().images]


def split(labels: np.ndarray, parameters: Digits) -> dict[str, np.ndarray]:
    """Divide the digits of each class into ``train`` and ``val``, disjoint arrays of indices."""
    rng = np.random.default_rng(parameters.seed)
    train, val = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(parameters.val_share * len(members))
        val.append(members[:held_out])
        train.append(members[held_out:])
    return {"train": np.sort(np.concatenate(train)), "val": np.sort(np.concatenate(val))}


def _build(root: Path, parameters: Digits) -> None:
    from sklearn.datasets import load_digits  # takes a second; only the first use needs it

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
    """Draw a scene; return it with the digit's tight box (x1, y1, x2, y2; the last two exclusive)."""
    scene = _background(photos, rng, parameters)
    side = len(scene)
    size = round(side * rng.uniform(*parameters.digit))
    x, y = (int(rng.integers(0, side - size, endpoint=True)) for _ in range(2))
    # Strokes reach the edges of the 8×8 pixels; a margin of one pixel gives them round ends.
    smooth = np.asarray(Image.fromarray(np.pad(glyph, 1)).resize((size, size), Image.Resampling.BICUBIC))
    opacity = np.clip((smooth - 0.25) / 0.5, 0, 1)
    patch = scene[y : y + size, x : x + size]
    # Bright ink on a dark place and dark ink on a bright one, of any hue, keep the digit legible.
    ink = rng.uniform(190, 255, 3) if patch.mean() < 115 else rng.uniform(0, 60, 3)
    patch += opacity[..., None] * (ink.astype(np.float32) - patch)

    columns, rows = (np.flatnonzero((opacity > 0.5).any(axis)) for axis in (0, 1))
    box = (x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)
    return Image.fromarray(np.floor(scene + 0.5).astype(np.uint8)), box


def _background(photos: list[Image.Image], rng: np.random.Generator, parameters: Digits) -> np.ndarray:
    """A random square crop of one of the photographs, as side×side×3 float32, 0 to 255."""
    side = int(rng.integers(*parameters.scene, endpoint=True))
    photo = photos[rng.integers(len(photos))]
    crop = int(rng.integers(side, min(photo.size), endpoint=True))
    left, top = (int(rng.integers(0, extent - crop, endpoint=True)) for extent in photo.size)
    region = (left, top, left + crop, top + crop)
    return np.array(photo.resize((side, side), Image.Resampling.BICUBIC, region), dtype=np.float32)
