"""What a loader shows to tools that know PyTorch's DataLoader: its data set, and a batch sampler for ``set_epoch``."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from dali_cutmix.loader.epoch import Epoch
from dali_cutmix.ops import Notes


@dataclass(frozen=True)
class LoaderDataset:
    """The data set of a loader, to be counted and described.

    It is neither indexed nor iterated: DALI reads the samples, and the loader delivers them in batches.

    Args:
        size: samples of all ranks; with ``epoch_size`` of this one.
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
        num_samples: samples that this rank delivers in a pass.
        set_epoch: the loader's ``set_epoch``; None if the graph has a reader of its own, whose order cannot be set.
    """

    num_replicas: int
    rank: int
    num_samples: int
    set_epoch: Callable[[int], None] | None

    def __len__(self) -> int:
        return self.num_samples


@dataclass(frozen=True)
class LoaderBatchSampler:
    """How the samples become batches; Lightning looks here for a sampler with ``set_epoch``.

    Args:
        sampler: which samples.
        batch_size: samples in a batch of this rank.
        drop_last: whether the incomplete last batch is left out.
        num_batches: batches in a pass.
    """

    sampler: LoaderSampler
    batch_size: int
    drop_last: bool
    num_batches: int

    def __len__(self) -> int:
        return self.num_batches


class DataLoaderNames(ABC):
    """What a loader says about its data, by the names of PyTorch's DataLoader and torchvision's data sets."""

    _epoch: Epoch
    _graph: Notes
    _fed: bool

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be pass ``epoch``."""

    @property
    def num_samples(self) -> int:
        """Samples that one pass delivers on this rank."""
        return len(self) * self._epoch.batch_size if self._epoch.drop_last else self._epoch.samples

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their labels; empty where the data does not have them."""
        return self._graph.source.classes if self._graph.source else ()

    @property
    def num_classes(self) -> int:
        """The least number of classes that the labels need; 0 where the data does not say it."""
        return self._graph.source.num_classes if self._graph.source else 0

    @property
    def batch_size(self) -> int:
        """Samples in a batch of this rank."""
        return self._epoch.batch_size

    @property
    def drop_last(self) -> bool:
        """Whether the incomplete last batch is left out."""
        return self._epoch.drop_last

    @property
    def dataset(self) -> LoaderDataset:
        """What is read, by all ranks (with ``epoch_size`` by this one), to be counted; neither indexed nor iterated."""
        return LoaderDataset(self._epoch.total, self.classes, self.num_classes)

    @property
    def batch_sampler(self) -> LoaderBatchSampler:
        """Batch size, shard and ``sampler.set_epoch``, where Lightning looks for them. It is not iterated."""
        set_epoch = self.set_epoch if self._graph.source or self._fed else None
        sampler = LoaderSampler(self._epoch.world_size, self._epoch.rank, self.num_samples, set_epoch)
        return LoaderBatchSampler(sampler, self.batch_size, self.drop_last, len(self))

    @property
    def sampler(self) -> NoReturn:
        """Raises an AttributeError, so that no tool replaces it: Lightning's ``overfit_batches`` would."""
        raise AttributeError(
            "A Loader has no sampler: DALI draws the order. In place of loader.sampler.set_epoch(epoch) use "
            "loader.set_epoch(epoch); in place of Accelerate's skip_first_batches(loader, n) use "
            "loader.load_state_dict(state), or itertools.islice(loader, n, None) without a state."
        )
