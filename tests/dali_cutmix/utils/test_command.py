"""How a command ends: exit statuses, errors in one line, and text for any terminal."""

import io
import signal
import subprocess
import sys

import pytest

from dali_cutmix.utils import run_command
from tests.helpers import ROOT
from tests.helpers.closed_output import without_reader


def run(work):
    return run_command(work, failed=2, interrupted="stopped")


def raises(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (ValueError("a\x1b[31m.jpg: bad"), 2, "error: a\\x1b[31m.jpg: bad\n"),
        (OSError(28, "No space", "a\x1b.jpg"), 2, "error: [Errno 28] No space: 'a\\x1b.jpg'\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
    ids=["value", "system", "interrupted"],
)
def test_an_end_with_an_error(capsys, error, status, printed):
    assert run(raises(error)) == status
    assert capsys.readouterr() == ("", printed)


def test_an_end_without_one():
    assert run(lambda: 7) == 7


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(KeyError):
        run(raises(KeyError("x")))


def test_what_a_terminal_cannot_show_is_escaped(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    assert run(lambda: print("ü×") or 0) == 0
    assert shown.getvalue() == b"\\xfc\\xd7\n"


def test_a_closed_pipe_ends_it_silently(capsys):
    with pytest.raises(SystemExit) as done, without_reader():
        run(lambda: print("text") or 0)
    assert done.value.code == 141
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_no_reason_where_nothing_was_printed():
    with without_reader():
        assert run(lambda: 7) == 7


def test_another_pipe_that_breaks_is_an_error(capsys):
    assert run(raises(BrokenPipeError(32, "Broken pipe", "a"))) == 2
    assert capsys.readouterr().err == "error: [Errno 32] Broken pipe: 'a'\n"


PROGRAM = """
import atexit, signal
from dali_cutmix.utils import exit_with

signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(signal.raise_signal, signal.SIGINT)
exit_with(lambda: print("done", flush=True))
"""


def test_ctrl_c_while_python_shuts_down_prints_no_traceback():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", -signal.SIGINT)


def test_ctrl_c_is_heard_again_once_the_command_has_imported():
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        assert run(lambda: signal.raise_signal(signal.SIGINT) or 0) == 130
    finally:
        signal.signal(signal.SIGINT, before)
