"""Random detections and ground truth: with ties, duplicates, difficult objects and images without any."""

import numpy as np

from train.tasks.detection.detections import Detections, Objects

CLASSES = ("bird", "cat", "dog", "tv")


def boxes(rng, count, whole, size):
    """Random boxes, count×4, with whole sides if asked."""
    corners = rng.uniform(0, size, (count, 2)), rng.uniform(0, size / 2, (count, 2))
    found = np.c_[corners[0], corners[0] + corners[1]]
    return np.floor(found) if whole else found


def random_set(seed, whole=True, images=6, size=16, difficult=0.3):
    """Detections and objects of some images; ``whole`` pixels bring equal overlaps, and such of a half."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(1, len(CLASSES) + 1)  # others have detections only
    found, true = [], []
    for _ in range(images):
        objects, extra = rng.integers(0, 5), rng.integers(0, 6)
        truth = Objects(
            boxes(rng, objects, whole, size), rng.integers(0, kinds, objects), rng.random(objects) < difficult
        )
        copies = rng.integers(0, objects, rng.integers(0, 8)) if objects else np.zeros(0, int)
        moves = rng.integers(-2, 3, (len(copies), 4)) if whole else rng.uniform(-2, 2, (len(copies), 4))
        near = truth.boxes[copies] + moves
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        labels = np.r_[truth.labels[copies], rng.integers(0, len(CLASSES), extra)]
        scores = rng.integers(0, 5, len(labels)) / 4 if whole else rng.random(len(labels))
        found.append(Detections(np.r_[near, boxes(rng, extra, whole, size)], labels, scores))
        true.append(truth)
    true[0] = Objects(np.array([[1.0, 2, 6, 8]]), np.array([0]), np.array([False]))
    return found, true
