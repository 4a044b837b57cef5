"""Faults: the N-th call of a kind fails, by a library that is preloaded into a program; what is disturbed by them."""

import ctypes
import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

SOURCE = Path(__file__).with_name("fault_shim.c")
CALLS = ["open", "read", "write", "fsync", "close", "rename", "unlink", "mkdir", "mmap", "truncate", "stat", "list"]
CALLS += ["allocate"]  # in the order of the library's own numbers
SHORT, KILL = -1, -2


class Fault(NamedTuple):
    """What a call does in place of its work."""

    call: str  # one of CALLS
    error: int  # an errno, SHORT for half of a read or write, or KILL
    lasting: bool = False  # so do all later calls

    @property
    def name(self) -> str:
        what = {SHORT: "short", KILL: "killed"}.get(self.error) or errno.errorcode[self.error]
        return f"{self.call} {what}{' from then on' * self.lasting}"


@dataclass(frozen=True)
class Operation:
    """What is disturbed: it changes files below a folder, or reads them, the same way each time.

    Args:
        prepare: writes what is there before into a new folder.
        run: the operation, given the folder and what ``set_up`` made; returns something that JSON can hold.
        faults: what happens to its calls.
        set_up: called before, undisturbed, in the same process.
        disturbed: the part of the folder whose files are disturbed.
        least: smallest allocation that counts, in bytes.
        accepts: whether a result may come of a fault, other than an error and the undisturbed result.
        is_sound: whether a file may have this content, given its name, though it is neither there before nor after.
        ignores: whether a file does not matter, given its name.
        may_give_up: it reports no error, and may leave the old files.
        survives: no error may come of a fault that passes.
        repeats: repeated, it leaves the same files.
        is_temporary: whether a file has a name that no reader takes for a finished one.
        cleans_by: calls without which it cannot remove its temporary files.
        names_files: its errors name a file.
    """

    prepare: Callable[[Path], None]
    run: Callable[[Path, Any], Any]
    faults: list[Fault]
    set_up: Callable[[Path], Any] = lambda _: None
    disturbed: str = "."
    least: int = 1 << 14
    accepts: Callable[[Any], bool] = lambda _: False
    is_sound: Callable[[str, bytes], bool] = lambda *_: False
    ignores: Callable[[str], bool] = lambda _: False
    may_give_up: bool = False
    survives: bool = False
    repeats: bool = True
    is_temporary: Callable[[str], bool] = lambda name: "/." in f"/{name}"
    cleans_by: tuple[str, ...] = ("unlink",)
    names_files: bool = True


def can_build() -> bool:
    """Whether this machine has a C compiler."""
    return shutil.which("cc") is not None


def build(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "fault_shim.so"
    command = [
        "cc",
        "-O1",
        "-std=gnu17",
        "-Wall",
        "-Wextra",
        "-shared",
        "-fPIC",
        str(SOURCE),
        "-o",
        str(library),
        "-ldl",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


class Shim:
    """The library that this process was started with."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.fault_hits.restype = self._library.fault_failed.restype = ctypes.c_long

    def arm(self, fault: Fault, number: int, folder: Path, least: int) -> None:
        """Let the call fail that is the ``number``-th from now for a file below ``folder``.

        Args:
            least: smallest allocation that counts, in bytes; those have no folder.
        """
        at, least_size = ctypes.c_long(number), ctypes.c_long(least)
        call = 1 + CALLS.index(fault.call)
        self._library.fault_arm(call, at, fault.error, int(fault.lasting), least_size, os.fsencode(folder))

    def disarm(self) -> None:
        """Let nothing fail any more."""
        self._library.fault_disarm()

    @property
    def hits(self) -> int:
        """Number of calls that were counted."""
        return self._library.fault_hits()

    @property
    def failed(self) -> int:
        """Number of calls that failed."""
        return self._library.fault_failed()
