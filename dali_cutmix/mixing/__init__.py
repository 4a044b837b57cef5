"""How a batch is mixed: values and pure functions, with one custom operator.

    policy ── draw ──▶ random numbers ── make_plan ──▶ plan ─┬─ paste ────────▶ images
    (CutMix, …)        (nodes of DALI)   (NumPy)             └─ make_targets ─▶ targets

- ``policies``: frozen values that say what to mix
- ``plan``: which partner, which box, which weight, for each sample
- ``labels``: class labels and dense ones, checked; ``targets``: soft targets that follow from labels and a plan
- ``paste_operator``: flips and pastes images by a plan, on CPU or GPU (``paste.cu``)
"""

from dali_cutmix.mixing.labels import check_dense_form, check_label_node, stack_labels
from dali_cutmix.mixing.paste_operator import not_an_image, paste, paste_numpy
from dali_cutmix.mixing.plan import BOX, COLUMNS, HOLE, ONE, PARTNER, WEIGHT, Plan, alternatives, draw, make_plan
from dali_cutmix.mixing.policies import CutMix, Cutout, Mixup, OneOf, Policy, check_policy
from dali_cutmix.mixing.targets import Targets, dense_targets, make_targets

__all__ = [
    "BOX",
    "COLUMNS",
    "HOLE",
    "ONE",
    "PARTNER",
    "WEIGHT",
    "CutMix",
    "Cutout",
    "Mixup",
    "OneOf",
    "Plan",
    "Policy",
    "Targets",
    "alternatives",
    "check_dense_form",
    "check_label_node",
    "check_policy",
    "dense_targets",
    "draw",
    "make_plan",
    "make_targets",
    "not_an_image",
    "paste",
    "paste_numpy",
    "stack_labels",
]
