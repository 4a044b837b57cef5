"""Mix: draw a plan, share the targets by it, flip and paste by it."""

from typing import Any, Literal

from nvidia.dali import fn, types

from dali_cutmix.graph import notes
from dali_cutmix.normalization import IMAGENET_MEAN
from dali_cutmix.paste import paste
from dali_cutmix.plan import Plan, draw_plan
from dali_cutmix.policies import CutMix, Policy, check_policy
from dali_cutmix.read import check_classes

Targets = Literal["dense", "pairs"]


def draw(
    labels: Any,
    policy: Policy | None,
    width_height: Any,
    *,
    num_classes: int | None = None,
    targets: Targets = "dense",
    flip: float = 0.5,
) -> tuple[Plan, *tuple[Any, ...]]:
    """Draw who is mixed with whom, where and by how much, and share the targets by it; nothing is pasted yet.

    Args:
        width_height: width and height of the images in pixels: two numbers, or a node of 2 float32 on the CPU.
        labels, policy, num_classes, targets, flip: see :func:`mix`.

    Returns:
        ``(plan, targets)`` or, with ``targets="pairs"``, ``(plan, labels, lam)``, all on the CPU.
    """
    check_policy(policy)
    if targets not in ("dense", "pairs"):
        raise ValueError(f"targets={targets!r} given; allowed are 'dense' (N×K) and 'pairs' (labels N×2, λ N).")
    if not (isinstance(flip, (int, float)) and 0 <= flip <= 1):
        raise ValueError(f"flip={flip!r} given; it is the chance of a horizontal flip, 0 to 1.")
    note = notes()
    note.policy = policy
    if note.source is not None:
        num_classes = len(note.source.classes) if num_classes is None else num_classes
    if num_classes is None:
        raise ValueError("num_classes=None given with a reader of your own; give the number of classes, K.")
    check_classes(num_classes, len(note.source.classes) if note.source else 1)
    plan = draw_plan(policy, width_height, flip)
    return plan, *(_pairs(labels, plan) if targets == "pairs" else (_dense(labels, plan, num_classes),))


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
    note = notes()
    height_width = images.shape(dtype=types.FLOAT)
    width_height = fn.stack(height_width[1], height_width[0])
    plan, *shares = draw(labels, policy, width_height, num_classes=num_classes, targets=targets, flip=flip)
    note.hole = plan.hole
    on_gpu = images.device == "gpu"
    fill = tuple(int(value + 0.5) for value in IMAGENET_MEAN)
    mixed = paste(images, plan.rows.gpu() if on_gpu else plan.rows, fill)
    return mixed, *(share.gpu() if on_gpu else share for share in shares)


def _pairs(labels: Any, plan: Plan) -> tuple[Any, Any]:
    return fn.stack(labels, fn.permute_batch(labels, indices=plan.partner)), plan.lam


def _dense(labels: Any, plan: Plan, num_classes: int) -> Any:
    own = fn.one_hot(labels, num_classes=num_classes) * plan.lam
    # 1 − λ is added, not assigned: both labels may be the same.
    return own + fn.one_hot(fn.permute_batch(labels, indices=plan.partner), num_classes=num_classes) * (1.0 - plan.lam)
