"""Drawing of a scene: several digits of different sizes on a crop of a photograph, each with its tight box."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""Names of the ten digits, which are the classes."""
PixelBox = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels, the last two exclusive."""
_TRIES = 50  # places that are tried before a digit is left out
_TINY = 3  # a tiny digit's side is at least the smallest normal side divided by this
_SMALLEST = 6  # pixels; in a smaller square some digits have no stroke of full opacity, and so no box


@dataclass(frozen=True)
class Scenes:
    """Parameters of the data set. Their digest names the cache folder, so other parameters make another data set.

    Raises:
        ValueError: some digits would be too small to draw.
    """

    version: int = 1  # of the drawing code: raise it when the same parameters give other pixels or sentences
    seed: int = 0
    train: int = 2000  # number of scenes for training
    val: int = 400  # number of scenes for validation
    side: tuple[int, int] = (128, 176)  # range of width and height, drawn separately, pixels
    digits: tuple[int, int] = (1, 4)  # range of the number of digits in a scene
    digit: tuple[float, float] = (0.2, 0.5)  # range of a digit's side, with its margin, over the scene's shorter side
    overlap: float = 0.05  # largest overlap of two digits' squares, over the smaller square
    tiny: float = 0.06  # fraction of the digits, except each scene's first one, that are too small to read
    hidden: float = 0.06  # fraction of them that are mostly covered
    quality: int = 90  # of the JPEG files

    def __post_init__(self) -> None:
        smallest = round(self.side[0] * self.digit[0] / (_TINY if self.tiny else 1))
        if smallest < _SMALLEST:
            raise ValueError(
                f"scenes of side {self.side} with digits of {self.digit} and tiny {self.tiny:g} given, which makes "
                f"some digits {smallest} pixels large; they need {_SMALLEST}. Give larger sides or "
                "digits, or no tiny ones."
            )

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify these values."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


class Glyph(NamedTuple):
    """One of scikit-learn's digits."""

    ink: np.ndarray
    """8×8 float32, 0 to 1."""
    label: int
    """The digit, 0 to 9."""


class Digit(NamedTuple):
    """One digit of a scene."""

    label: int
    box: PixelBox
    """Tight box of the strokes."""
    difficult: bool
    """Whether the digit is tiny or mostly hidden."""

    @property
    def name(self) -> str:
        """The digit in words."""
        return NAMES[self.label]


class Scene(NamedTuple):
    """An image and the digits in it."""

    image: Image.Image
    digits: list[Digit]


def draw(glyphs: Sequence[Glyph], photos: Sequence[Image.Image], rng: np.random.Generator, parameters: Scenes) -> Scene:
    """Draw a scene, whose first digit is never difficult.

    Args:
        glyphs: handwritten digits to choose from.
        photos: photographs to take the background from.
        rng: source of randomness.
        parameters: sizes and numbers.
    """
    pixels = _background(photos, rng, parameters)
    digits: list[Digit] = []
    places: list[PixelBox] = []
    for number in range(int(rng.integers(*parameters.digits, endpoint=True))):
        tiny, hidden = (bool(number and rng.random() < chance) for chance in (parameters.tiny, parameters.hidden))
        low, high = parameters.digit
        relative = rng.uniform(low / _TINY, low / 2) if tiny else low * (high / low) ** rng.random()
        place = _place(round(min(pixels.shape[:2]) * relative), places, pixels, rng, parameters.overlap)
        if place is None:
            continue
        glyph = glyphs[int(rng.integers(len(glyphs)))]
        box = _draw_glyph(pixels, glyph.ink, place, rng)
        if hidden:
            _hide(pixels, box, photos, rng)
        places.append(place)
        digits.append(Digit(glyph.label, box, tiny or hidden))
    return Scene(Image.fromarray(np.floor(pixels + 0.5).astype(np.uint8)), digits)


def _background(photos: Sequence[Image.Image], rng: np.random.Generator, parameters: Scenes) -> np.ndarray:
    """A random crop of one of the photographs, as H×W×3 float32, 0 to 255."""
    width, height = (int(side) for side in rng.integers(*parameters.side, 2, endpoint=True))
    photo = photos[int(rng.integers(len(photos)))]
    scale = rng.uniform(1, min(photo.width / width, photo.height / height))
    left, top = (rng.uniform(0, room) for room in (photo.width - width * scale, photo.height - height * scale))
    region = (left, top, left + width * scale, top + height * scale)
    return np.array(photo.resize((width, height), Image.Resampling.BICUBIC, region), dtype=np.float32)


def _place(
    size: int, others: Sequence[PixelBox], pixels: np.ndarray, rng: np.random.Generator, overlap: float
) -> PixelBox | None:
    """A random square that overlaps little with the others; None if no place is found."""
    height, width = pixels.shape[:2]
    for _ in range(_TRIES):
        x, y = int(rng.integers(0, width - size, endpoint=True)), int(rng.integers(0, height - size, endpoint=True))
        square = (x, y, x + size, y + size)
        if all(_overlap(square, other) <= overlap for other in others):
            return square
    return None


def _overlap(one: PixelBox, other: PixelBox) -> float:
    """The intersection of two boxes over the area of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other))
    return max(width, 0) * max(height, 0) / min(areas)


def _draw_glyph(pixels: np.ndarray, ink: np.ndarray, place: PixelBox, rng: np.random.Generator) -> PixelBox:
    """Draw a digit into a square; return its tight box."""
    x, y, x2, y2 = place
    # Strokes reach the edges of the 8×8 pixels; a margin of one pixel gives them round ends.
    smooth = np.asarray(Image.fromarray(np.pad(ink, 1)).resize((x2 - x, y2 - y), Image.Resampling.BICUBIC))
    opacity = np.clip((smooth - 0.25) / 0.5, 0, 1)
    patch = pixels[y:y2, x:x2]
    # Bright ink on a dark place and dark ink on a bright one, of any hue, keep the digit legible.
    colour = rng.uniform(190, 255, 3) if patch.mean() < 115 else rng.uniform(0, 60, 3)
    patch += opacity[..., None] * (colour.astype(np.float32) - patch)
    columns, rows = (np.flatnonzero((opacity > 0.5).any(axis)) for axis in (0, 1))
    return x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1


def _hide(pixels: np.ndarray, box: PixelBox, photos: Sequence[Image.Image], rng: np.random.Generator) -> None:
    """Cover most of a box, beginning at one of its sides, with a piece of a photograph."""
    x1, y1, x2, y2 = box
    covered = rng.uniform(0.6, 0.8)
    side = int(rng.integers(4))
    width, height = (x2 - x1, round((y2 - y1) * covered)) if side < 2 else (round((x2 - x1) * covered), y2 - y1)
    left, top = (x1, y1) if side % 2 == 0 else (x2 - width, y2 - height)
    photo = photos[int(rng.integers(len(photos)))]
    x, y = int(rng.integers(0, photo.width - width)), int(rng.integers(0, photo.height - height))
    pixels[top : top + height, left : left + width] = np.asarray(photo)[y : y + height, x : x + width]
