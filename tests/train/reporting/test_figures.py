"""Names that users give stand in figures as they are."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from train.evaluation import captioning
from train.reporting.figures import PANELS, curves, histogram, learning_curves

ODD = ["$", "$x", "a$b$", r"$\frac{1}$", "_x_^2", "{}", "%s", "a\nb", "é ✓"]


def drawn(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.filterwarnings("ignore:Glyph")
def test_any_names_of_sets_and_methods_can_be_drawn():
    scores = {"in-distribution": np.linspace(0, 1, 9)} | {name: np.linspace(0, 1, 9) for name in ODD}
    rows = [{"parameter": 0.0, "top1": 50.0, "either": 60.0, "std": 1.0}]
    methods = curves({name: dict.fromkeys(PANELS, rows) for name in ODD})
    for png in (histogram(scores), learning_curves(dict.fromkeys(ODD, rows)), methods):
        assert min(drawn(png)) > 100


def test_a_dollar_is_drawn_as_a_dollar():
    scores = {"in-distribution": np.linspace(0, 1, 9)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert histogram(scores | {"a$b$": np.ones(9)}) != histogram(scores | {"ab": np.ones(9)})
    assert captioning.shown_captions([captioning.Shown(np.zeros((8, 8, 3), np.uint8), "costs $5 or $x", "$")])
