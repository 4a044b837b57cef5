"""What the paper says, in plain NumPy: written from Algorithm A1 and its prose, not from the library's code.

Slow, in float64, one sample and one pixel at a time where that is the shortest way to say it.
"""

import math
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A half-open box in pixels: columns x1 to x2, rows y1 to y2."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def area(self):
        return max(self.x2 - self.x1, 0) * max(self.y2 - self.y1, 0)


def half_up(x):
    """The nearest whole number; halves are rounded up."""
    return math.floor(x + 0.5)


def clipped(centre_x, centre_y, box_width, box_height, width, height):
    """Lines 10 to 13 of Algorithm A1."""
    return Box(
        half_up(max(centre_x - box_width / 2, 0)),
        half_up(max(centre_y - box_height / 2, 0)),
        half_up(min(centre_x + box_width / 2, width)),
        half_up(min(centre_y + box_height / 2, height)),
    )


def cutmix_box(lam, u, v, width, height):
    """Lines 5 to 13, with W and H put back into lines 8 and 9; u and v are uniform in 0 to 1."""
    cut = math.sqrt(1 - lam)
    return clipped(u * width, v * height, cut * width, cut * height, width, height)


def cutout_box(length, u, v, width, height):
    """A square of ``length`` times the shorter side, clipped to the image."""
    side = length * min(width, height)
    return clipped(u * width, v * height, side, side, width, height)


def paste(images, rows, fill):
    """Flip and paste as a plan says; rows are (partner, x1, y1, x2, y2, flip, weight)."""
    images = np.asarray(images)
    _, height, width, channels = images.shape
    mirrored = np.array([image[:, ::-1] if row[5] else image for image, row in zip(images, rows, strict=True)])
    y, x = np.mgrid[:height, :width]
    out = np.empty_like(images)
    for i, (partner, x1, y1, x2, y2, _, weight) in enumerate(rows):
        share = weight / 65536  # exact in float64, as is all that follows
        if partner < 0:
            inside = np.broadcast_to(np.array(fill[:channels], np.float64), (height, width, channels))
        else:
            inside = np.floor(share * mirrored[i] + (1 - share) * mirrored[partner].astype(np.float64) + 0.5)
        is_inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        out[i] = np.where(is_inside[..., None], inside, mirrored[i])
    return out


def dense_targets(own, partner, lam, classes):
    """Line 16: λ·y + (1−λ)·y_partner."""
    eye = np.eye(classes)
    lam = np.asarray(lam, np.float64)[:, None]
    return lam * eye[own] + (1 - lam) * eye[partner]


def bounding_box(mask):
    """The smallest box around all True pixels; an empty one where there is none."""
    ys, xs = np.nonzero(mask)
    return Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) if len(ys) else Box(0, 0, 0, 0)


def is_box(mask):
    """Whether the True pixels fill one rectangle."""
    return bounding_box(mask).area == mask.sum()


# Images that tell where each of their pixels came from.


def coded_images(n, height, width):
    """N×H×W×3: every pixel holds (number of its image, its column, its row)."""
    images = np.empty((n, height, width, 3), np.uint8)
    images[..., 0] = np.arange(n)[:, None, None]
    images[..., 1] = np.arange(width)
    images[..., 2] = np.arange(height)[:, None]
    return images


class Found(NamedTuple):
    """What a mixed coded image shows of itself; ``partner`` is None where no other image's pixel is visible."""

    box: Box
    partner: int | None
    flipped: bool | None
    partner_flipped: bool | None


def read_coded(mixed, own):
    """Recover box, partner and flips from one mixed coded image; fails where it is no valid CutMix."""
    height, width, _ = mixed.shape
    assert (mixed[..., 2] == np.arange(height)[:, None]).all(), "a pixel left its row"
    foreign = mixed[..., 0] != own
    assert is_box(foreign), "the pixels of others are no rectangle"
    partners = np.unique(mixed[..., 0][foreign])
    assert len(partners) <= 1, "more than one partner"

    def flipped(where):
        if not where.any():
            return None
        columns = np.broadcast_to(np.arange(width), (height, width))[where]
        straight = (mixed[..., 1][where] == columns).all()
        mirrored = (mixed[..., 1][where] == width - 1 - columns).all()
        assert straight or mirrored, "a pixel is neither in its own nor in the mirrored column"
        return None if straight and mirrored else bool(mirrored)

    partner = int(partners[0]) if len(partners) else None
    return Found(bounding_box(foreign), partner, flipped(~foreign), flipped(foreign))
