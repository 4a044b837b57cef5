"""Ctrl-C at a chosen moment, wherever the main thread is then, but never outside of a ``with`` block."""

import signal


class _Struck(KeyboardInterrupt):
    """Not raised by a developer's own Ctrl-C."""


class Interrupt:
    """Raise KeyboardInterrupt so many seconds after the block began, and swallow it at the block's end.

    Again each 0.05 s until the block ends: it may have struck in a destructor, where Python ignores it.
    """

    def __init__(self, seconds):
        self._seconds, self._armed = seconds, False
        self.struck = False

    def __enter__(self):
        signal.signal(signal.SIGALRM, self._strike)
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._seconds or 1e-6, 0.05)
        return self

    def _strike(self, signum, frame):
        if self._armed and frame.f_code not in (Interrupt.__enter__.__code__, Interrupt.__exit__.__code__):
            raise _Struck

    def __exit__(self, kind, error, trace):
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.struck = kind is _Struck
        return self.struck
