"""Labels of a batch: class labels or dense ones; everything else is refused by name.

    class labels   whole numbers, scalars or of shape [1]          N or N×1   ──▶ N int64
    dense labels   one-hot, multi-label or soft, of shape [K]      N×K        ──▶ N×K float32

A whole number of shape [1] is a class label, whatever K is; a floating point number of shape [1] is dense, with K = 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_label_node(labels: Any) -> None:
    """Refuse labels that no graph can mix, when the graph is built.

    Args:
        labels: a node of the graph.

    Raises:
        ValueError: there are none, or they are on the GPU.
    """
    if labels is None:
        raise ValueError(
            "mix: labels=None given; targets are made from labels. Read data that has them (dc.read_files([(path, "
            "label), …]), dc.read_folder), or, only to flip images at random, use nvidia.dali.fn.flip."
        )
    if getattr(labels, "device", "cpu") != "cpu":
        raise ValueError(
            "mix: labels on the GPU given; expected labels on the CPU: leave out labels.gpu(), since the targets are "
            "moved to the images' device. For targets of another mix give labels.cpu()."
        )


def check_dense_form(length: int, num_classes: int, is_pairs: bool) -> None:
    """Refuse dense labels of another length than K, and pairs of dense labels.

    Args:
        length: of the labels of a sample.
        num_classes: K.
        is_pairs: whether the targets are pairs.

    Raises:
        ValueError: either of the two.
    """
    if is_pairs:
        raise ValueError(
            f"mix: targets='pairs' given with dense labels of shape [{length}]; pairs are of one class label for each "
            "sample: use targets='dense'."
        )
    if length != num_classes:
        raise ValueError(
            f"mix: dense labels of shape [{length}] given with num_classes={num_classes}; expected the same number: "
            f"give num_classes={num_classes}, or as many classes, to the verb that reads (dc.read_files), too."
        )


def stack_labels(labels: Sequence[np.ndarray], num_classes: int) -> np.ndarray:
    """Stack the labels of a batch.

    Raises:
        ValueError: they have different shapes.
    """
    try:
        return np.stack(labels)
    except ValueError:
        first, second, *_ = sorted({label.shape for label in labels})
        raise ValueError(
            f"mix: labels of shapes {list(first)} and {list(second)} in one batch; {_allowed(num_classes)}: give every "
            "sample labels of one shape."
        ) from None


def check_labels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Check the labels of a batch, and bring them into one of two forms.

    Args:
        labels: N, N×1 or N×K.
        num_classes: K.

    Returns:
        Class labels, N int64, or dense labels, N×K float32.

    Raises:
        ValueError: labels of another shape or type, or a value that is not allowed.
    """
    kind, shape = labels.dtype.kind, labels.shape[1:]
    if kind in "iu" and shape in ((), (1,)):
        if labels.min() < 0 or labels.max() >= num_classes:
            wrong = labels.min() if labels.min() < 0 else labels.max()
            raise ValueError(
                f"mix: label {wrong} read with num_classes={num_classes}; labels are 0 to {num_classes - 1}: correct "
                "the labels, or give a larger num_classes."
            )
        return labels.reshape(-1).astype(np.int64, copy=False)
    if kind not in "iubf" or shape != (num_classes,):
        raise _unknown(labels, num_classes)
    dense = labels.astype(np.float32)
    is_soft = kind == "f"
    wrong = ~((dense >= 0) & (dense <= 1)) if is_soft else (labels != 0) & (labels != 1)
    if wrong.any():
        allowed = (
            "numbers from 0 to 1: divide them by their largest value"
            if is_soft
            else f"0 and 1: fn.one_hot(labels, num_classes={num_classes}) makes them of class labels"
        )
        raise ValueError(f"mix: dense labels with {labels[wrong][0]} given; allowed are {allowed}.")
    return dense


def _allowed(num_classes: int) -> str:
    return (
        f"allowed are class labels (whole numbers 0 to {num_classes - 1}, scalars or of shape [1]) and dense labels of "
        f"shape [{num_classes}], K = num_classes (0 and 1, or fractions)"
    )


def _unknown(labels: np.ndarray, num_classes: int) -> ValueError:
    shape = labels.shape[1:]
    what = f"labels of shape {list(shape)}" if shape else "scalars"
    if len(shape) == 3:
        fix = "images come first, dc.mix(images, labels)"
    elif int(np.prod(shape)) in (1, num_classes) and len(shape) > 1:
        axes = [axis for axis, side in enumerate(shape) if side == 1][: len(shape) - 1]
        fix = f"fn.squeeze(labels, axes={axes}) drops what is too much"
    elif shape in ((), (1,)):
        fix = "fn.cast(labels, dtype=types.INT64) makes class labels of whole numbers"
    else:
        fix = f"dense labels of this shape need num_classes={shape[0]} (which dc.read_files takes, too)"
    return ValueError(f"mix: {labels.dtype} {what} given; {_allowed(num_classes)}: {fix}.")
