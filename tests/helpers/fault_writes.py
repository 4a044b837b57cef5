"""What writes files, to be disturbed: atomic writes, the cache, the log of bad samples, checkpoints, pack and check."""

import contextlib
import errno
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from dali_cutmix.bad_samples.bad_log import BadLog
from dali_cutmix.check import main as check
from dali_cutmix.pack.cli import main as pack
from dali_cutmix.utils import cache_path, make_atomically, remember, remembered, write_atomically
from tests.helpers.faults import KILL, SHORT, Fault, Operation
from tests.helpers.images import write_photos
from tests.helpers.training import ALONE, make_folder, quick
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.engine.run import Run
from train.launch import start

CALLS = ("open", "read", "write", "fsync", "close", "rename", "unlink", "stat", "list", "truncate")
FAULTS_WITH_THREADS = [
    *(Fault(call, errno.EIO) for call in CALLS),
    *(Fault(call, errno.ENOSPC) for call in ("open", "write", "mkdir")),
    *(Fault(call, errno.ENOSPC, lasting=True) for call in ("write", "fsync")),
    *(Fault(call, errno.EROFS, lasting=True) for call in ("open", "mkdir", "rename", "unlink")),
    Fault("mmap", errno.ENOMEM),
    Fault("write", SHORT),
    Fault("read", SHORT),
    *(Fault(call, errno.EINTR) for call in ("open", "read", "write", "fsync")),
    *(Fault(call, KILL) for call in ("open", "write", "fsync", "close", "rename", "unlink", "mkdir", "truncate")),
]
# Where DALI starts threads, the C library itself ends a process that lacks memory for one.
FAULTS = [*FAULTS_WITH_THREADS, Fault("allocate", errno.ENOMEM)]
OLD, NEW = b"old" * 30_000, b"new" * 60_000
SCRATCH = ("unlink", "open", "list", "stat", "close")  # calls that remove a folder


def _nothing(folder: Path) -> None:
    pass


def _old_file(folder: Path) -> None:
    (folder / "result").write_bytes(OLD)


def _write(folder: Path, _: None) -> None:
    write_atomically(folder / "result", NEW)


def _make_folder(folder: Path, _: None) -> None:
    def make(made: Path) -> None:
        made.mkdir()
        for name in ("a", "b"):
            write_atomically(made / name, NEW)

    make_atomically(folder / "below" / "made", make)


def _make_file(folder: Path, _: None) -> None:
    make_atomically(folder / "result", lambda made: write_atomically(made, NEW))


def _cached(folder: Path) -> Path:
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    return cache_path("lists", "a folder")


def _old_cache(folder: Path) -> None:
    remember(_cached(folder), b"before", OLD)


def _cache(_: Path, cached: Path) -> bool | None:
    remember(cached, b"now", NEW)
    found = remembered(cached, b"now")
    return None if found is None else found == NEW


def _old_log(folder: Path) -> None:
    BadLog(folder / "bad.jsonl").append([{"path": f"before{i}"} for i in range(2)])


def _log(folder: Path, _: None) -> None:
    BadLog(folder / "bad.jsonl").append([{"path": f"now{i}"} for i in range(3)])


def checkpoint(step: int) -> Checkpoint:
    weights = {"weight": torch.full((100, 200), float(step))}
    values = {"config": {"model": "tiny"}, "classes": ["a"], "epoch": 0, "step": step, "model": weights, "ema": None}
    return Checkpoint(**values, optimizer={}, ranks=[{}], history=[])


def saved_run(folder: Path) -> None:
    """Write what a run leaves that was stopped before its first step, and its data."""
    make_folder(folder / "data", train=3, val=1)
    run = start(quick(folder / "data", folder / "run"), ALONE)
    run.save("last.pt", "best.pt")


def resumed(folder: Path) -> Run:
    """The run, continued."""
    return start(quick(folder / "data", folder / "run", resume=folder / "run"), ALONE)


def _later_run(folder: Path) -> Run:
    run = resumed(folder)
    with torch.no_grad():
        next(run.model.parameters()).fill_(1)  # other bytes, at the same step
    return run


def _data(folder: Path) -> None:
    make_folder(folder / "data", train=6, val=1)
    (folder / "run").mkdir()


def _train(folder: Path, _: None) -> str:
    """Train, or go on where a checkpoint is; the weights at the end."""
    checkpoint = folder / "run" / "last.pt"
    how = {"epochs": 2, "checkpoint_every": 1, "resume": checkpoint if checkpoint.exists() else None}
    run = start(quick(folder / "data", folder / "run", **how), ALONE)
    fit(run)
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in run.model.state_dict().values())).hexdigest()


