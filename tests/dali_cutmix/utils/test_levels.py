"""Mean and standard deviation of pixels: one number or three, in levels; all else is refused in words that help."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from dali_cutmix.utils import check_levels

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@pytest.mark.parametrize(
    "form",
    [tuple, list, np.array, torch.tensor, lambda levels: np.array(levels, np.float32), lambda v: [*map(np.float64, v)]],
    ids=["tuple", "list", "array", "tensor", "float32", "scalars"],
)
def test_three_numbers_in_any_form_are_three_floats(form):
    mean, std = check_levels(form(MEAN), form(STD))
    assert all(type(value) is float for value in mean + std)
    assert mean == pytest.approx(MEAN, abs=1e-4)
    assert std == pytest.approx(STD, abs=1e-4)
    assert check_levels(MEAN, STD) == (MEAN, STD), "floats are not changed"


@pytest.mark.parametrize(
    "one", [128, 128.0, (128,), [128], np.float32(128), np.array(128), torch.tensor([128])], ids=repr
)
def test_one_number_is_for_all_channels(one):
    assert check_levels(one, one) == ((128.0,), (128.0,))
    assert check_levels(one, STD) == ((128.0,) * 3, STD)
    assert check_levels(MEAN, one) == (MEAN, (128.0,) * 3)


@pytest.mark.parametrize(
    "levels",
    [((0, 0, 0), (1, 1, 1)), (0, 1), (0, 255), ((0, 0, 0), 255), (1, 2), ((10, 20, 30), 1), (-3, 2)],
    ids=repr,
)
def test_levels_as_they_are_and_unusual_ones_are_taken(levels):
    check_levels(*levels)


NOT_LEVELS = [
    (), (1, 2), (1, 2, 3, 4), [[1, 2, 3]], np.ones((3, 1, 1)), torch.zeros(0), "128", ("1", "2", "3"), b"abc", None,
    True, (1, 2, None), (1.0, 2.0, float("nan")), float("inf"), -float("inf"), 1j, {"mean": 1}, {1, 2, 3},
    (60, (1, 2), 3), (Decimal(1),), object,
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_LEVELS, ids=lambda value: re.sub(r"\s+", " ", str(value)))
@pytest.mark.parametrize("name", ["mean", "std"])
def test_what_are_no_levels_is_refused(name, value):
    levels = {"mean": MEAN, "std": STD} | {name: value}
    with pytest.raises(ValueError, match=rf"(?s){name}=.* given; it is one finite number for all channels, or three"):
        check_levels(**levels)


@pytest.mark.parametrize("std", [0, (58.0, 0.0, 57.0), -1, (58, 57, -57), np.zeros(3)], ids=repr)
def test_a_deviation_that_is_not_above_zero_is_refused(std):
    with pytest.raises(ValueError, match=r"std=.* given; pixels are divided by it, so it is above 0 in each channel"):
        check_levels(MEAN, std)


@pytest.mark.parametrize(
    ("mean", "std", "meant"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), f"mean={MEAN}, std={STD}"),
        (0.5, 0.5, "mean=(127.5,), std=(127.5,)"),
        ((0.5, 0.5, 0.5), 0.5, "mean=(127.5, 127.5, 127.5), std=(127.5,)"),
        (torch.tensor([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), f"mean={MEAN}, std={STD}"),
        ((0, 0, 0), (0.5, 0.5, 0.5), "mean=(0.0, 0.0, 0.0), std=(127.5, 127.5, 127.5)"),
        ((0, 0, 0), (1, 1, 0.5), "mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 127.5)"),
        (1, 1, "mean=(255.0,), std=(255.0,)"),
        (Fraction(1, 2), 1, "mean=(127.5,), std=(255.0,)"),
    ],
    ids=repr,
)
def test_values_for_pixels_of_0_to_1_are_refused_with_those_that_are_meant(mean, std, meant):
    with pytest.raises(ValueError, match=r"(?s)mean=.* given with std=.* Multiply both by 255: " + re.escape(meant)):
        check_levels(mean, std)


@pytest.mark.parametrize(
    ("levels", "meant"),
    [
        (((0.485, 0.456, 0.406), STD), f"mean is for pixels of 0 to 1, .* Multiply it by 255: mean={MEAN}."),
        ((0.5, 60), "Multiply it by 255: mean=(127.5,)."),
        ((MEAN, (0.229, 0.224, 0.225)), f"std is for pixels of 0 to 1, .* Multiply it by 255: std={STD}."),
        (((0, 0, 0.5), STD), "Multiply it by 255: mean=(0.0, 0.0, 127.5)."),
    ],
    ids=repr,
)
def test_one_of_the_two_is_refused_where_the_other_keeps_its_default(levels, meant):
    with pytest.raises(ValueError, match=re.escape(meant).replace(re.escape(".*"), ".*")):
        check_levels(*levels)


def test_an_option_of_a_command_is_named_as_it_is_written():
    with pytest.raises(ValueError, match=r"--mean 0.5 0.5 0.5 given with --std=.*: --mean=\(127.5, 127.5, 127.5\)"):
        check_levels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), ("--mean", "--std"))
