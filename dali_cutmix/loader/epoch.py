"""Epoch: how many samples and batches a shard has, counted as DALI's readers do."""

from dataclasses import dataclass
from typing import Any

from dali_cutmix.utils import check_whole


@dataclass(frozen=True)
class Epoch:
    """One epoch of one shard.

    Ten samples in three shards, ``batch_size=2`` (. is padding):

        shard 0   0 1 | 2 .      runs 2; without drop_last batches 2, samples 3
        shard 1   3 4 | 5 .      runs 2; without drop_last batches 2, samples 3
        shard 2   6 7 | 8 9      runs 2; without drop_last batches 2, samples 4

    With ``drop_last``, batches 1 and samples 2 in each shard: all ranks take equally many steps.

    Args:
        total: samples of all shards.
        rank, world_size: which shard; shard r has samples total·r/n to total·(r+1)/n, rounded down.
        batch_size: samples in a batch.
        drop_last: leave the incomplete last batch out.
    """

    total: int
    rank: int
    world_size: int
    batch_size: int
    drop_last: bool

    @property
    def runs(self) -> int:
        """Runs of the pipeline: DALI pads every shard to the largest one, in whole batches."""
        largest = -(-self.total // self.world_size)
        return -(-largest // self.batch_size)

    @property
    def batches(self) -> int:
        """Batches that are delivered; the same on every rank."""
        return self.total // self.world_size // self.batch_size if self.drop_last else self.runs

    @property
    def samples(self) -> int:
        """Samples that are delivered on this rank."""
        shard = self.total * (self.rank + 1) // self.world_size - self.total * self.rank // self.world_size
        return self.batches * self.batch_size if self.drop_last else shard

    def number(self, epoch: int, batch: int) -> int:
        """Batches that are delivered before this place, counted over all epochs."""
        return epoch * self.batches + batch

    def samples_in(self, number: int) -> int:
        """Real samples in batch ``number``; the rest of it is padding."""
        return min(max(self.samples - number * self.batch_size, 0), self.batch_size)


def read_epoch(
    readers: dict[str, dict[str, Any]], batch_size: int, drop_last: bool, epoch_size: int | None = None
) -> Epoch:
    """Make the epoch of a graph with one reader, from ``Pipeline.reader_meta()``, or of one without.

    Args:
        readers: what DALI says about the graph's readers.
        batch_size: samples in a batch.
        drop_last: leave the incomplete last batch out.
        epoch_size: samples of an epoch on this rank, for a graph without a reader.

    Raises:
        ValueError: several readers, none and no ``epoch_size``, or one and an ``epoch_size``; a reader without
            ``pad_last_batch``, or a shard smaller than a batch.
    """
    if epoch_size is not None:
        epoch_size = check_whole("epoch_size", epoch_size)
        if readers:
            raise ValueError(
                f"epoch_size={epoch_size} given, but reader {next(iter(readers))!r} says where an epoch ends; leave it "
                "out."
            )
        return _not_empty(Epoch(epoch_size, 0, 1, batch_size, drop_last))
    if len(readers) != 1:
        raise ValueError(
            f"Loader: the graph has {len(readers)} readers; one is needed, to know where an epoch ends, or epoch_size= "
            "for data from fn.external_source alone."
        )
    [(name, meta)] = readers.items()
    if not meta["pad_last_batch"]:
        raise ValueError(
            f"Loader: reader {name!r} has pad_last_batch=False, with which DALI repeats some samples and leaves "
            "out others; give it pad_last_batch=True (dc.read_folder does)."
        )
    return _not_empty(Epoch(meta["epoch_size"], meta["shard_id"], meta["number_of_shards"], batch_size, drop_last))


def _not_empty(epoch: Epoch) -> Epoch:
    if epoch.batches == 0:
        raise ValueError(
            f"batch_size={epoch.batch_size} given, but the smallest shard holds {epoch.total // epoch.world_size} "
            f"samples ({epoch.total} in {epoch.world_size} shards), and training drops incomplete batches; use a "
            "smaller batch or fewer shards."
        )
    return epoch
