"""Work in child processes that may crash or hang: the others go on, and the item that did it is known."""

import faulthandler
import gc
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

_GRACE = 5  # seconds from the end of a child's connection to its own
_QUEUED = 2  # tasks of a child, so that it never waits for the parent between two


class Crash(NamedTuple):
    """What ended a child process.

    Args:
        reason: in words, such as "SIGSEGV".
        is_hang: whether it was ended because it took too long.
    """

    reason: str
    is_hang: bool = False

    def sentence(self, subject: str) -> str:
        """Say it of a subject: "its decoder crashes (SIGSEGV)"."""
        return f"{subject} {'hangs' if self.is_hang else 'crashes'} ({self.reason})"


class Outcome(NamedTuple):
    """What became of a group of items.

    Args:
        items: the group.
        results: for each item its result, or the crash that it alone caused.
        crash: what happened when the items were worked on together; None if all went well.
    """

    items: Sequence[Any]
    results: list[Any]
    crash: Crash | None


def map_in_children(
    function: Callable[[Sequence[Any]], Sequence[Any]],
    groups: Iterable[Sequence[Any]],
    *,
    workers: int,
    timeout: float,
    ahead: int,
) -> Iterator[Outcome]:
    """Map ``function`` over groups of items in child processes.

    When a child crashes or hangs, each item of its group is tried alone, so that the culprit is known. The children
    are forked: they have all that this process has in memory, at no cost. Hence this process must not have threads
    that hold locks, such as those of a running DALI pipeline. What the children print is thrown away. They end with
    this process, however that ends.

    Args:
        function: the work on a group; returns one result for each item, which is pickled.
        groups: groups of items; taken only as fast as results are.
        workers: number of child processes.
        timeout: seconds after which a child that is not done with a group is ended.
        ahead: most groups in memory.

    Yields:
        The outcome of each group, in the order of the groups.

    Raises:
        OSError: ``function`` raised it.
        RuntimeError: ``function`` raised another exception; its traceback is the message. A ``MemoryError`` is a crash.
    """
    children = _Children(function, workers, timeout)
    remaining = iter(groups)
    order: deque[_Group] = deque()
    try:
        while True:
            for items in islice(remaining, ahead - len(order)):
                order.append(_Group(items))
                children.waiting.append(_Task(order[-1], 0, items))
            if not order:
                return
            while order[0].is_open:
                children.work()
            yield order.popleft().outcome()
    finally:
        for child in children.running:
            child.end()


class _Group:
    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
        self.crash: Crash | None = None
        self.results: list[Any] = [_OPEN] * len(items)

    @property
    def is_open(self) -> bool:
        return any(result is _OPEN for result in self.results)

    def outcome(self) -> Outcome:
        return Outcome(self.items, self.results, self.crash)


_OPEN = object()


class _Task(NamedTuple):
    group: _Group
    first: int
    items: Sequence[Any]


class _Child:
    """A child process, and its tasks in the order in which it works on them."""

    def __init__(self, function: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        context = multiprocessing.get_context("fork")  # or each would import DALI and PyTorch again
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        # Blocked in the child for good: Ctrl-C is the parent's business.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()  # now the connection ends with the child
        self.tasks: deque[_Task] = deque()
        self.since = 0.0

    def give(self, task: _Task) -> None:
        if not self.tasks:
            self.since = time.monotonic()
        self.tasks.append(task)
        with suppress(OSError):  # it has just died, which is seen when its results are awaited
            self.connection.send(task.items)

    def end(self) -> None:
        self.process.kill()
        self.process.join(_GRACE)
        self.connection.close()


class _Children:
    def __init__(self, function: Callable[[Sequence[Any]], Sequence[Any]], workers: int, timeout: float) -> None:
        self._function, self._workers, self._timeout = function, workers, timeout
        self.running: list[_Child] = []
        self.waiting: deque[_Task] = deque()

    def work(self) -> None:
        """Give out tasks, and wait until a child has a result or is to be ended."""
        self._give_out()
        until = min(child.since for child in self.running if child.tasks) + self._timeout
        busy = [child for child in self.running if child.tasks]
        ready = connection.wait([child.connection for child in busy], max(until - time.monotonic(), 0))
        for child in busy:
            if child.connection not in ready:
                if time.monotonic() - child.since > self._timeout:
                    self._crashed(child, Crash(f"not done after {self._timeout:g} s", is_hang=True))
                continue
            try:
                result = child.connection.recv()
            except (EOFError, OSError):
                self._crashed(child)
                continue
            if isinstance(result, Crash):
                self._crashed(child, result)
            elif isinstance(result, Exception):
                raise result
            else:
                task = child.tasks.popleft()
                task.group.results[task.first : task.first + len(task.items)] = result
                child.since = time.monotonic()

    def _give_out(self) -> None:
        for queued in range(_QUEUED):
            while self.waiting:
                child = next((child for child in self.running if len(child.tasks) <= queued), None)
                if child is None and len(self.running) < self._workers:
                    child = _Child(self._function)
                    self.running.append(child)
                if child is None:
                    break
                child.give(self.waiting.popleft())

    def _crashed(self, child: _Child, crash: Crash | None = None) -> None:
        """Remove a child; its first task is to blame, the others go to other children."""
        self.running.remove(child)
        if crash is None:
            child.process.join(_GRACE)
            crash = Crash(_ended_by(child.process.exitcode))
        child.end()
        task, *others = child.tasks
        self.waiting.extendleft(reversed(others))
        if len(task.items) == 1:
            task.group.results[task.first] = crash
        else:
            alone = [_Task(task.group, task.first + i, [item]) for i, item in enumerate(task.items)]
            self.waiting.extendleft(reversed(alone))
        if len(task.items) == len(task.group.items):
            task.group.crash = crash


def _ended_by(status: int | None) -> str:
    if status is None or status >= 0:
        return f"it ended its process with status {status}"
    name = next((one.name for one in signal.Signals if one == -status), f"signal {-status}")  # some have no name
    return f"{name}, most likely because memory ran out; fewer workers need less" if name == "SIGKILL" else name


def _serve(tasks: Any, function: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
    """What a child does."""
    follow_parent()
    faulthandler.disable()  # the parent says what happened
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (to the end)
    for descriptor in (1, 2):  # decoders write lines of their own there
        os.dup2(sys.stdout.fileno(), descriptor)
    while True:
        try:
            items = tasks.recv()
        except EOFError:
            return
        try:
            result: list[Any] | Crash | Exception = list(function(items))
        except MemoryError:
            result = Crash("memory ran out")
        except OSError as error:
            result = error
        except Exception:
            result = RuntimeError(f"in a child process:\n{traceback.format_exc()}")
        tasks.send(result)


def follow_parent() -> None:
    """End with the parent process, also if that is killed, and leave Ctrl-C to it; for a process just forked."""
    gc.freeze()  # this process must not destroy the parent's objects
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
