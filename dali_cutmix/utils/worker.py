"""Worker: a thread whose caller may be interrupted anywhere.

``concurrent.futures`` and ``threading.Thread.start`` wait with ``threading.Condition``: Ctrl-C that strikes in its
Python code leaves it locked, and all who come later wait for ever. Here are only locks and queues written in C: an
interrupt cannot leave them locked (CPython 3.11 to 3.13).

The threads are no ``threading.Thread`` objects: they have no names, and debuggers do not trace them.
"""

import _thread
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Task(Generic[Result]):
    """A call that a worker makes."""

    _result: Result
    _error: BaseException | None = None

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._unfinished = _locked()

    def run(self) -> None:
        """Make the call."""
        call = self._call
        del self._call  # no longer than needed: its owner may hold this task
        try:
            self._result = call()
        except BaseException as error:
            self._error = error
        finally:
            del call
            self._unfinished.release()
            del self  # the error's traceback holds this frame

    def result(self) -> Result:
        """Wait for what the call returns, or raise what it raised."""
        with self._unfinished:
            pass
        try:
            if self._error is not None:
                raise self._error
            return self._result
        finally:
            del self


class Worker:
    """A thread that makes calls, one after the other, until it is stopped.

    It is a daemon thread: the process does not wait for it.

    Example:
        >>> from dali_cutmix.utils import Worker
        >>> worker = Worker()
        >>> worker.submit(lambda: 1 + 1).result()
        2
        >>> worker.stop()
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._running = _locked()
        self._stopped = False
        _thread.start_new_thread(_run, (self._tasks, self._running))

    def submit(self, call: Callable[[], Result]) -> Task[Result]:
        """Queue a call; calls are made in order.

        Raises:
            RuntimeError: the worker was stopped.
        """
        if self._stopped:
            raise RuntimeError("this thread takes no more work: its owner was collected, or the process is exiting.")
        task = Task(call)
        self._tasks.put(task)
        return task

    @property
    def is_running(self) -> bool:
        """Whether its thread has not ended."""
        return self._running.locked()

    def stop(self) -> None:
        """Let the thread end after what was submitted before."""
        self._stopped = True
        self._tasks.put(None)

    def end(self) -> None:
        """Stop the thread and wait for its end."""
        self.stop()
        with self._running:
            pass


def _locked() -> _thread.LockType:
    lock = _thread.allocate_lock()
    lock.acquire()
    return lock


def _run(tasks: SimpleQueue[Task | None], running: _thread.LockType) -> None:
    try:
        while (task := tasks.get()) is not None:
            task.run()
            del task  # what it holds may be collected before the next one comes
    finally:
        running.release()
