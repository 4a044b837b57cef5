"""A program whose three ranks, forks of it, compare loaders, alike or not; each writes what it heard to RANK.json."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch.distributed as dist

import dali_cutmix as dc
from tests.helpers.loaders import label_loader, own_reader_loader

RANKS = 3
Check = Callable[[], None]


def checks(root: Path, rank: int) -> dict[str, Check]:
    """What the ranks compare, by name. ``root`` has the folders eight, again (other images of the same names), nine."""

    def loader(folder: str = "eight", batch_size: int = 2, shard: tuple[int, int] = (rank, 3), **options) -> dc.Loader:
        options = {"shuffle": True, "seed": 3} | options
        return label_loader(root / folder, batch_size, shard=shard, **options)

    def advanced(batches: int) -> dc.Loader:
        made = loader()
        for _, _ in zip(range(batches), made, strict=False):
            pass
        return made

    last = rank == 2
    others = rank > 0
    return {
        "same": lambda: dc.check_ranks(loader()),
        "same all ranks": lambda: dc.check_ranks(dc.AllRanks(loader())),
        "same named": lambda: dc.check_ranks({"training": loader(), "validation": loader(shuffle=False, seed=0)}),
        "same position": lambda: dc.check_ranks(advanced(1)),
        "own readers": lambda: dc.check_ranks(own_reader_loader(root / "nine", shard_id=rank, num_shards=3)),
        "files": lambda: dc.check_ranks(loader("renamed" if last else "eight")),
        "length": lambda: dc.check_ranks(loader("nine" if others else "eight")),
        "seed": lambda: dc.check_ranks(loader(seed=4 if last else 3)),
        "validation": lambda: dc.check_ranks(
            {"training": loader(), "validation": loader("nine" if last else "eight", shuffle=False, seed=0)}
        ),
        "position": lambda: dc.check_ranks(advanced(1 if last else 0)),
        "also": lambda: dc.check_ranks(loader(), also={"learning rate": 0.1 * rank, "model": "resnet50"}),
        "missing": lambda: dc.check_ranks({"training": loader()} if last else {"other": loader()}),
        "same shard": lambda: dc.check_ranks(loader(shard=(0, 3))),
        "no shard": lambda: dc.check_ranks(loader(shard=(0, 1))),
    }


def heard(check: Check) -> str:
    """The message of a check; empty where it had none."""
    try:
        check()
    except ValueError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """Become three ranks, of which each imports nothing more, and compare; the first waits for the others."""
    others: list[int] = []
    while len(others) < RANKS - 1 and (process := os.fork()):
        others.append(process)
    rank = 0 if len(others) == RANKS - 1 else len(others) + 1
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    all_heard = {name: heard(check) for name, check in checks(folder, rank).items()}
    (folder / f"{rank}.json").write_text(json.dumps(all_heard))
    dist.destroy_process_group()
    if rank == 0:
        for process in others:
            os.waitpid(process, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
