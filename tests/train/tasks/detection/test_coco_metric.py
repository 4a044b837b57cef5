"""COCO's average precision: against ``pycocotools``, and by hand."""

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.helpers.random_detections import CLASSES, random_set
from train.tasks.detection.coco_metric import coco_ap
from train.tasks.detection.detections import Detections, Objects


def original(found, true):
    """AP, AP50, AP75, small, medium, large and, for each class, AP; −1 where there is nothing."""
    objects, detections = [], []
    for image, (here, there) in enumerate(zip(found, true, strict=True)):
        for (x1, y1, x2, y2), label, difficult in zip(there.boxes.tolist(), there.labels, there.difficult, strict=True):
            row = {"image_id": image, "category_id": int(label), "bbox": [x1, y1, x2 - x1, y2 - y1]}
            area = (x2 - x1) * (y2 - y1)
            objects.append(row | {"id": len(objects) + 1, "area": area, "iscrowd": int(difficult)})
        for (x1, y1, x2, y2), label, score in zip(here.boxes.tolist(), here.labels, here.scores.tolist(), strict=True):
            row = {"image_id": image, "category_id": int(label), "bbox": [x1, y1, x2 - x1, y2 - y1]}
            detections.append(row | {"score": score})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(true))],
        "categories": [{"id": label} for label in range(len(CLASSES))],
        "annotations": objects,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    each = judge.eval["precision"][:, :, :, 0, -1]
    return [*judge.stats[:6], *(each[:, :, label].mean() for label in range(len(CLASSES)))]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([16, 60, 200]))
def test_it_is_the_number_of_pycocotools(seed, whole, size):
    found, true = random_set(seed, whole, size=size)
    measured = coco_ap(found, true, CLASSES)
    numbers = [measured.mean, measured.ap50, measured.ap75, measured.small, measured.medium, measured.large]
    numbers += measured.of_class.values()
    for ours, theirs in zip(numbers, original(found, true), strict=True):
        assert ours == pytest.approx(math.nan if theirs == -1 else 100 * theirs, abs=1e-6, nan_ok=True)


def test_only_the_100_surest_detections_of_a_class_in_an_image_count():
    found, true = random_set(3)
    rng = np.random.default_rng(0)
    many = Detections(np.tile([[0.0, 0, 5, 5]], (300, 1)), np.zeros(300, int), rng.random(300))
    found[1] = Detections(*(np.concatenate(pair) for pair in zip(vars(found[1]).values(), vars(many).values())))  # noqa: B905
    assert coco_ap(found, true, CLASSES).mean == pytest.approx(100 * original(found, true)[0], abs=1e-6)


def judge(boxes, objects, difficult=False):
    found = Detections(np.array(boxes, float).reshape(-1, 4), np.zeros(len(boxes), int), -np.arange(len(boxes)) / 1.0)
    return coco_ap([found], [Objects(np.array(objects, float), np.zeros(len(objects), int), difficult)], ["dog", "cat"])


def test_a_box_with_an_iou_of_six_tenths_is_right_at_three_thresholds_of_ten():
    measured = judge([[0, 0, 10, 6.01]], [[0, 0, 10, 10]], np.array([False]))
    assert (measured.mean, measured.ap50, measured.ap75) == pytest.approx((30, 100, 0))
    assert measured.small == pytest.approx(30)
    assert math.isnan(measured.medium)
    assert math.isnan(measured.large)
    assert measured.of_class["dog"] == pytest.approx(30)
    assert math.isnan(measured.of_class["cat"])


def test_boxes_in_a_difficult_object_are_left_out_and_it_need_not_be_found():
    objects = [[0, 0, 10, 10], [20, 0, 90, 90]]
    measured = judge([[30, 10, 40, 20], [0, 0, 10, 10], [50, 10, 60, 20]], objects, np.array([False, True]))
    assert measured.mean == pytest.approx(100)


def test_nothing_found_is_0():
    assert judge([], [[0, 0, 10, 10]], np.array([False])).mean == 0


def test_nothing_is_printed_and_what_was_given_stays_as_it_is(capsys):
    found, true = random_set(1)
    before = [one.boxes.copy() for one in found]
    coco_ap(found, true, CLASSES)
    assert capsys.readouterr() == ("", "")
    for one, kept in zip(found, before, strict=True):
        assert np.array_equal(one.boxes, kept)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="no object to find: there are none, or all are difficult"):
        judge([], [[0, 0, 1, 1]], np.array([True]))
