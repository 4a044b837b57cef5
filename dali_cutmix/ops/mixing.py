"""Mix: draw a plan for a batch, flip and paste the images by it, and make the targets.

labels ─┐
draws ──┴─▶ plan ─┬─▶ paste(images) ──▶ mixed images
                  └─▶ make_targets ───▶ targets
"""

from dataclasses import dataclass
from itertools import count
from typing import Any, get_args

import numpy as np
from nvidia.dali import fn, types

from dali_cutmix._dali import nearest, verb
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
    check_dense_form,
    check_label_node,
    check_policy,
    draw,
    make_plan,
    make_targets,
    not_an_image,
    paste,
    stack_labels,
)
from dali_cutmix.ops.graph_notes import Mixed, Notes, notes
from dali_cutmix.ops.normalization import IMAGENET_MEAN
from dali_cutmix.sources import MULTI_LABELS
from dali_cutmix.utils import check_chance, check_choice, check_classes

FILL = tuple(int(value + 0.5) for value in IMAGENET_MEAN)
"""Pixels of a hole until ``normalize`` makes them exactly 0."""


@dataclass
class Mixing:
    """The checked arguments of :func:`mix`; called with the draws of a batch, it makes plan and targets.

    Args:
        policy, num_classes, targets, flip: see :func:`mix`.
        name: of the mix in its graph.
        enabled: False flips only; the random numbers stay the same, so that it may change while a graph runs.
    """

    policy: Policy | None
    num_classes: int
    targets: Targets
    flip: float
    name: str = "mix"
    enabled: bool = True

    @property
    def mixes(self) -> bool:
        """Whether it does more than flip: it has a policy and is switched on."""
        return self.policy is not None and self.enabled

    def binding(self) -> dict[str, Any]:
        """Values that a saved state of a Loader is bound to."""
        return {"mix": repr(self.policy), "num_classes": self.num_classes, "targets": self.targets, "flip": self.flip}

    def __call__(
        self, width: int, height: int, labels: np.ndarray, *draws: np.ndarray
    ) -> tuple[Plan, tuple[np.ndarray, ...]]:
        """Make plan and targets of one batch.

        Args:
            width, height: of the images, in pixels.
            labels: class labels, N or N×1, or dense labels, N×K.
            draws: random numbers from :func:`dali_cutmix.mixing.draw`.
        """
        plan = make_plan(self.policy if self.enabled else None, self.flip, width, height, *draws)
        return plan, make_targets(labels, plan, self.targets, self.num_classes)

    def as_operator(self, shapes: list, labels: list, *draws: list) -> tuple[list[np.ndarray], ...]:
        """Make plan rows and targets, as a function for DALI: lists with one array for each sample."""
        shape = tuple(shapes[0].tolist())
        if len(shape) != 3:
            raise not_an_image(shape, len(FILL))
        height, width, _ = shape
        plan, targets = self(width, height, stack_labels(labels, self.num_classes), *map(np.stack, draws))
        return tuple([np.asarray(sample) for sample in array] for array in (plan.rows, *targets))


def checked_mixing(
    graph: Notes,
    images: Any,
    labels: Any,
    policy: Policy | None,
    num_classes: int | None,
    targets: Targets,
    flip: float,
    name: str | None,
) -> Mixing:
    """Check the arguments of :func:`mix` against each other and the graph's notes, and keep them in these."""
    if not hasattr(images, "name"):
        raise ValueError(
            f"mix: images={images!r} given; expected a node of the graph: what a crop returns, such as "
            "dc.random_resized_crop."
        )
    check_label_node(labels)
    check_policy(policy)
    check_choice("targets", targets, get_args(Targets), {"dense": "(N×K)", "pairs": "(labels N×2, λ N)"})
    flip = check_chance("flip", flip)
    found = graph.source.num_classes if graph.source else 0
    num_classes = (found or None) if num_classes is None else num_classes
    if num_classes is None:
        raise ValueError("num_classes=None given, and the data does not say it; give the number of classes, K.")
    num_classes = check_classes(num_classes, found)
    if graph.source and getattr(labels, "name", None) == MULTI_LABELS:
        check_dense_form(found, num_classes, targets == "pairs")
    for mixed in nearest(images, graph.mixed):
        if mixed.holes is not None:
            raise ValueError(
                f"mix: images that come from the mix {mixed.mix!r} given, whose holes (Cutout) would not move with a "
                "second flip and paste. Choose one of several policies with dc.OneOf, or let Cutout come last."
            )
    name = _checked_name(graph, name)
    graph.mixes[name] = mixing = Mixing(policy, num_classes, targets, flip, name)
    return mixing


