"""Shut down live pipelines in a thread that may wait for theirs; at exit, after the threads that run them.

A pipeline in a reference cycle (a trainer that keeps its loader and a bound method) is collected in whichever thread
runs Python when the garbage collector comes. If that is one of the pipeline's own, in a ``python_function``, shutting
it down there would make that thread wait for itself, and the process would abort. So every collected pipeline is shut
down in one thread for all:

    collected, anywhere ──▶ queue ──▶ shut down, before the next one is built
    running at exit     ──▶ queue ──▶ shut down, after the threads that run them, before the interpreter is torn down
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from nvidia.dali import Pipeline

from dali_cutmix.utils import Worker

_running: dict[Any, weakref.ref[Pipeline]] = {}  # by backend, until that is shut down
_users: set[Worker] = set()  # threads that run pipelines
# Held while a pipeline is built. Once taken at exit, it is never released, so that daemon threads wait there.
_lock = threading.RLock()
_exiting = False
_REFUSED = "Loader: the process is exiting; build and use loaders before its exit handlers run."
_BUILDING = 10.0  # seconds to wait at exit for a daemon thread that is building


def _queue(backend: Any) -> None:
    def end() -> None:
        try:
            backend.Shutdown()
        except Exception as error:  # of a lost GPU
            warnings.warn(f"a pipeline could not be shut down: {error}", RuntimeWarning, stacklevel=1)
        finally:
            _running.pop(backend, None)

    _shutdowns().submit(end)


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
            raise RuntimeError(_REFUSED)
        pipeline.build()


def start_worker(owner: object) -> Worker:
    """Start a thread to run pipelines in; it is stopped once its owner is collected, or at exit.

    Raises:
        RuntimeError: the process is exiting.
    """
    worker = Worker()
    weakref.finalize(owner, worker.stop).atexit = False
    _users.difference_update([user for user in list(_users) if not user.is_running])
    _users.add(worker)
    if _exiting:  # asked last: at exit those that were added before are ended
        worker.stop()
        raise RuntimeError(_REFUSED)
    return worker


@cache
def _shutdowns() -> Worker:
    """The thread, one in each process, that shuts pipelines down."""
    return Worker()


def _started() -> list[Worker]:
    return [_shutdowns()] if _shutdowns.cache_info().currsize else []  # none where no pipeline was ever built


def _finish_shutdowns() -> None:
    """Wait until all pipelines that were collected have been shut down, so that their memory is free again."""
    with _lock:
        if _exiting:  # _shut_all_down does it
            return
        shutdowns = _shutdowns()
    shutdowns.submit(int).result()


@atexit.register
def _shut_all_down() -> None:
    """Shut down all pipelines, then end the thread: either could crash the process while the interpreter is torn down.

    A pipeline's threads may call Python then, and that thread may return to Python from destroying a pipeline.
    """
    global _exiting
    _exiting = True
    with suppress(KeyboardInterrupt):  # where a batch takes too long, Ctrl-C ends the waiting for it
        for user in list(_users):
            user.end()
    with _without_interrupts():
        _lock.acquire(timeout=_BUILDING)
        for backend in _take_backends():
            _queue(backend)
        for worker in _started():
            worker.end()


@contextmanager
def _without_interrupts() -> Iterator[None]:
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
    global _lock, _exiting
    for kept in (*_take_backends(), *_users, *_started()):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    _running.clear()
    _users.clear()
    _lock, _exiting = threading.RLock(), False
    _shutdowns.cache_clear()


os.register_at_fork(after_in_child=_abandon)
