"""Which loaders a soak runs."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dali_cutmix as dc
from pipelines import imagenet

BATCH_SIZE = 12
SIZE = 64

POLICIES: tuple[dc.Policy | None, ...] = (
    dc.CutMix(),
    dc.CutMix(probability=0.5, per_sample=True),
    dc.Mixup(0.2),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(0.5)), weights=(2, 1, 1)),
    None,
)


@dataclass(frozen=True)
class Kind:
    """Which loader."""

    name: str
    packed: bool
    mix: dc.Policy | None = None

    def make(self, root: Any, device: str, log: Path) -> dc.Loader:
        """A loader that replaces bad files."""
        how: Any = {"batch_size": BATCH_SIZE, "size": SIZE, "device": device, "num_threads": 2}
        how |= {"on_error": "replace", "max_bad": 1.0, "bad_log": log}
        if self.name == "val":
            return imagenet.val(root, resize=SIZE, **how)
        return imagenet.train(root, mix=self.mix, targets="pairs", fused=self.name == "fused", **how)

    def __str__(self) -> str:
        return f"{self.name} of {'shards' if self.packed else 'files'}, mix={self.mix}"


def kinds(device: str) -> list[Kind]:
    """Evaluation, and training with every policy, unfused and (where it can be) fused, of files and of shards."""
    fused = dc.can_fuse(None if device == "cpu" else 0, None)
    ways = ["train", "fused"] if fused else ["train"]
    training = [Kind(way, packed, mix) for mix in POLICIES for way, packed in itertools.product(ways, (False, True))]
    return [Kind("val", False), Kind("val", True), *training]
