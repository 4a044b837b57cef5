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

_live: weakref.WeakSet[Pipeline] = weakref.WeakSet()
_running: set[Any] = set()  # the live ones' backends, and of those collected but not shut down yet
_shutdowns: SimpleQueue[Callable[[], None]] = SimpleQueue()  # its put may be interrupted by a collection that calls it


def _queue(backend: Any) -> None:
    def end() -> None:
        if backend in _running:  # at exit all were shut down, and a second time could come too late
            try:
                backend.Shutdown()
            finally:
                _running.discard(backend)

    _shutdowns.put(end)


class _QueuesShutdown:
    """A pipeline that is shut down in another thread when it is collected."""

    _pipe: Any

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
    _live.add(pipeline)
    finish_shutdowns()
    try:
        pipeline.build()
    finally:
        if pipeline._pipe:
            _running.add(pipeline._pipe)


@cache
def _start() -> None:
    """Start the thread; once in each process."""

    def run() -> None:
        while True:
            try:
                _shutdowns.get()()
            except Exception as error:  # of a lost GPU: the thread must live, or all would wait for it for ever
                with suppress(Warning):  # raised where warnings are errors
                    warnings.warn(f"a pipeline could not be shut down: {error}", RuntimeWarning, stacklevel=1)

    threading.Thread(target=run, name="pipeline shutdown", daemon=True).start()


def finish_shutdowns() -> None:
    """Wait until all pipelines that were collected have been shut down, so that their memory is free again."""
    _start()
    done = threading.Event()
    _shutdowns.put(done.set)
    done.wait()


@atexit.register
def _shut_all_down() -> None:
    """Let no thread of a pipeline call Python while the interpreter is torn down, nor of one that is just collected."""
    for pipeline in list(_live):
        pipeline._shutdown()
    for backend in list(_running):
        _queue(backend)
    if _start.cache_info().currsize:  # no thread can be started any more
        finish_shutdowns()


def shut_down(pipeline: Pipeline) -> None:
    """Shut down a pipeline that is no longer used: a traceback may keep it alive for long."""
    pipeline._shutdown()
    finish_shutdowns()


def _abandon() -> None:
    """In a forked process: never destroy what lives in the parent; its threads are missing, and it would crash."""
    global _shutdowns
    being_built = (pipeline._pipe for pipeline in _live)
    for kept in (*_running, *being_built, _shutdowns):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    for pipeline in _live:
        pipeline._pipe = None
    _running.clear()
    _shutdowns = SimpleQueue()
    _start.cache_clear()


os.register_at_fork(after_in_child=_abandon)
