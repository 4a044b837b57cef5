"""Draw a scene: several digits of different sizes on a crop of a photograph, each with its tight box."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PixelBox = tuple[int, int, int, int]
_TRIES = 50  # places for a digit before the scene stays without it
_TINY = 3  # a tiny digit's side is at least that part of the smallest other one's
_SMALLEST = 6  # pixels; in a smaller square some digits have no stroke of full ink, and so no box


@dataclass(frozen=True)
class Scenes:
    """What the data set is made of; its digest names the cache folder, so a change makes a new one.

    Raises:
        ValueError: digits may come out too small to draw.
    """

    version: int = 1  # of the drawing code: raise it when the same parameters give other pixels or sentences
    seed: int = 0
    train: int = 2000  # scenes
    val: int = 400  # scenes
    side: tuple[int, int] = (128, 176)  # width and height, each on its own, pixels
    digits: tuple[int, int] = (1, 4)  # in a scene
    digit: tuple[float, float] = (0.2, 0.5)  # side of a digit, with its margin, over the shorter side of the scene
    overlap: float = 0.05  # of two digits' squares, over the smaller one, at most
    tiny: float = 0.06  # share of the digits, but for each scene's first, that are too small to read
    hidden: float = 0.06  # share of them that are mostly covered
    quality: int = 90  # JPEG

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
        """Twelve hexadecimal digits that stand for all of the values."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


class Glyph(NamedTuple):
    """One of scikit-learn's digits."""

    ink: np.ndarray
    """8×8 float32, 0 to 1."""
    label: int


class Digit(NamedTuple):
    """One digit of a scene."""

    label: int
    box: PixelBox
    """x1, y1, x2, y2 in pixels, the last two exclusive: its strokes'."""
    difficult: bool
    """Tiny, or mostly hidden."""

    @property
    def name(self) -> str:
        """In words."""
        return NAMES[self.label]


class Scene(NamedTuple):
    """A picture and what is in it."""

    image: Image.Image
    digits: list[Digit]


def draw(glyphs: Sequence[Glyph], photos: Sequence[Image.Image], rng: np.random.Generator, parameters: Scenes) -> Scene:
    """Draw a scene; the first of its digits is never difficult."""
    pixels = _background(photos, rng, parameters)
    digits: list[Digit] = []
    places: list[PixelBox] = []
    for number in range(int(rng.integers(*parameters.digits, endpoint=True))):
        tiny, hidden = (bool(number and rng.random() < chance) for chance in (parameters.tiny, parameters.hidden))
        low, high = parameters.digit
        share = rng.uniform(low / _TINY, low / 2) if tiny else low * (high / low) ** rng.random()
        place = _place(round(min(pixels.shape[:2]) * share), places, pixels, rng, parameters.overlap)
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
    """A crop of one of the photographs, of any size, as H×W×3 float32 levels."""
    width, height = (int(side) for side in rng.integers(*parameters.side, 2, endpoint=True))
    photo = photos[int(rng.integers(len(photos)))]
    scale = rng.uniform(1, min(photo.width / width, photo.height / height))
    left, top = (rng.uniform(0, room) for room in (photo.width - width * scale, photo.height - height * scale))
    region = (left, top, left + width * scale, top + height * scale)
    return np.array(photo.resize((width, height), Image.Resampling.BICUBIC, region), dtype=np.float32)


def _place(
    size: int, others: Sequence[PixelBox], pixels: np.ndarray, rng: np.random.Generator, overlap: float
) -> PixelBox | None:
    """A square that shares little with the others."""
    height, width = pixels.shape[:2]
    for _ in range(_TRIES):
        x, y = int(rng.integers(0, width - size, endpoint=True)), int(rng.integers(0, height - size, endpoint=True))
        square = (x, y, x + size, y + size)
        if all(_shared(square, other) <= overlap for other in others):
            return square
    return None


def _shared(one: PixelBox, other: PixelBox) -> float:
    """The area that two boxes share, over that of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other))
    return max(width, 0) * max(height, 0) / min(areas)


def _draw_glyph(pixels: np.ndarray, ink: np.ndarray, place: PixelBox, rng: np.random.Generator) -> PixelBox:
    """Draw a digit into a square; its tight box."""
    x, y, x2, y2 = place
    # Strokes reach the edge of their 8×8 pixels: with a margin of one more they end round instead of cut off.
    smooth = np.asarray(Image.fromarray(np.pad(ink, 1)).resize((x2 - x, y2 - y), Image.Resampling.BICUBIC))
    opacity = np.clip((smooth - 0.25) / 0.5, 0, 1)
    patch = pixels[y:y2, x:x2]
    # Bright ink on a dark place and dark ink on a bright one, in any hue, keeps every digit legible.
    colour = rng.uniform(190, 255, 3) if patch.mean() < 115 else rng.uniform(0, 60, 3)
    patch += opacity[..., None] * (colour.astype(np.float32) - patch)
    columns, rows = (np.flatnonzero((opacity > 0.5).any(axis)) for axis in (0, 1))
    return x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1


def _hide(pixels: np.ndarray, box: PixelBox, photos: Sequence[Image.Image], rng: np.random.Generator) -> None:
    """Cover most of a box with a piece of a photograph, from one of its sides."""
    x1, y1, x2, y2 = box
    covered = rng.uniform(0.6, 0.8)
    side = int(rng.integers(4))
    width, height = (x2 - x1, round((y2 - y1) * covered)) if side < 2 else (round((x2 - x1) * covered), y2 - y1)
    left, top = (x1, y1) if side % 2 == 0 else (x2 - width, y2 - height)
    photo = photos[int(rng.integers(len(photos)))]
    x, y = int(rng.integers(0, photo.width - width)), int(rng.integers(0, photo.height - height))
    pixels[top : top + height, left : left + width] = np.asarray(photo)[y : y + height, x : x + width]
