"""The loaders that a soak runs."""

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
class LoaderKind:
    """A loader: for training, fused training or evaluation, of files or of shards, with a policy."""

    name: str
    packed: bool
    mix: dc.Policy | None = None

    def make(self, root: Any, device: str, log: Path) -> dc.Loader:
        """Make a loader that replaces bad files."""
        options: Any = {"batch_size": BATCH_SIZE, "size": SIZE, "device": device, "num_threads": 2}
        options |= {"on_error": "replace", "max_bad": 1.0, "bad_log": log}
        if self.name == "val":
            return imagenet.val(root, resize=SIZE, **options)
        return imagenet.train(root, mix=self.mix, targets="pairs", fused=self.name == "fused", **options)

    def __str__(self) -> str:
        return f"{self.name} of {'shards' if self.packed else 'files'}, mix={self.mix}"


def loader_kinds(device: str) -> list[LoaderKind]:
    """List evaluation, and training with every policy, unfused and (where possible) fused, of files and of shards."""
    fused = dc.can_fuse(None if device == "cpu" else 0, None)
    names = ["train", "fused"] if fused else ["train"]
    training = [
        LoaderKind(name, packed, mix) for mix in POLICIES for name, packed in itertools.product(names, (False, True))
    ]
    return [LoaderKind("val", False), LoaderKind("val", True), *training]
