"""Execution of a study's steps: several at once, each as a process that ends with this one."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dali_cutmix.utils import open_lock, opened_unless_link
from train.study.plan import Plan, Training
from train.study.step import Step

_FOLLOW = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: also when the parent is killed
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class _Running:
    """A training whose first step in ``todo`` is running."""

    training: Training
    todo: list[Step]
    process: subprocess.Popen[bytes]
    began: float


def run(plan: Plan, lock: int) -> list[str]:
    """Run all steps that are not done yet.

    If a step fails, the further steps of its training are skipped; other trainings continue.

    Args:
        plan: the study's plan.
        lock: file descriptor that the processes inherit, see `lock_folder`.

    Returns:
        A message for each step that failed.

    Raises:
        OSError: a step cannot be started; running trainings have saved their checkpoints and ended.
    """
    trainings = [*plan.trainings, *plan.random]
    waiting = [(training, [step for step in training.steps if not step.is_done()]) for training in trainings]
    total = sum(len(training.steps) for training in trainings)
    waiting = [(training, todo) for training, todo in waiting if todo]
    running: list[_Running] = []
    failed: list[str] = []
    done = total - sum(len(todo) for _, todo in waiting)
    with tqdm(total=total, initial=done, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        try:
            while waiting or running:
                while waiting and len(running) < plan.jobs:
                    training, todo = waiting.pop(0)
                    running.append(_Running(training, todo, _start(training, todo[0], lock), time.monotonic()))
                time.sleep(0.1)
                for one in [one for one in running if one.process.poll() is not None]:
                    step = one.todo.pop(0)
                    name = f"{one.training.method} {one.training.seed}, {step.name}"
                    took = time.monotonic() - one.began
                    bar.update()
                    if one.process.returncode == 0 and step.is_done():
                        tqdm.write(f"{name}: {took:.0f} s", file=sys.stdout)
                    else:
                        failed.append(f"{name} failed (exit status {one.process.returncode}):\n{_tail(step.log)}")
                        bar.update(len(one.todo))
                        one.todo.clear()
                    if one.todo:
                        one.process, one.began = _start(one.training, one.todo[0], lock), time.monotonic()
                    else:
                        running.remove(one)
        finally:
            _end(running)
    return failed


def _start(training: Training, step: Step, lock: int) -> subprocess.Popen[bytes]:
    training.folder.mkdir(parents=True, exist_ok=True)
    command = step.to_start()
    with open(step.log, "a", opener=opened_unless_link) as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        return subprocess.Popen(
            [sys.executable, "-I", "-c", _FOLLOW, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])},
            pass_fds=[lock],
            process_group=0,  # Ctrl-C in a terminal reaches only this process, which lets them save
        )


def _end(running: list[_Running]) -> None:
    """End running processes; trainings save their checkpoints."""
    for one in running:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGTERM)
    for one in running:
        try:
            one.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


def _tail(log: Path, lines: int = 15) -> str:
    return (
        "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-lines:]) + f"\n  (all: {log})"
    )


@contextmanager
def lock_folder(folder: Path, patience: float = 60.0) -> Iterator[int]:
    """Lock a study's folder against a second study; wait for the processes of a study that was killed.

    The lock is held by this process and all processes that inherit the descriptor, until the last of them ends.

    Args:
        folder: the study's folder.
        patience: seconds to wait for the lock.

    Yields:
        The lock's file descriptor.

    Raises:
        ValueError: another study is still running in the folder.
    """
    with os.fdopen(open_lock(folder / ".lock"), "wb") as file:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise ValueError(
                        f"{folder}: another study is running there, or a process of one that was killed; end it first."
                    ) from error
                time.sleep(0.2)
        yield file.fileno()
