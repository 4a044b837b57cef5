"""Mix: draw a plan for a batch, flip and paste the images by it, and make the targets.

labels ─┐
draws ──┴─▶ plan ─┬─▶ paste(images) ──▶ mixed images
                  └─▶ make_targets ───▶ targets
"""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix._dali import verb
from dali_cutmix.mixing import (
    BOX,
    HOLE,
    PARTNER,
    CutMix,
    Cutout,
    Plan,
    Policy,
    Targets,
    alternatives,
    check_policy,
    draw,
    make_plan,
    make_targets,
    paste,
)
from dali_cutmix.ops.graph_notes import Notes, notes
from dali_cutmix.ops.normalization import IMAGENET_MEAN
from dali_cutmix.utils import check_chance, check_choice, check_classes

FILL = tuple(int(value + 0.5) for value in IMAGENET_MEAN)
"""Pixels of a hole until ``normalize`` makes them exactly 0."""


@dataclass
class Mixing:
    """The checked arguments of :func:`mix`; called with the draws of a batch, it makes plan and targets.

    Args:
        policy, num_classes, targets, flip: see :func:`mix`.
        enabled: False flips only; the random numbers stay the same, so that it may change while a graph runs.
    """

    policy: Policy | None
    num_classes: int
    targets: Targets
    flip: float
    enabled: bool = True

    def binding(self) -> dict[str, Any]:
        """Values that a saved state of a Loader is bound to."""
        return {"mix": repr(self.policy), "num_classes": self.num_classes, "targets": self.targets, "flip": self.flip}

    def __call__(
        self, width: int, height: int, labels: np.ndarray, *draws: np.ndarray
    ) -> tuple[Plan, tuple[np.ndarray, ...]]:
        """Make plan and targets of one batch.

        Args:
            width, height: of the images, in pixels.
            labels: N int64.
            draws: random numbers from :func:`dali_cutmix.mixing.draw`.
        """
        plan = make_plan(self.policy if self.enabled else None, self.flip, width, height, *draws)
        return plan, make_targets(labels, plan, self.targets, self.num_classes)

    def as_operator(self, shapes: list, *inputs: list) -> tuple[list[np.ndarray], ...]:
        """Make plan rows and targets, as a function for DALI: lists with one array for each sample."""
        height, width = (int(side) for side in shapes[0][:2])
        plan, targets = self(width, height, *map(np.stack, inputs))
        return tuple([np.asarray(sample) for sample in array] for array in (plan.rows, *targets))


def checked_mixing(
    graph: Notes, policy: Policy | None, num_classes: int | None, targets: Targets, flip: float
) -> Mixing:
    """Check the arguments of :func:`mix` against each other and the graph's source, and keep them in its notes."""
    check_policy(policy)
    check_choice("targets", targets, get_args(Targets), {"dense": "(N×K)", "pairs": "(labels N×2, λ N)"})
    flip = check_chance("flip", flip)
    found = graph.source.num_classes if graph.source else 0
    num_classes = (found or None) if num_classes is None else num_classes
    if num_classes is None:
        raise ValueError("num_classes=None given, and the data does not say it; give the number of classes, K.")
    check_classes(num_classes, found)
    graph.mixing = Mixing(policy, num_classes, targets, flip)
    return graph.mixing


@verb
def mix(
    images: Any,
    labels: Any,
    policy: Policy | None = CutMix(),
    *,
    num_classes: int | None = None,
    targets: Targets = "dense",
    flip: float = 0.5,
) -> tuple[Any, ...]:
    """Mix each image of a batch with a partner, from one random permutation of the batch (paper, Algorithm A1).

    Augment first, mix last: a sample and its partner are each flipped on their own before the paste.

    Args:
        images: H×W×C uint8, the same shape for all samples, on CPU or GPU.
        labels: int64 scalars on the CPU, 0 to ``num_classes`` − 1.
        policy: how to mix; None flips only.
        num_classes: K, the width of dense targets; by default the number of classes of the data.
        targets: ``"dense"`` or ``"pairs"``.
        flip: chance of a horizontal flip for each sample; 0 if mirroring changes the meaning (digits, text).

    Returns:
        With ``targets="dense"`` ``(images, targets)``: K float32 that sum to 1, λ·y + (1−λ)·y_partner.
        With ``targets="pairs"`` ``(images, labels, lam)``: 2 int64, the sample's own label and its partner's, and λ, a
        float32 scalar, the exact weight of the own label. All on the device of ``images``.

        A sample of class 1 whose partner has class 3 and covers a quarter of the image, with K = 4:

            dense   0.00 0.75 0.00 0.25
            pairs   labels 1 3, λ 0.75

    Raises:
        ValueError: an invalid argument, or fewer classes than the data has.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     images = dc.random_resized_crop(jpegs, 64)
        ...     return dc.mix(images, labels, dc.CutMix(), targets="dense")
        >>> images, targets = next(iter(dc.Loader(graph())))
        >>> targets.shape, targets.sum(1).tolist()
        (torch.Size([4, 2]), [1.0, 1.0, 1.0, 1.0])
    """
    graph = notes()
    mixing = checked_mixing(graph, policy, num_classes, targets, flip)
    outputs: Any = fn.python_function(
        images.shape(dtype=types.INT32),
        labels,
        *draw(policy),
        function=mixing.as_operator,
        batch_processing=True,
        num_outputs=2 if targets == "dense" else 3,
    )
    rows, *made = outputs
    if any(isinstance(alternative.policy, Cutout) for alternative in alternatives(policy)):
        graph.holes = fn.cast(rows[BOX] * (rows[PARTNER] == HOLE), dtype=types.FLOAT)
    on_gpu = images.device == "gpu"
    mixed = paste(images, rows.gpu() if on_gpu else rows, FILL)
    return mixed, *(part.gpu() if on_gpu else part for part in made)
