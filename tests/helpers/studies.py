"""StudyOptions of a small study, as a command line and as a plan."""

from dataclasses import replace

from train.study.options import StudyOptions
from train.study.plan import make_plan

TRAININGS = ["--size", "32", "--val-resize", "32", "--epochs", "2", "--batch-size", "8", "--checkpoint-every", "1"]


def options_of(data, other, output, *methods, jobs=2) -> list[str]:
    """The command line of a small study."""
    given = ["digits", "--data", data, "--ood", f"lsun-crop={other}", "--output", output, "--device", "cpu"]
    given += ["--methods", *(methods or ("none", "cutmix")), "--seeds", 2, "--steps", 3, "--noise-images", 20]
    given += ["--jobs", jobs]
    return [*map(str, given), "--", *TRAININGS]


def plan_of(data, other, folder):
    """The plan of the same study."""
    options = StudyOptions(data=data, ood=(f"lsun-crop={other}",), methods=("none", "cutmix"), seeds=2, steps=3)
    return make_plan(replace(options, noise_images=20, output=folder, device="cpu"), TRAININGS)