def _is_whole(name: str, content: bytes) -> bool:
    """Whether a file of a run can be read."""
    if not name.endswith(".pt"):
        return content.startswith(b"epoch,")
    torch.load(io.BytesIO(content), weights_only=True)
    return True


def _is_event(name: str) -> bool:
    return "tfevents" in name  # their names hold the time


def _classes(folder: Path) -> None:
    write_photos(folder / "source", images=6)
    (folder / "out").mkdir()


def command(main: Callable[[list[str]], int], *words: object) -> list[object]:
    """Run a command: its status and what it printed; errors are raised."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    assert "Traceback" not in err.getvalue(), err.getvalue()
    if "error: " in err.getvalue():
        raise ValueError(err.getvalue())
    return [status, out.getvalue()]


def _pack(folder: Path, _: None) -> list[object]:
    how = ("--short-side", 48, "--samples-per-shard", 4, "--workers", 1)
    status, _ = command(pack, folder / "source", folder / "out", *how)
    return [status]


def _check(folder: Path, _: None) -> list[object]:
    status, out = command(check, folder / "source", "--json", folder / "report" / "bad.json", "--workers", 1)
    return [status, out.replace(str(folder), "FOLDER")]


def _folder_to_check(folder: Path) -> None:
    _classes(folder)
    (folder / "report").mkdir()
    (folder / "report" / "bad.json").write_bytes(b'{"checked": 1}')


def is_unfinished(name: str, content: bytes) -> bool:
    """Whether a file is what pack leaves to continue: a whole manifest."""
    return "unfinished" in name and _is_json(content)


def _is_json(content: bytes) -> bool:
    with contextlib.suppress(ValueError):
        return bool(json.loads(content))
    return False


WRITES = {
    "a new file": Operation(_nothing, _write, FAULTS),
    "a file over an old one": Operation(_old_file, _write, FAULTS),
    "a new folder": Operation(_nothing, _make_folder, FAULTS, cleans_by=SCRATCH),
    "a scratch file over an old one": Operation(_old_file, _make_file, FAULTS, cleans_by=SCRATCH),
    "the cache": Operation(
        _old_cache,
        _cache,
        FAULTS,
        set_up=_cached,
        accepts=lambda found: found is None,
        may_give_up=True,
        is_temporary=lambda _: True,  # nobody lists the cache
    ),
    "the log": Operation(_old_log, _log, FAULTS, repeats=False),
    "a checkpoint": Operation(
        lambda folder: checkpoint(1).save(folder / "last.pt"),
        lambda folder, _: checkpoint(2).save(folder / "last.pt"),
        FAULTS,
    ),
    "a run": Operation(saved_run, lambda _, run: run.save("last.pt", "best.pt"), FAULTS, _later_run, "run"),
    "a training": Operation(
        _data, _train, FAULTS_WITH_THREADS, disturbed="run", is_sound=_is_whole, ignores=_is_event, repeats=False
    ),
    "packing": Operation(_classes, _pack, FAULTS, disturbed="out", is_sound=is_unfinished),
    "checking": Operation(
        _folder_to_check,
        _check,
        FAULTS_WITH_THREADS,
        disturbed="report",
        accepts=lambda found: found[0] in (0, 1),
        is_sound=lambda _, found: _is_json(found),
    ),
}


def _write_in_place(folder: Path, _: None) -> None:
    (folder / "result").write_bytes(NEW)


def _say_nothing(folder: Path, _: None) -> None:
    with contextlib.suppress(OSError):
        write_atomically(folder / "result", NEW)


def _leave_it(folder: Path, _: None) -> None:
    (folder / ".temporary").write_bytes(NEW)
    (folder / ".temporary").rename(folder / "result")


def _crash(folder: Path, _: None) -> None:
    try:
        write_atomically(folder / "result", NEW)
    except OSError:
        os.abort()


_DISK_FULL = [Fault("write", errno.ENOSPC), Fault("rename", errno.ENOSPC)]
CARELESS = {
    "writing in place": Operation(_old_file, _write_in_place, _DISK_FULL),
    "saying nothing": Operation(_old_file, _say_nothing, _DISK_FULL),
    "leaving it": Operation(_old_file, _leave_it, _DISK_FULL),
    "crashing": Operation(_old_file, _crash, _DISK_FULL),
}
"""Operations that are wrong, each in a way that has to be found."""
