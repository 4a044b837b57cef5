"""Watch: ends this process, with one line, when it waits for a rank that does not come, or after SIGTERM."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from train.engine.peers import ANSWER, Activity, Missing, Peers

TIMEOUT = 600.0
"""Default of ``--timeout``, that of PyTorch for NCCL: more than ranks differ by when they compile, list or save."""
PREEMPTED_STATUS = 128 + signal.SIGTERM
"""Exit status, 143, of a run that was saved because of SIGTERM. Shells and schedulers report the same status for a
process that the signal killed, as it does during set-up, so a job script has a single case to handle."""
PULSE = 0.5
"""Seconds between two heartbeats."""
SILENCE = 3.0
"""Seconds without a heartbeat after which a rank counts as gone; one that is alive may hold Python's lock a while."""
GRACE = 10.0
"""Seconds that SIGTERM leaves to a rank that others wait for; ``torchrun`` kills after 30."""


class Watch(threading.Thread):
    """A thread that gives this rank's heartbeat, and looks whether the main thread waits in vain.

    A collective that hangs is in C++, where no exception and no Python handler of a signal reaches it. So this thread
    prints who is missing and ends the process. Checkpoints are written whole or not at all, so the last one is intact.

        main thread     step 16 ── step 17: waits ─────────────────────────────┐
        watch           beat  beat  beat  beat … waits too long, rank 1 is gone ┴─▶ message, exit status

    Args:
        peers: the ranks; the watch only looks at what they do.
        advice: how to continue the run, for messages.
    """

    def __init__(self, peers: Peers, advice: Callable[[], str]) -> None:
        super().__init__(name="watch", daemon=True)
        self.timeout = TIMEOUT
        self._peers, self._advice = peers, advice
        self._stopped, self._left = threading.Event(), threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._ended = False
        self._terminated: float | None = None
        self._signals, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)

    def stop(self) -> None:
        """Let the main thread end the process."""
        self._stopped.set()

    def leave(self) -> None:
        """Stop, and give no more heartbeats; wait for one that is under way, at most ``ANSWER`` seconds."""
        self._stopped.set()
        self._left.set()
        # A thread that returns from the store to Python while the interpreter is torn down aborts the process.
        if self._heartbeat.is_alive():
            self._heartbeat.join(ANSWER)

    @contextmanager
    def sigterm(self) -> Iterator[None]:
        """Hear of SIGTERM while the main thread is in C++, where its own handler does not run."""
        before = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            self._terminated = None

    def run(self) -> None:
        """Look until the process ends; the heartbeat is a thread of its own, since the store may not answer."""
        self._heartbeat.start()
        while not self._stopped.is_set():
            self._look()
            if select.select([self._signals], [], [], PULSE)[0] and signal.SIGTERM in self._signals.recv(4096):
                self._terminated = self._terminated or time.monotonic()

    def _beat(self) -> None:
        with suppress(RuntimeError):  # without the store training goes on; a rank that waits in vain tells
            while not self._left.wait(PULSE):
                self._peers.beat()
                self._ended = self._peers.someone_ended()

    def _look(self) -> None:
        activity, now = self._peers.activity, time.monotonic()
        waited = now - activity.since if activity.waits else 0.0
        if self._ended:
            if waited > PULSE or (self._terminated and now - activity.since > GRACE):
                self._end("")
        elif self._terminated and waited > 1:
            self._look_after_sigterm(activity, now - max(self._terminated, activity.since))
        elif waited > self.timeout and (missing := self._missing(activity)):
            self._end(f"error: waited {self.timeout:g} s (--timeout) {activity.doing} for {missing.who}")

    def _look_after_sigterm(self, activity: Activity, waited: float) -> None:
        missing = self._missing(activity)
        # Validation and saving take their time; a rank that is late in a step may never come.
        patient = waited < GRACE or activity.doing.startswith(("validating", "saving"))
        if missing and not (patient and missing.alive):
            self._end(f"stopped by SIGTERM {activity.doing}, waiting for {missing.who}")

    def _missing(self, activity: Activity) -> Missing | None:
        """Who is missing, if the main thread still waits after having asked."""
        missing = self._peers.missing(SILENCE)
        return missing if self._peers.activity == activity and not self._stopped.is_set() else None

    def _end(self, why: str) -> None:
        """End the process, and say why unless another rank has."""
        status = PREEMPTED_STATUS if self._terminated else 1
        if why:
            self._peers.leave(why)
            if self._peers.may_speak():
                print(f"{why}; {self._advice()}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(status)
