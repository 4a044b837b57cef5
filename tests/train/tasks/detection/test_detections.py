"""Detections and ground truth: joined in order, and refused where they are malformed."""

from dataclasses import replace

import numpy as np
import pytest

from train.tasks.detection.detections import Detections, Objects, concatenate

FOUND = Detections(np.array([[0, 0, 4, 4], [1, 1, 1, 1]], np.float32), np.array([1, 0]), np.array([0.5, 1], np.float32))
TRUE = Objects(np.array([[0, 0, 4, 4]]), np.array([1], np.uint8), np.array([False]))
NOTHING = Detections(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
EMPTY = Objects(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))
CLASSES = ("cat", "dog")


def test_images_are_joined_in_order():
    joined = concatenate([FOUND, NOTHING, FOUND], [TRUE, EMPTY, TRUE], CLASSES)
    assert joined.found_images.tolist() == [0, 0, 2, 2]
    assert joined.true_images.tolist() == [0, 2]
    assert joined.found.boxes.dtype == joined.true.boxes.dtype == joined.found.scores.dtype == np.float64
    assert joined.found.boxes.tolist() == 2 * FOUND.boxes.tolist()
    assert joined.found.labels.tolist() == [1, 0, 1, 0]
    assert joined.found.scores.tolist() == [0.5, 1, 0.5, 1]
    assert joined.true.labels.tolist() == [1, 1]
    assert joined.true.difficult.tolist() == [False, False]


BOX = FOUND.boxes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": BOX[:, :3]}, r"image 1: boxes of its detections have shape \(2, 3\); expected N×4: x1, y1, x2, y2"),
        ({"boxes": np.zeros(0)}, r"image 1: boxes of its detections have shape \(0,\); expected N×4"),
        ({"labels": np.array([1])}, r"image 1: labels of its detections have shape \(1,\); expected \(2,\), as boxes"),
        ({"scores": np.ones((2, 1))}, r"image 1: scores of its detections have shape \(2, 1\); expected \(2,\)"),
        ({"labels": np.array([1.0, 0])}, "image 1: labels of its detections are float64; they must be integers"),
        ({"labels": np.array([1, 2])}, "image 1: invalid label 2 of its detections; allowed are 0 to 1"),
        ({"labels": np.array([-1, 0])}, "image 1: invalid label -1 of its detections; allowed are 0 to 1"),
        ({"scores": np.array([0.5, np.nan])}, "image 1: a score of its detections is not finite"),
        ({"scores": np.array([np.inf, 0])}, "image 1: a score of its detections is not finite"),
        ({"boxes": BOX * np.nan}, "image 1: a box of its detections is not finite"),
        (
            {"boxes": BOX[:, [2, 1, 0, 3]]},
            "image 1: the box 4, 0, 0, 4 of its detections ends before it begins; expected",
        ),
    ],
)
def test_wrong_detections_are_refused_and_the_image_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        concatenate([FOUND, replace(FOUND, **change)], [TRUE, TRUE], CLASSES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((1, 5))}, r"image 0: boxes of its objects have shape \(1, 5\); expected N×4"),
        ({"labels": np.array([7])}, "image 0: invalid label 7 of its objects; allowed are 0 to 1"),
        ({"difficult": np.array([], bool)}, r"image 0: difficult of its objects have shape \(0,\); expected \(1,\)"),
        ({"difficult": np.array([0])}, "image 0: difficult of its objects is int64; it must be bool"),
    ],
)
def test_wrong_objects_are_refused_and_the_image_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        concatenate([FOUND], [replace(TRUE, **change)], CLASSES)


@pytest.mark.parametrize(
    ("found", "true", "classes", "message"),
    [
        ([FOUND], [TRUE, TRUE], CLASSES, "detections of 1 images and objects of 2 given; they must be the same"),
        ([FOUND], [TRUE], ("cat", "cat"), "classes cat, cat given; each must occur once"),
        ([NOTHING], [EMPTY], CLASSES, "no object to find: there are none, or all are difficult"),
        ([], [], CLASSES, "no object to find: there are none, or all are difficult"),
    ],
)
def test_what_does_not_fit_together_is_refused(found, true, classes, message):
    with pytest.raises(ValueError, match=message):
        concatenate(found, true, classes)
