"""Shut down live pipelines in a thread that may wait for theirs: never in one of their own.

A pipeline in a reference cycle (a trainer that keeps its loader and a bound method) is collected in whichever thread
runs Python when the garbage collector comes. If that is one of the pipeline's own, in a ``python_function``, shutting
it down there would make that thread wait for itself, and the process would abort. So every collected pipeline is shut
down in one thread for all:

    collected, anywhere ──▶ queue ──▶ shut down, before the next one is built
    at exit, all others ──▶ queue ──▶ shut down, before the interpreter ends: their threads call Python until then
    in a forked process ──▶ abandoned: its threads live in the parent

Uses DALI's private names, as ``pipeline_template`` does.
"""

import atexit
import ctypes
import os
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from typing import Any

from nvidia.dali import Pipeline

_running: dict[Any, weakref.ref[Pipeline]] = {}  # by backend, until that is shut down
# None ends the thread. A collection that puts here may interrupt another put.
_shutdowns: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
# Held to build; at exit for ever, so that a daemon thread stops there: DALI does not survive building any later.
_lock = threading.RLock()
_PATIENCE = 10.0  # seconds for a daemon thread's building, at exit


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
        super()._init_pipeline_backend()
        _running[self._pipe] = weakref.ref(self)

    def _shutdown(self) -> None:  # DALI calls it when the pipeline is collected
        backend, self._pipe = self._pipe, None
        if backend:
            _queue(backend)


@cache
def _class_that_queues(kind: type[Pipeline]) -> type[Pipeline]:
    return type(kind.__name__, (_QueuesShutdown, kind), {})


def build_with_shutdown(pipeline: Pipeline) -> None:
    """Build a pipeline that is shut down in another thread once it is collected, or at exit."""
    pipeline.__class__ = _class_that_queues(type(pipeline))  # type: ignore[arg-type]
    finish_shutdowns()
    with _lock:
        pipeline.build()


@cache
def _thread() -> threading.Thread:
    """The thread, one in each process, that shuts down what is queued."""
    thread = threading.Thread(target=_run, name="pipeline shutdown", daemon=True)
    thread.start()
    return thread


def _run() -> None:
    while _shut_next_down():
        pass


def _shut_next_down() -> bool:
    """Wait for the next; on return it is destroyed, too. False if the thread is to end."""
    shutdown = _shutdowns.get()
    if shutdown is None:
        return False
    try:
        shutdown()
    except Exception as error:  # of a lost GPU: the thread must live, or all would wait for it for ever
        with suppress(Warning):  # raised where warnings are errors
            warnings.warn(f"a pipeline could not be shut down: {error}", RuntimeWarning, stacklevel=1)
    return True


def finish_shutdowns() -> None:
    """Wait until all pipelines that were collected have been shut down, so that their memory is free again."""
    with _lock:
        _thread()
    done = threading.Event()
    _shutdowns.put(done.set)
    done.wait()


@atexit.register
def _shut_all_down() -> None:
    """Shut down what runs, then end the thread: while the interpreter is torn down, both would crash the process.

    A pipeline's thread would call Python, and this one would return to Python from destroying a pipeline.
    """
    _lock.acquire(timeout=_PATIENCE)
    for backend in _take_backends():
        _queue(backend)
    if _thread.cache_info().currsize:  # no thread can be started any more
        _shutdowns.put(None)
        _thread().join()
        _thread.cache_clear()


def shut_down(pipeline: Pipeline) -> None:
    """Shut down a pipeline that is no longer used: a traceback may keep it alive for long."""
    pipeline._shutdown()
    finish_shutdowns()


def _take_backends() -> list[Any]:
    """All backends that run, after taking them from their pipelines; also of one that is just being collected."""
    running = list(_running.items())
    for _, reference in running:
        if pipeline := reference():
            pipeline._pipe = None
    return [backend for backend, _ in running]


def _abandon() -> None:
    """In a forked process: never destroy what lives in the parent; its threads are missing, and it would crash."""
    global _shutdowns, _lock
    for kept in (*_take_backends(), _shutdowns):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    _running.clear()
    _shutdowns, _lock = SimpleQueue(), threading.RLock()
    _thread.cache_clear()


os.register_at_fork(after_in_child=_abandon)
