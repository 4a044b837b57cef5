"""What a loader shows to tools that know PyTorch's DataLoader: its data set, and a batch sampler for ``set_epoch``."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LoaderDataset:
    """The data set of a loader, to be counted and described.

    It is neither indexed nor iterated: DALI reads the samples, and the loader delivers them in batches.

    Args:
        size: samples of all ranks.
        classes: class names in the order of their labels; empty where the data does not have them.
        num_classes: the least number of classes that the labels need; 0 where the data does not say it.
    """

    size: int
    classes: tuple[str, ...]
    num_classes: int

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size} samples, {self.num_classes} classes)"

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of each class, as torchvision's ``ImageFolder`` has it."""
        return {name: label for label, name in enumerate(self.classes)}


@dataclass(frozen=True)
class LoaderSampler:
    """Which samples this rank reads: what users of ``DistributedSampler`` ask, without the indices.

    Args:
        num_replicas, rank: the shard.
        num_samples: samples that this rank delivers in an epoch.
        set_epoch: the loader's ``set_epoch``.
    """

    num_replicas: int
    rank: int
    num_samples: int
    set_epoch: Callable[[int], None]

    def __len__(self) -> int:
        return self.num_samples


@dataclass(frozen=True)
class LoaderBatchSampler:
    """How the samples become batches; Lightning looks here for a sampler with ``set_epoch``.

    Args:
        sampler: which samples.
        batch_size: samples in a batch of this rank.
        drop_last: whether the incomplete last batch is left out.
        num_batches: batches in an epoch.
    """

    sampler: LoaderSampler
    batch_size: int
    drop_last: bool
    num_batches: int

    def __len__(self) -> int:
        return self.num_batches
