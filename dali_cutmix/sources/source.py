"""Source: the samples of a graph, the order in which they are read, and this process's shard of them."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def

from dali_cutmix.sources.listed_files import ListedFiles
from dali_cutmix.sources.multi_labels import MultiLabels
from dali_cutmix.sources.record_files import RecordFiles
from dali_cutmix.sources.sample_list import SampleList
from dali_cutmix.utils import DESCRIPTORS, MAX_BYTES, MemoryFile, check_shard, check_whole

READER = "reader"
"""Name of the node that reads, in every graph."""
MULTI_LABELS = "multi_labels"
"""Name of the node with the labels of samples that have several classes each."""


class Source:
    """The samples of a graph, the order in which they are read, and this process's shard of them.

    DALI's file reader draws the samples' numbers, and one call for each batch looks up what they stand for:

        RecordFiles   fn.readers.file ──▶ numbers ─▶ fn.python_function ─▶ bytes, labels
        SampleList    fn.readers.file ──▶ numbers ─▶ fn.python_function ─▶ labels, paths ─▶ fn.io.file.read ─▶ bytes
          + MultiLabels                        └───▶ fn.python_function ─▶ dense labels

    So a path is checked before it is opened: it leads to a regular file that is not too large.

    Ten samples, read by three processes, in batches of two:

        shard (0, 3)   0 1 | 2 .     samples 10·0/3 to 10·1/3, rounded down
        shard (1, 3)   3 4 | 5 .     . is padding, which the Loader cuts off
        shard (2, 3)   6 7 | 8 9

    With a seed, the ten are shuffled anew before each epoch (with the same seed on all ranks) and then cut in the same
    places, so that a sample moves from shard to shard. Without one each shard stays as it is.

    Args:
        samples: a list of files, or record files.
        root: folder, or S3 bucket and prefix, which the names in the list are relative to.
        shard: (rank, world_size).
        seed: seed of the shuffling; None to keep the order.
        classes: class names in the order of the labels; empty where they are unknown.
        num_classes: the least number of classes that the labels need; 0 where it is unknown.
        labels: of the samples of a list by their numbers, if they have several classes each; ``num_classes`` is K.
        is_labelled: False for a list of files without labels.
        max_bytes: size of the largest file that is read; of record files, that of the largest sample.
        digest: hash that saved states are bound to; by default of the samples, their labels and the class names.

    Raises:
        ValueError: an invalid shard or seed, or fewer samples than shards.
    """

    def __init__(
        self,
        samples: SampleList | RecordFiles,
        *,
        root: str = "/",
        shard: tuple[int, int] = (0, 1),
        seed: int | None = None,
        classes: tuple[str, ...] = (),
        num_classes: int = 0,
        labels: MultiLabels | None = None,
        is_labelled: bool = True,
        digest: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        shard = check_shard(shard)
        if seed is not None:
            seed = check_whole("seed", seed, least=-(2**63), most=2**63 - 1)
        if len(samples) < shard[1]:
            raise ValueError(
                f"{len(samples)} images for {shard[1]} shards; every shard needs at least one. Read more images, or "
                "with fewer processes."
            )
        self.shard, self.seed, self.classes, self.num_classes = shard, seed, classes, num_classes
        self._labels, self._is_labelled = labels, is_labelled
        max_bytes = check_whole("max_bytes", max_bytes)
        self._records = None if isinstance(samples, SampleList) else samples
        self._samples: ListedFiles | RecordFiles = (
            ListedFiles(samples, root, max_bytes) if isinstance(samples, SampleList) else samples
        )
        if isinstance(samples, RecordFiles):
            samples.max_bytes = max_bytes
        self._list = SampleList.numbered(len(samples))
        if digest is None:
            # Record files without class names keep their own digest: states saved before they had names stay valid.
            digest = samples.digest if self._records and not classes else digest_of(self._digest(samples), classes)
        self.digest = digest
        self._file = MemoryFile(self._list.content)

    def _digest(self, samples: SampleList | RecordFiles) -> str:
        """The digest of the samples and their labels; that of class labels is the samples' own."""
        if self._labels:
            return f"{samples.digest} {self._labels.digest} {self.num_classes}"
        return samples.digest if self._is_labelled else f"{samples.digest} without labels"

    def __len__(self) -> int:
        return len(self._list)

    def name(self, number: int) -> str:
        """Path of a sample, or its file and place there."""
        return self._samples.name(self._list.label(number))

    @property
    def fix(self) -> str:
        """What a user can do about a bad sample."""
        return self._samples.fix

    @property
    def interchangeable(self) -> range:
        """Samples that this process may read in place of each other: its shard, or all where the order is shuffled."""
        rank, world_size = self.shard if self.seed is None else (0, 1)
        return range(len(self) * rank // world_size, len(self) * (rank + 1) // world_size)

    def nodes(self) -> tuple[Any, Any]:
        """Nodes of the graph under construction, on the CPU: encoded bytes, 1-D uint8, and labels.

        The labels are int64 scalars; K float32 where samples have several classes each; None where they have none.
        """
        numbers = self._numbers(self._file)
        outputs: Any = fn.python_function(numbers, function=self._samples, batch_processing=True, num_outputs=2)
        encoded, labels = outputs
        if not self._records:
            # As fast as mapped; a mapped file that shrinks while it is read ends the process (SIGBUS).
            encoded = fn.io.file.read(encoded, dont_use_mmap=True)
        if not self._is_labelled:
            return encoded, None
        if self._labels:
            look_up = partial(self._labels.dense, self.num_classes)
            return encoded, fn.python_function(numbers, function=look_up, batch_processing=True, name=MULTI_LABELS)
        return encoded, labels

    def _numbers(self, file: MemoryFile) -> Any:
        shuffled = {"shuffle_after_epoch": True, "shuffle_after_epoch_seed": self.seed}
        return fn.readers.file(
            name=READER,
            file_list=file.path,
            file_root=DESCRIPTORS,
            shard_id=self.shard[0],
            num_shards=self.shard[1],
            pad_last_batch=True,
            **({"stick_to_shard": True} if self.seed is None else shuffled),
        )[1]

    def numbers_pipeline(self, batch_size: int) -> Any:
        """A pipeline with the same reader, whose output is the samples' numbers."""
        file = MemoryFile(SampleList.numbered(len(self)).content)

        @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, prefetch_queue_depth=1)
        def graph() -> Any:
            return self._numbers(file)

        pipeline = graph()
        pipeline.file = file  # it is read when the pipeline is built
        return pipeline

    def substitute(self, substitutes: dict[int, int]) -> None:
        """Let pipelines that are built from now on read other samples in place of some.

        Args:
            substitutes: number of each sample that is not to be read, and of the one to read instead.
        """
        self._file.write(self._list.replaced(substitutes).content)

    def reorder(self, order: Sequence[int]) -> None:
        """Read the samples in another order from now on.

        Args:
            order: a permutation of the samples' numbers.

        Raises:
            ValueError: the order is not a permutation.
        """
        if sorted(order) != list(range(len(self))):
            raise ValueError(f"an order of {len(order)} numbers given; expected a permutation of {len(self)} samples.")
        self._list = self._list.replaced(dict(enumerate(order)))
        self._file.write(self._list.content)
        self.digest = hashlib.sha256(f"{self.digest} {list(order)}".encode()).hexdigest()

    def encoded(self, number: int) -> np.ndarray:
        """The bytes of one sample, 1-D uint8.

        Raises:
            OSError: the sample cannot be read.
            SampleError: its bytes were read, and are not what they should be.
        """
        found = self._samples.read(self._list.label(number))
        return found[0] if isinstance(found, tuple) else found

    def folder_exists(self, number: int) -> bool:
        """Whether the folder of the file that a sample is in is there."""
        return self._samples.folder_exists(self._list.label(number))

    def can_open(self, number: int) -> bool:
        """Whether the file that a sample is in is there, and may be read."""
        return self._samples.can_open(self._list.label(number))


def digest_of(samples: str, classes: Sequence[str]) -> str:
    """SHA-256 of the digest of samples and the names of their classes."""
    return hashlib.sha256("\0".join([samples, *classes]).encode(errors="surrogateescape")).hexdigest()
