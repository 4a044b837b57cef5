"""Means and published numbers in a study's tables."""

from dataclasses import replace

import numpy as np
import pytest

from train.study import published, tables
from train.study.results import Mean


def test_a_mean_of_one_value_has_no_deviation():
    assert Mean.of([3.0]) == Mean(3.0, None, [3.0])
    assert str(Mean.of([3.0])) == "3.0"
    assert str(Mean.of([1.0, 3.0])) == "2.0 ± 1.4"


def test_the_best_of_a_column_is_marked_and_ties_are_all(data):
    column = tables.Column(
        "x", {"none": Mean.of([2.0]), "mixup": Mean.of([1.0]), "cutmix": Mean.of([1.01])}, {"none": 5.0}
    )
    for lowest, best in ((True, ["Mixup", "CutMix"]), (False, ["None"])):
        table = tables.table_of(replace(column, lowest_is_best=lowest))
        assert [name for name, (cell,) in table.rows.items() if cell.is_best] == best
    assert table.has_published
    assert [cell.published for (cell,) in table.rows.values()] == ["5.0", "", ""]


def test_published_numbers_are_the_papers():
    """Table A2's own differences to the baseline, and some that the text names."""
    differences = {
        ("tinyimagenet-crop", "mixup"): (-20.4, -17.3, -11.5),
        ("tinyimagenet-crop", "cutmix"): (14.1, 3.5, 3.7),
        ("tinyimagenet-resize", "cutout"): (-7.8, -1.4, 0.1),
        ("lsun-crop", "cutmix"): (13.0, 3.8, 3.3),
        ("lsun-resize", "mixup"): (-21.3, -27.4, -17.2),
        ("isun", "cutmix"): (28.1, 7.9, 7.9),
        ("uniform", "mixup"): (0, -88.4, -39.2),
        ("gaussian", "cutout"): (-10.4, -66.4, -39.9),
        ("gaussian", "cutmix"): (89.6, 9.0, 9.1),
    }
    for (name, method), expected in differences.items():
        ours = published.OUT_OF_DISTRIBUTION[name]
        assert np.subtract(ours[method], ours["none"]) == pytest.approx(expected, abs=1e-9)
    assert published.TOP1_LOC["cub200-resnet50"]["cutmix"] == 54.81
    assert published.TOP1_ERROR["cifar100-pyramidnet200"]["cutmix"] == 14.47
