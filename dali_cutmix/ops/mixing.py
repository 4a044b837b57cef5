"""Mix: draw a plan, share the targets by it, flip and paste by it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix.mixing import (
    BOX,
    HOLE,
    PARTNER,
    CutMix,
    Cutout,
    Plan,
    Policy,
    Targets,
    check_policy,
    check_targets,
    draw,
    leaves,
    make_plan,
    paste,
    share,
)
from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.ops.normalization import IMAGENET_MEAN
from dali_cutmix.utils import check_chance, check_classes

FILL = tuple(int(value + 0.5) for value in IMAGENET_MEAN)
"""What a hole holds until ``normalize`` makes it exactly 0."""


@dataclass
class Mixing:
    """What to mix and how to share the targets: the arguments of :func:`mix`, checked.

    Args:
        enabled: False mirrors only; what is drawn stays the same, so that a graph may change it while it runs.
    """

    policy: Policy | None
    num_classes: int
    targets: Targets
    flip: float
    enabled: bool = True

    def binding(self) -> dict[str, Any]:
        """What a saved state of a Loader is bound to."""
        return {"mix": repr(self.policy), "num_classes": self.num_classes, "targets": self.targets, "flip": self.flip}

    def __call__(
        self, width: int, height: int, labels: np.ndarray, *draws: np.ndarray
    ) -> tuple[Plan, tuple[np.ndarray, ...]]:
        """Plan and targets of one batch, from its labels and what ``plan.draw`` drew."""
        plan = make_plan(self.policy if self.enabled else None, self.flip, width, height, *draws)
        return plan, share(labels, plan, self.targets, self.num_classes)

    def as_operator(self, shapes: list, *inputs: list) -> tuple[list[np.ndarray], ...]:
        """The same as a function for DALI: lists of one array for each sample; rows and targets."""
        height, width = (int(side) for side in shapes[0][:2])
        plan, shares = self(width, height, *map(np.stack, inputs))
        return tuple([np.asarray(sample) for sample in array] for array in (plan.rows, *shares))


def checked_mixing(policy: Policy | None, num_classes: int | None, targets: Targets, flip: float) -> Mixing:
    """Check the arguments of :func:`mix` against each other and the source that the graph reads."""
    check_policy(policy)
    check_targets(targets)
    flip = check_chance("flip", flip)
    note = notes()
    if note.source is not None:
        num_classes = note.source.num_classes or None if num_classes is None else num_classes
    if num_classes is None:
        raise ValueError("num_classes=None given, and what is read does not tell it; give the number of classes, K.")
    check_classes(num_classes, note.source.num_classes if note.source else 1)
    note.mixing = Mixing(policy, num_classes, targets, flip)
    return note.mixing


def mix(
    images: Any,
    labels: Any,
    policy: Policy | None = CutMix(),
    *,
    num_classes: int | None = None,
    targets: Targets = "dense",
    flip: float = 0.5,
) -> tuple[Any, ...]:
    """Mix every image of a batch with a partner from one random permutation of it (paper, Algorithm A1).

    Augment first, mix after: sample and partner are each mirrored on their own before the paste.

    Args:
        images: H×W×C uint8, the same shape for all samples, on CPU or GPU.
        labels: int64 scalars on the CPU, 0 to ``num_classes`` − 1.
        policy: what to mix; None flips only.
        num_classes: K, the width of dense targets; by default the number of classes that ``read_folder`` found.
        targets: ``"dense"`` or ``"pairs"``.
        flip: chance of a horizontal flip for each sample; 0 where mirroring changes the meaning (digits, text).

    Returns:
        ``(images, targets)`` with targets K float32 that sum to 1: λ·y + (1−λ)·y_partner; or with
        ``targets="pairs"`` ``(images, labels, lam)``: 2 int64 (own label, partner's) and a float32 scalar λ, the
        exact share of the own label. All on the device of ``images``.

    Raises:
        ValueError: no policy, a chance outside 0 to 1, fewer classes than the folder that is read has.
    """
    how = checked_mixing(policy, num_classes, targets, flip)
    outputs: Any = fn.python_function(
        images.shape(dtype=types.INT32),
        labels,
        *draw(policy),
        function=how.as_operator,
        batch_processing=True,
        num_outputs=2 if targets == "dense" else 3,
    )
    rows, *shares = outputs
    if any(isinstance(leaf.policy, Cutout) for leaf in leaves(policy)):
        notes().holes = fn.cast(rows[BOX] * (rows[PARTNER] == HOLE), dtype=types.FLOAT)
    on_gpu = images.device == "gpu"
    mixed = paste(images, rows.gpu() if on_gpu else rows, FILL)
    return mixed, *(part.gpu() if on_gpu else part for part in shares)
