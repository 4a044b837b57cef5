"""A program that disturbs operations: for N = 1, 2, 3, … it lets the N-th call fail, until the operation needs no more.

Each try is made in a forked process, so that neither a crash nor a hang ends the program. It reads requests, one JSON
object a line, and answers each with a line: how many calls failed, and what was wrong afterwards.
"""

import errno
import gc
import json
import os
import select
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.fault_reads import READS
from tests.helpers.fault_writes import CARELESS, WRITES
from tests.helpers.faults import KILL, SHORT, Fault, Operation, Shim

PATIENCE = 60  # seconds
MOST = 3000  # calls of one kind that an operation may make
CLEAN_ERRORS = {"OSError", "ValueError", "DecodeError"}
OPERATIONS = WRITES | READS | CARELESS


@dataclass
class Outcome:
    """What came of one try."""

    value: Any = None
    kinds: tuple[str, ...] = ()  # type of the exception, and its bases
    message: str = ""
    failed: int = 0  # calls
    ended: str | None = None  # how the process ended if it gave no result
    said: str = ""  # on standard error

    @property
    def told(self) -> str:
        return (
            f"{self.ended or ', '.join(self.kinds[:1]) or repr(self.value)} {self.message} {self.said[-1500:]}".strip()
        )


@dataclass(frozen=True)
class Undisturbed:
    """An operation without a fault: its files before and after, and its result."""

    prepared: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    value: Any


