"""Worker: a thread that works for one that Ctrl-C may strike anywhere."""

import atexit
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from dali_cutmix._dali import uninterrupted

Result = TypeVar("Result")
_threads: "WeakKeyDictionary[threading.Thread, SimpleQueue[Task | None]]" = WeakKeyDictionary()
_exiting = False


class Task(Generic[Result]):
    """A call that another thread makes."""

    _result: Result
    _error: BaseException | None = None

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._unfinished = threading.Lock()
        self._unfinished.acquire()

    def run(self) -> None:
        """Make the call; for the other thread."""
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        finally:
            self._unfinished.release()

    def result(self) -> Result:
        """Wait for what the call returns, or raise what it raised."""
        with self._unfinished:
            pass
        if self._error is not None:
            raise self._error
        return self._result


class Worker:
    """A thread that makes calls, one after the other; it ends once its worker is collected, or at exit.

    ``concurrent.futures`` waits with ``threading.Condition``: an interrupt that strikes in the Python code of its
    ``__enter__`` leaves it locked, and all would wait for ever. Here are only locks and queues written in C, which an
    interrupt leaves as they were.

    Example:
        >>> from dali_cutmix.loader.worker import Worker
        >>> Worker("sums").submit(lambda: 1 + 1).result()
        2
    """

    def __init__(self, name: str) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        thread = threading.Thread(target=_run, args=(self._tasks,), name=name, daemon=True)
        thread.start()
        _threads[thread] = self._tasks

    def submit(self, call: Callable[[], Result]) -> Task[Result]:
        """Make a call after those that were submitted before.

        Raises:
            RuntimeError: the process is exiting.
        """
        if _exiting:
            raise RuntimeError("Loader: the process is exiting; use loaders before its exit handlers run.")
        task = Task(call)
        self._tasks.put(task)
        return task

    def __del__(self) -> None:
        self._tasks.put(None)


def _run(tasks: SimpleQueue[Task | None]) -> None:
    while (task := tasks.get()) is not None:
        task.run()
        del task  # what it holds may be collected before the next one comes


@atexit.register
def _end_all() -> None:
    """End all threads after their last task, and before the exit handler of ``_dali``, which was registered earlier.

    It shuts down the pipelines that they run.
    """
    global _exiting
    with uninterrupted():
        _exiting = True
        for thread, tasks in list(_threads.items()):
            tasks.put(None)
            thread.join()
