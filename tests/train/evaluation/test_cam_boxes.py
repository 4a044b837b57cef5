"""From a map to a box: against a hand-computed case, scikit-image's and SciPy's labelling, and plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from train.evaluation.cam_boxes import (
    Located,
    box_of_map,
    boxes_over_thresholds,
    largest_box,
    localization_scores,
    locate,
    overlap,
)

MAP = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 9, 8, 0, 0, 2],
        [0, 7, 1, 0, 2, 0],
        [0, 0, 0, 2, 0, 0],
        [0, 0, 0, 0, 0, 3],
    ],
    np.float32,
)
"""By hand, over 0.15 × 9 = 1.35: regions {9, 8, 7} (3 pixels) and the diagonal {2, 2, 2} (3 pixels; with 4 neighbours
three regions of one), and {3} alone."""


def test_a_case_computed_by_hand():
    assert box_of_map(MAP, 0.15) == (1, 1, 3, 3)  # of two regions of the same size the first one
    assert box_of_map(MAP, 0.15, connectivity=4) == (1, 1, 3, 3)
    assert box_of_map(MAP, 0.1) == (1, 1, 6, 4)  # over 0.9: the 1 joins both at its corners
    assert box_of_map(MAP, 0.1, connectivity=4) == (1, 1, 3, 3)
    assert box_of_map(np.where(MAP == 7, 0, MAP), 0.15) == (3, 1, 6, 4)  # now the diagonal is the largest
    assert box_of_map(np.where(MAP == 7, 0, MAP), 0.15, connectivity=4) == (1, 1, 3, 2)
    assert box_of_map(MAP, 8 / 9) == (1, 1, 2, 2)  # over, not at, the threshold


def test_minimum_and_maximum_become_0_and_1_for_the_later_protocol():
    shifted = MAP * 3 - 100
    assert boxes_over_thresholds(shifted, np.array([0.15])) == [(1, 1, 3, 3)]
    assert boxes_over_thresholds(shifted, np.array([0.99, 0.0])) == [(1, 1, 2, 2), (1, 1, 6, 4)]
    assert boxes_over_thresholds(np.ones((4, 4), np.float32), np.array([0.0, 0.5])) == [None, None]


def test_no_foreground_is_no_box():
    assert largest_box(np.zeros((3, 4), bool)) is None
    assert box_of_map(np.full((3, 3), -1.0)) is None  # over 0.15 of the maximum is nothing
    assert overlap(None, np.array([[0.0, 0, 2, 2]])) == 0


masks = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random((13, 17)) < np.random.default_rng(seed + 1).uniform(0.05, 0.8)
)


@given(masks, st.sampled_from([4, 8]))
def test_the_largest_region_is_that_of_other_libraries(mask, connectivity):
    box = largest_box(mask, connectivity)
    if not mask.any():
        assert box is None
        return
    regions = measure.regionprops(measure.label(mask, connectivity=1 if connectivity == 4 else 2))
    most = max(region.area for region in regions)
    found = {(r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2]) for r in regions if r.area == most}
    assert box in found
    labels, count = ndimage.label(mask, np.ones((3, 3)) if connectivity == 8 else None)
    sizes = np.bincount(labels.ravel())[1:]
    assert len(sizes) == count
    largest = ndimage.find_objects(labels)[int(sizes.argmax())]
    assert box == (largest[1].start, largest[0].start, largest[1].stop, largest[0].stop)


corners = st.tuples(*[st.integers(0, 11)] * 4).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1)
)


@given(corners, st.lists(corners, min_size=1, max_size=4))
def test_overlap_counts_pixels(box, truth):
    def pixels(b):
        found = np.zeros((12, 12), bool)
        found[b[1] : b[3], b[0] : b[2]] = True
        return found

    shares = [(pixels(box) & pixels(t)).sum() / (pixels(box) | pixels(t)).sum() for t in truth]
    assert overlap(box, np.array(truth, float)) == pytest.approx(max(shares), rel=1e-12)


def test_a_true_box_outside_of_the_crop_overlaps_nothing():
    assert overlap((0, 0, 4, 4), np.array([[6.0, 0, 6, 3]])) == 0


def test_accuracies_of_a_hand_computed_set():
    """Four images: right and located; right and not located (IoU exactly 0.5); wrong and located; neither."""
    thresholds = np.array([0.0, 0.5, 0.9])
    over = [[0.5, 0.9, 0.1], [0.5, 0.5, 0.0], [0.2, 0.6, 0.4], [0.0, 0.1, 0.6]]
    given_ious = [0.7, 0.5, 0.9, 0.1]
    found = [
        Located(number, predicted, None, iou, np.array(curve))
        for number, (predicted, iou, curve) in enumerate(zip([3, 1, 0, 2], given_ious, over, strict=True))
    ]
    total, curve = localization_scores(found, [3, 1, 1, 0], thresholds)
    assert (total.top1, total.top1_loc, total.gt_known_loc) == (50, 25, 50)
    assert curve.tolist() == [50, 75, 25]
    assert (total.max_box_acc, total.best_threshold) == (75, 0.5)


def test_one_image_is_judged_at_all_thresholds():
    truth = np.array([[1.0, 1, 3, 3]])
    one = locate(7, 2, MAP, truth, 0.15, np.array([0.0, 0.95]), 8)
    assert (one.number, one.predicted, one.box, one.iou) == (7, 2, (1, 1, 3, 3), 1)
    assert one.over_thresholds.tolist() == [4 / 15, 0.25]