def attempt(operation: Operation, folder: Path, fault: Fault | None = None, number: int = 0) -> Outcome:
    """Run an operation once in a process of its own, with the ``number``-th call of a kind failing."""
    shim = Shim()

    def work() -> dict[str, Any]:
        things = operation.set_up(folder)
        found: dict[str, Any] = {}
        if fault:
            shim.arm(fault, number, (folder / operation.disturbed).resolve(), operation.least)
        try:
            found["value"] = operation.run(folder, things)
        except BaseException as error:
            shim.disarm()
            found = {"kinds": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
        shim.disarm()
        return found

    log = folder.with_name("log")
    outcome = Outcome(**_in_fork(work, log))
    outcome.failed = shim.failed if fault else 0
    outcome.said = log.read_text(errors="replace")
    shim.disarm()
    return outcome


def _in_fork(work: Callable[[], dict[str, Any]], log: Path) -> dict[str, Any]:
    ours, its = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setsid()
            os.close(ours)
            with log.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  (a descriptor)
            os.write(its, json.dumps(work()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)
    os.close(its)
    ready, _, _ = select.select([ours], [], [], PATIENCE)
    if not ready:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    answer = os.read(ours, 1 << 20) if ready else b""
    os.close(ours)
    if answer:
        return json.loads(answer)
    return {
        "ended": "a hang"
        if not ready
        else f"signal {status & 127}"
        if status & 127
        else f"status {status >> 8} without a result"
    }


def snapshot(operation: Operation, folder: Path) -> dict[str, bytes]:
    """The bytes of every file that matters."""
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not operation.ignores(name)}


def prepared(operation: Operation, base: Path) -> Undisturbed:
    """Run an operation undisturbed."""
    first, tried = base / "prepared", base / "tried"
    first.mkdir(parents=True)
    assert _in_fork(lambda: {"value": operation.prepare(first)}, base / "log") == {"value": None}, (
        base / "log"
    ).read_text()
    shutil.copytree(first, tried, symlinks=True)
    outcome = attempt(operation, tried)
    assert not outcome.kinds, outcome.told
    assert not outcome.ended, outcome.told
    return Undisturbed(first, snapshot(operation, first), snapshot(operation, tried), outcome.value)


def disturb(operation: Operation, base: Path, whole: Undisturbed, fault: Fault, number: int) -> tuple[int, list[str]]:
    """Run an operation with one fault, then again without: how many calls failed, and what was wrong."""
    folder = base / "tried"
    shutil.rmtree(folder)
    shutil.copytree(whole.prepared, folder, symlinks=True)
    outcome = attempt(operation, folder, fault, number)
    after = snapshot(operation, folder)
    wrong = [
        *_outcome_faults(operation, folder, whole, fault, outcome),
        *_file_faults(operation, whole, fault, outcome, after),
    ]
    again = attempt(operation, folder)
    if again.kinds or again.ended or again.value != whole.value:
        wrong.append(f"the same again, undisturbed: {again.told}; expected {whole.value!r}")
    elif operation.repeats:
        left = {
            name: content
            for name, content in snapshot(operation, folder).items()
            if name in whole.after or not _may_stay(operation, fault, name)
        }
        if left != whole.after:
            names = sorted(name for name in left.keys() | whole.after.keys() if left.get(name) != whole.after.get(name))
            wrong.append(f"the same again, undisturbed, leaves other files: {names}")
    return outcome.failed, [f"{fault.name}, call {number}: {what}" for what in wrong]


def _outcome_faults(
    operation: Operation, folder: Path, whole: Undisturbed, fault: Fault, outcome: Outcome
) -> Iterator[str]:
    if outcome.ended:
        if fault.error != KILL or outcome.ended != f"signal {signal.SIGKILL.value}":
            yield f"ended by {outcome.told}"
        return
    if "Traceback (most" in outcome.said or "Exception ignored" in outcome.said:
        yield f"a raw traceback: {outcome.said[-1500:]}"
    if not outcome.kinds:
        if outcome.value != whole.value and not (outcome.failed and operation.accepts(outcome.value)):
            yield f"another result: {outcome.told}, undisturbed {whole.value!r}"
        return
    if fault.error in (SHORT, errno.EINTR) or (operation.survives and not fault.lasting):
        yield f"it has to get over that: {outcome.told}"
        return
    no_memory = fault.call == "allocate" and ("MemoryError" in outcome.kinds or "alloc" in outcome.message)
    if not CLEAN_ERRORS & {*outcome.kinds} and not no_memory:
        yield f"not a clean error: {outcome.told}"
    elif operation.names_files and not no_memory and str(folder) not in outcome.message:
        yield f"its error names no file: {outcome.told}"


def _file_faults(
    operation: Operation, whole: Undisturbed, fault: Fault, outcome: Outcome, after: dict[str, bytes]
) -> Iterator[str]:
    if "intact" in outcome.message:
        named = [name for name in whole.before.keys() | after.keys() if f"/{name}'" in outcome.message]
        if not named or not all(_is_intact(operation, name, whole.before.get(name), after.get(name)) for name in named):
            yield f"what it calls intact is not: {outcome.message}"
    done = not outcome.kinds and not outcome.ended and outcome.value == whole.value and not operation.may_give_up
    for name in sorted(after.keys() | whole.before.keys() | whole.after.keys()):
        found, old, new = after.get(name), whole.before.get(name), whole.after.get(name)
        if found == new or (found == old and not done):
            continue
        if found is None:
            yield f"{name} is gone"
        elif old is None and new is None:
            if not (_may_stay(operation, fault, name) or operation.is_sound(name, found)):
                yield f"{name} is left behind"
        elif found == old:
            yield f"{name} is still the old one, though no error was raised"
        elif not operation.is_sound(name, found):
            sizes = [len(content or b"") for content in (found, old, new)]
            yield "{} is neither old nor new: {} bytes; {} before, {} undisturbed".format(name, *sizes)


def _is_intact(operation: Operation, name: str, old: bytes | None, found: bytes | None) -> bool:
    """Whether a file is what it was, or whole if this run was the first to write it."""
    return found is not None and (found == old or (old is None and operation.is_sound(name, found)))


def _may_stay(operation: Operation, fault: Fault, name: str) -> bool:
    """Whether a temporary file may stay: its maker was killed, or could not remove it."""
    return operation.is_temporary(name) and (fault.error == KILL or fault.call in operation.cleans_by)


def sweep(name: str, base: Path, few: int | None) -> tuple[int, list[str]]:
    """Disturb an operation by each of its faults at each call: how many calls failed, and all that was wrong.

    Args:
        few: how many of these tries are made, spread evenly over all; None for all.
    """
    operation = OPERATIONS[name]
    whole = prepared(operation, base)
    calls = {call: _calls(operation, base, whole, call) for call in sorted({fault.call for fault in operation.faults})}
    assert max(calls.values()) < MOST, calls
    tries = [(fault, number) for fault in operation.faults for number in range(1, calls[fault.call] + 1)]
    if few and few < len(tries):
        tries = [tries[i * len(tries) // few] for i in range(few)]
    failed, wrong = zip(*(disturb(operation, base, whole, *one) for one in tries), strict=True)
    return sum(map(bool, failed)), [what for found in wrong for what in found]


def _calls(operation: Operation, base: Path, whole: Undisturbed, call: str) -> int:
    """How many calls of a kind an operation makes undisturbed."""
    folder = base / "tried"
    shutil.rmtree(folder)
    shutil.copytree(whole.prepared, folder, symlinks=True)
    attempt(operation, folder, Fault(call, errno.EIO), sys.maxsize)
    return Shim().hits


def main() -> None:
    """Answer requests until standard input ends."""
    gc.collect()
    gc.freeze()  # or each fork's collector would copy all memory
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        request = json.loads(line)
        failed, wrong = sweep(request["operation"], Path(request["folder"]), request["few"])
        print(json.dumps({"failed": failed, "wrong": wrong}), file=replies)


if __name__ == "__main__":
    main()
