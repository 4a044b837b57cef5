"""A program for torchrun: each process writes what it sees to RANK.json beside the arguments that it is given."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

import dali_cutmix as dc
from pipelines import imagenet
from train.engine.distributed import Ranks, join_process_group
from train.evaluation.accuracy import AccuracyOptions, evaluate

Seen = dict[str, Any]


def train_loader(folder: str, shard: tuple[int, int], mix: dc.Policy | None) -> dc.Loader:
    """Training of tiny images, in pairs of labels, for one shard."""
    return imagenet.train(
        folder, batch_size=2, size=16, mix=mix, targets="pairs", device="cpu", shard=shard, seed=3, num_threads=1
    )


def batches(loader: dc.Loader, epochs: int) -> list[Seen]:
    """Samples, λ and a digest of each image, for each batch."""
    return [
        {
            "samples": labels[:, 0].tolist(),
            "lam": lam.tolist(),
            "digests": [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images],
        }
        for _ in range(epochs)
        for images, labels, lam in loader
    ]


def training(folder: str, shard: tuple[int, int]) -> Seen:
    """Two epochs, without mixing and with it."""
    plain, mixed = (train_loader(folder, shard, mix) for mix in (None, dc.CutMix()))
    return {"length": len(plain), "plain": batches(plain, 2), "mixed": batches(mixed, 2)}


def resumed(folder: str, shard: tuple[int, int]) -> list[Seen]:
    """What follows the first batch of the second epoch, of a loader that goes on from there."""
    loader = train_loader(folder, shard, dc.CutMix())
    batches(loader, 1)
    next(iter(loader))
    other = train_loader(folder, shard, dc.CutMix())
    other.load_state_dict(loader.state_dict())
    return batches(other, 1)


def validation(folder: str, shard: tuple[int, int], batch_size: int) -> Seen:
    """One epoch."""
    loader = imagenet.val(folder, batch_size=batch_size, size=16, resize=16, device="cpu", shard=shard, num_threads=1)
    return {"length": len(loader), "samples": [labels.tolist() for _, labels in loader]}


def failure(ranks: Ranks) -> str:
    """What a process hears when the first one cannot write."""

    def write() -> None:
        raise OSError(28, "No space left on device", "last.pt")

    try:
        ranks.run_on_first(write)
    except OSError as error:
        return str(error)
    return ""


def look(given: Seen, ranks: Ranks) -> Seen:
    """Everything that this process sees, for the tests to check."""
    sizes = given["folders"]
    return {
        "training": {size: training(folder, ranks.shard) for size, folder in sizes.items()},
        "resumed": {size: resumed(folder, ranks.shard) for size, folder in sizes.items()},
        "validation": {
            size: [validation(folder, ranks.shard, batch_size) for batch_size in given["batch_sizes"]]
            for size, folder in sizes.items()
        },
        "metrics": {
            size: [
                evaluate(AccuracyOptions(Path(checkpoint), batch_size=n, device="cpu", num_threads=1), ranks)
                for n in given["global_batch_sizes"]
            ]
            for size, checkpoint in given["checkpoints"].items()
        },
        "failure": failure(ranks),
    }


if __name__ == "__main__":
    arguments = Path(sys.argv[1])
    torch.set_num_threads(1)
    with join_process_group("cpu") as mine:
        seen = look(json.loads(arguments.read_text()), mine)
    (arguments.parent / f"{mine.rank}.json").write_text(json.dumps(seen))
