"""Shut down live pipelines in a thread that may wait for theirs: never in one of their own.

A pipeline in a reference cycle (a trainer that keeps its loader and a bound method) is collected in whichever thread
runs Python when the garbage collector comes. If that is one of the pipeline's own, in a ``python_function``, shutting
it down there would make that thread wait for itself, and the process would abort. So every collected pipeline is shut
down in one thread for all:

    collected, anywhere ──▶ queue ──▶ shut down, before the next one is built
    running at exit     ──▶ queue ──▶ shut down, before the interpreter is torn down
    in a forked process ──▶ abandoned: its threads live in the parent

Uses DALI's private names, as ``pipeline_template`` does.
"""

import atexit
import ctypes
import os
import signal
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from queue import SimpleQueue
from typing import Any

from nvidia.dali import Pipeline

_running: dict[Any, weakref.ref[Pipeline]] = {}  # by backend, until that is shut down
# None ends the thread. A collection that puts here may interrupt another put.
_shutdowns: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
# Held while a pipeline is built. At exit it is never released, so that daemon threads wait there.
_lock = threading.RLock()
_exiting = False
_BUILDING = 10.0  # seconds to wait at exit for a daemon thread that is building


def _queue(backend: Any) -> None:
    def end() -> None:
        try:
            backend.Shutdown()
        finally:
            _running.pop(backend, None)

    _shutdowns.put(end)


class _QueuesShutdown(Pipeline):
    """A pipeline that is shut down in another thread when it is collected."""

    _pipe: Any

    def _init_pipeline_backend(self) -> None:
        try:
            super()._init_pipeline_backend()
        finally:
            if self._pipe:
                _running[self._pipe] = weakref.ref(self)

    def __del__(self) -> None:
        self._shutdown()

    def _shutdown(self) -> None:
        backend, self._pipe = self._pipe, None
        if backend:
            _queue(backend)


@cache
def _class_that_queues(kind: type[Pipeline]) -> type[Pipeline]:
    return type(kind.__name__, (_QueuesShutdown, kind), {})


def build_with_shutdown(pipeline: Pipeline) -> None:
    """Build a pipeline that is shut down in another thread once it is collected, or at exit.

    Raises:
        RuntimeError: the process is exiting; this pipeline would still run while the interpreter is torn down.
    """
    pipeline.__class__ = _class_that_queues(type(pipeline))  # type: ignore[arg-type]
    _finish_shutdowns()
    with _lock:
        if _exiting:
            raise RuntimeError("Loader: the process is exiting; build and use loaders before its exit handlers run.")
        pipeline.build()


@cache
def _thread() -> threading.Thread:
    """The thread, one in each process, that shuts down what is queued."""
    thread = threading.Thread(target=_run, name="pipeline shutdown", daemon=True)
    thread.start()
    return thread


def _run() -> None:
    while _shut_down_next():
        pass


def _shut_down_next() -> bool:
    """Shut down and destroy the next pipeline in the queue; False where the thread is to end."""
    shutdown = _shutdowns.get()
    if shutdown is None:
        return False
    try:
        shutdown()
    except Exception as error:  # of a lost GPU: the thread must go on, or all would wait for it for ever
        with suppress(Exception):  # where warnings are errors, or cannot be printed
            warnings.warn(f"a pipeline could not be shut down: {error}", RuntimeWarning, stacklevel=1)
    return True


def _finish_shutdowns() -> None:
    """Wait until all pipelines that were collected have been shut down, so that their memory is free again."""
    with _lock:
        if _exiting:  # all were shut down
            return
        _thread()
    unfinished = threading.Lock()  # no Event: Ctrl-C that strikes in its Python code leaves it locked
    unfinished.acquire()
    _shutdowns.put(unfinished.release)
    unfinished.acquire()


@atexit.register
def _shut_all_down() -> None:
    """Shut down all pipelines, then end the thread: either could crash the process while the interpreter is torn down.

    A pipeline's threads may call Python then, and that thread may return to Python from destroying a pipeline.
    """
    global _exiting
    with uninterrupted():
        _lock.acquire(timeout=_BUILDING)
        _exiting = True
        for backend in _take_backends():
            _queue(backend)
        if _thread.cache_info().currsize:  # else none was ever built
            _shutdowns.put(None)
            _thread().join()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C where it would raise KeyboardInterrupt."""
    heard = signal.getsignal(signal.SIGINT)
    raises = callable(heard) and threading.current_thread() is threading.main_thread()
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        if raises:
            signal.signal(signal.SIGINT, heard)


def shut_down(pipeline: Pipeline) -> None:
    """Shut down a pipeline that is no longer used, and wait for that: a traceback may keep it alive for long."""
    pipeline._shutdown()
    _finish_shutdowns()


def _take_backends() -> list[Any]:
    """Take all running backends from their pipelines, also from one that is being collected."""
    running = _running.copy()  # at once: a collection in between may shut another one down
    for reference in running.values():
        if (pipeline := reference()) is not None:
            pipeline._pipe = None
    return list(running)


def _abandon() -> None:
    """In a forked process: never destroy what lives in the parent: its threads are missing here, and it would crash."""
    global _shutdowns, _lock, _exiting
    for kept in (*_take_backends(), _shutdowns):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    _running.clear()
    _shutdowns, _lock, _exiting = SimpleQueue(), threading.RLock(), False
    _thread.cache_clear()


os.register_at_fork(after_in_child=_abandon)