def _checked_name(graph: Notes, name: str | None) -> str:
    """The name of a graph's next mix: ``mix``, ``mix_2``, … by default."""
    if name is None:
        names = ("mix" if number == 1 else f"mix_{number}" for number in count(len(graph.mixes) + 1))
        return next(free for free in names if free not in graph.mixes)
    if not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(f"mix: name={name!r} given; it is a name such as 'weak' or 'view_2', without spaces and dots.")
    if name in graph.mixes:
        raise ValueError(f"mix: name={name!r} given, but another mix of this graph has it; give each its own.")
    return name


@verb
def mix(
    images: Any,
    labels: Any,
    policy: Policy | None = CutMix(),
    *,
    num_classes: int | None = None,
    targets: Targets = "dense",
    flip: float = 0.5,
    name: str | None = None,
) -> tuple[Any, ...]:
    """Mix each image of a batch with a partner, from one random permutation of the batch (paper, Algorithm A1).

    Augment first, mix last: a sample and its partner are each flipped on their own before the paste.

    Args:
        images: H×W×C uint8, the same shape for all samples, on CPU or GPU.
        labels: on the CPU, class labels or dense ones. Class labels are whole numbers of any type, scalars or of shape
            [1], 0 to ``num_classes`` − 1. Dense labels have shape [K]: one-hot or multi-label, of 0 and 1 (any whole
            numbers, bool), or soft (floating point, 0 to 1; rows need not sum to 1). They are mixed as they are.
        policy: how to mix; None flips only.
        num_classes: K, the width of dense targets; by default the number of classes of the data.
        targets: ``"dense"`` or ``"pairs"``.
        flip: chance of a horizontal flip for each sample; 0 if mirroring changes the meaning (digits, text).
        name: by which ``Loader.switch_mix`` knows it, if a graph has several; by default ``"mix"``, ``"mix_2"``, ….

    Returns:
        With ``targets="dense"`` ``(images, targets)``: K float32, λ·y + (1−λ)·y_partner; of class labels they sum to 1.
        With ``targets="pairs"``, for class labels only, ``(images, labels, lam)``: 2 int64, the sample's own label and
        its partner's, and λ, a float32 scalar, the exact weight of the own label. All on the device of ``images``.

        A sample of class 1 whose partner has class 3 and covers a quarter of the image, with K = 4:

            dense   0.00 0.75 0.00 0.25
            pairs   labels 1 3, λ 0.75

        A multi-label sample 0 1 1 0 whose partner 0 1 0 1 covers a quarter: 0.00 1.00 0.75 0.25.

    Raises:
        ValueError: an invalid argument, no labels or labels on the GPU, fewer classes than the data has, a name that
            another mix of the graph has, or images in which another mix has made holes. While a batch is mixed: labels
            of another form or out of range, images that are not uint8 or of different shapes.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     images = dc.random_resized_crop(jpegs, 64)
        ...     return dc.mix(images, labels, dc.CutMix(), targets="dense")
        >>> images, targets = next(iter(dc.Loader(graph())))
        >>> targets.shape, targets.sum(1).tolist()
        (torch.Size([4, 2]), [1.0, 1.0, 1.0, 1.0])

        A clean and a mixed view of the same crops, for consistency training:

        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def two_views():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     crops = dc.random_resized_crop(jpegs, 64)
        ...     mixed, targets = dc.mix(crops, labels, dc.CutMix(), flip=0, name="view")
        ...     return dc.normalize(crops), dc.normalize(mixed), targets
        >>> loader = dc.Loader(two_views())
        >>> loader.switch_mix("view", False)  # from the next batch on
        >>> clean, mixed, targets = next(iter(loader))
        >>> torch.equal(clean, mixed), loader.mixes
        (True, {'view': False})
    """
    graph = notes()
    mixing = checked_mixing(graph, images, labels, policy, num_classes, targets, flip, name)
    outputs: Any = fn.python_function(
        images.shape(dtype=types.INT32),
        labels,
        *draw(policy),
        function=mixing.as_operator,
        batch_processing=True,
        num_outputs=2 if targets == "dense" else 3,
    )
    rows, *made = outputs
    holes = None
    if any(isinstance(alternative.policy, Cutout) for alternative in alternatives(policy)):
        holes = fn.cast(rows[BOX] * (rows[PARTNER] == HOLE), dtype=types.FLOAT)
    on_gpu = images.device == "gpu"
    mixed = paste(images, rows.gpu() if on_gpu else rows, FILL)
    graph.mixed[mixed.name] = Mixed(mixing.name, holes)
    return mixed, *(part.gpu() if on_gpu else part for part in made)
