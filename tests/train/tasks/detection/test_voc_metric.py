"""VOC 2007's average precision: by hand, against the definition written out, and against another implementation."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mean_average_precision import MetricBuilder

from tests.helpers.random_detections import CLASSES, random_set
from train.tasks.detection.detections import Detections, Objects
from train.tasks.detection.voc_metric import average_precision, voc2007_ap

seeds = st.integers(0, 2**32 - 1)


def written_out(found, true, label):
    """Of one class, with whole pixels: fractions, one object after the other. None without objects."""
    listed = [
        (score, image, box)
        for image, one in enumerate(found)
        for box, its_label, score in zip(one.boxes.tolist(), one.labels, one.scores, strict=True)
        if its_label == label
    ]
    wanted = {
        image: [
            {"box": box, "difficult": difficult, "taken": False}
            for box, its_label, difficult in zip(one.boxes.tolist(), one.labels, one.difficult, strict=True)
            if its_label == label
        ]
        for image, one in enumerate(true)
    }
    positives = sum(not one["difficult"] for objects in wanted.values() for one in objects)
    if not positives:
        return None

    def pixels(x1, y1, x2, y2):
        return max(0, int(x2) - int(x1) + 1) * max(0, int(y2) - int(y1) + 1)

    def iou(a, b):
        shared = pixels(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        return Fraction(shared, pixels(*a) + pixels(*b) - shared)

    points, hits, misses = [], 0, 0
    for _, image, box in sorted(listed, key=lambda one: -one[0]):
        best = max(wanted[image], key=lambda one: iou(box, one["box"]), default=None)
        if best is None or 2 * iou(box, best["box"]) < 1:
            misses += 1
        elif best["difficult"]:
            continue
        elif best["taken"]:
            misses += 1
        else:
            best["taken"] = True
            hits += 1
        points.append((Fraction(hits, positives), Fraction(hits, hits + misses)))
    reached = [[precision for recall, precision in points if recall >= Fraction(k, 10)] for k in range(11)]
    return sum(max(some, default=Fraction(0)) for some in reached) / 11


@given(seeds)
def test_it_is_what_the_definition_says(seed):
    found, true = random_set(seed)
    measured = voc2007_ap(found, true, CLASSES)
    expected = {name: written_out(found, true, label) for label, name in enumerate(CLASSES)}
    for name, value in expected.items():
        if value is None:
            assert math.isnan(measured.of_class[name])
        else:
            assert measured.of_class[name] == pytest.approx(100 * float(value), abs=1e-9)
    known = [100 * float(value) for value in expected.values() if value is not None]
    assert measured.mean == pytest.approx(sum(known) / len(known), abs=1e-9)


@given(seeds)
def test_it_is_the_number_of_another_implementation_where_that_follows_the_definition(seed):
    """``mean-average-precision`` with its policy "greedy", VOC's; "soft", COCO's, goes on to less overlapping objects.

    It departs from the definition, which is VOC's development kit's, in these things. Equal scores have no order: given
    are ranks. An IoU of exactly the threshold is too small: given is a little less. Difficult objects are positives in
    the recall: its thresholds are scaled. A class without objects has 0: left out. Which objects are difficult is mixed
    up (its ``_tile``) with several objects and detections of a class in an image: all or none of them are.
    """
    found, true = random_set(seed, whole=False)
    rng = np.random.default_rng(seed)
    true = [replace(one, difficult=(rng.random(len(CLASSES)) < 0.3)[one.labels]) for one in true]
    true[0] = replace(true[0], difficult=np.zeros(len(true[0].labels), bool))
    measured = voc2007_ap(found, true, CLASSES)
    theirs = MetricBuilder.build_evaluation_metric("map_2d", num_classes=len(CLASSES))
    ranks = np.argsort(np.argsort(-np.concatenate([one.scores for one in found]), kind="stable"))
    ranks = np.split(-ranks, np.cumsum([len(one.scores) for one in found])[:-1])
    for one, objects, rank in zip(found, true, ranks, strict=True):
        crowd = np.zeros(len(objects.labels))
        theirs.add(np.c_[one.boxes, one.labels, rank], np.c_[objects.boxes, objects.labels, objects.difficult, crowd])
    for label, name in enumerate(CLASSES):
        mine = np.concatenate([one.difficult[one.labels == label] for one in true])
        if not (~mine).any():
            continue
        recalls = (np.arange(11) / 10 * (~mine).sum() - 1e-9) / len(mine)
        value = theirs.value(iou_thresholds=0.5 - 1e-12, recall_thresholds=recalls, mpolicy="greedy")
        assert measured.of_class[name] / 100 == pytest.approx(value[0.5 - 1e-12][label]["ap"], abs=1e-6)


def one_image(found, scores, objects, difficult=None):
    """Of the one class; boxes as lists."""
    difficult = np.zeros(len(objects), bool) if difficult is None else np.array(difficult)
    boxes = np.reshape(np.array(found, float), (-1, 4))
    truth = Objects(np.reshape(np.array(objects, float), (-1, 4)), np.zeros(len(objects), int), difficult)
    return Detections(boxes, np.zeros(len(boxes), int), np.array(scores, float)), truth


def ap(*images):
    found, true = zip(*images, strict=True)
    return voc2007_ap(found, true, ["dog"]).mean


A, B, C = [0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]


def test_two_of_three_objects_found_with_one_mistake_between():
    """Precision 1 up to recall 1/3, 2/3 up to 2/3: (4 · 1 + 3 · 2/3) / 11."""
    assert ap(one_image([A, [60, 0, 69, 9], B], [0.9, 0.8, 0.7], [A, B, C])) == pytest.approx(100 * 6 / 11)


def test_the_second_box_on_an_object_is_wrong_even_if_it_fits_better():
    assert ap(one_image([[0, 0, 9, 7], A], [0.9, 0.8], [A])) == 100
    assert ap(one_image([A, A, B], [0.9, 0.8, 0.7], [A, B])) == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)


def test_a_box_on_the_object_it_overlaps_most_does_not_go_on_to_another():
    """Both objects overlap by half; the second box overlaps the taken one more, and is wrong."""
    near = [0, 0, 9, 8]
    assert ap(one_image([A, A], [0.9, 0.8], [A, near])) == pytest.approx(100 * 6 / 11)


def test_of_objects_with_the_same_overlap_the_first_counts():
    twice = one_image([A, B], [0.9, 0.8], [A, A, B], [False, True, False])
    assert ap(twice) == 100
    assert ap(one_image([A, B], [0.9, 0.8], [A, A, B], [True, False, False])) == pytest.approx(100 * 6 / 11)


def test_difficult_objects_are_neither_missed_nor_found():
    assert ap(one_image([A, A, B], [0.9, 0.8, 0.7], [A, B, C], [True, False, True])) == 100


def test_borders_are_part_of_boxes_and_an_overlap_of_a_half_is_enough():
    assert ap(one_image([[0, 0, 9, 4]], [0.5], [A])) == 100  # 50 of 100 pixels
    assert ap(one_image([[0, 0, 9, 3]], [0.5], [A])) == 0
    assert ap(one_image([[5, 5, 5, 5]], [0.5], [[5, 5, 5, 5]])) == 100  # one pixel


def test_recall_of_exactly_three_tenths_reaches_the_point_of_three_tenths():
    """Three of ten found: points 0, 0.1, 0.2 and 0.3; in floating point, 3 · 0.1 > 3 / 10."""
    assert average_precision(np.ones(3, bool), np.zeros(3, bool), 10) == pytest.approx(4 / 11)
    for objects in range(1, 200):
        for hits in range(1, objects + 1):
            points = 10 * hits // objects + 1
            assert average_precision(np.ones(hits, bool), np.zeros(hits, bool), objects) == pytest.approx(points / 11)


def test_images_are_judged_apart_and_by_one_list_of_scores():
    hit, miss = one_image([A], [0.4], [A]), one_image([B], [0.6], [C])
    assert ap(hit, miss) == pytest.approx(100 * 6 * 0.5 / 11)
    assert ap(hit, one_image([], [], [C])) == pytest.approx(100 * 6 / 11)
    assert ap(hit, one_image([B], [0.3], [])) == 100
    assert ap(hit, one_image([B], [0.6], [])) == 50


def test_equal_scores_are_taken_in_the_order_of_images_then_of_detections():
    hit, miss = one_image([A], [0.5], [A]), one_image([B], [0.5], [])
    assert (ap(hit, miss), ap(miss, hit)) == (100, 50)
    assert ap(one_image([A, B], [0.5, 0.5], [A])) == 100
    assert ap(one_image([B, A], [0.5, 0.5], [A])) == 50


def test_a_class_without_objects_has_no_number_and_no_part_in_the_mean():
    found = Detections(np.array([A, B], float), np.array([0, 1]), np.array([0.5, 0.9]))
    true = Objects(np.array([A, B], float), np.array([0, 2]), np.array([False, True]))
    measured = voc2007_ap([found], [true], ["dog", "cat", "tv"])
    assert measured.mean == measured.of_class["dog"] == 100
    assert math.isnan(measured.of_class["cat"])
    assert math.isnan(measured.of_class["tv"])


def test_nothing_found_is_0():
    assert ap(one_image([], [], [A])) == 0


def test_the_order_of_scores_is_all_that_counts():
    found, true = random_set(5)
    other = [Detections(one.boxes, one.labels, one.scores * 100 - 7) for one in found]
    assert voc2007_ap(found, true, CLASSES).mean == voc2007_ap(other, true, CLASSES).mean


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="no object to find: there are none, or all are difficult"):
        ap(one_image([A], [0.5], [A], [True]))
