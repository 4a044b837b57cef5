"""What to mix with what: policies, the plan that is drawn for each batch, soft targets, the paste operator."""

from dali_cutmix.mixing.paste_operator import paste, paste_numpy
from dali_cutmix.mixing.plan import BOX, COLUMNS, HOLE, ONE, PARTNER, WEIGHT, Plan, draw, leaves, make_plan
from dali_cutmix.mixing.policies import CutMix, Cutout, Mixup, OneOf, Policy, check_policy
from dali_cutmix.mixing.targets import Targets, check_targets, dense, share

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
    "check_policy",
    "check_targets",
    "dense",
    "draw",
    "leaves",
    "make_plan",
    "paste",
    "paste_numpy",
    "share",
]
