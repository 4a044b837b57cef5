"""Fixtures of the study's tests: a data set with boxes, and images of other sizes."""

import numpy as np
import pytest

from tests.helpers.boxed_images import make_boxed
from tests.helpers.images import save


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Gray images of other sizes, in four classes, with boxes."""
    return make_boxed(tmp_path_factory.mktemp("data") / "set", train=6, val=4)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Colour images of other sizes, in folders of several depths."""
    root = tmp_path_factory.mktemp("other")
    rng = np.random.default_rng(1)
    for i in range(5):
        pixels = rng.integers(0, 256, (40 + i, 70 - i, 3), np.uint8)
        save(pixels, root / ("deep" if i % 2 else "") / f"{i}.png")
    return root
