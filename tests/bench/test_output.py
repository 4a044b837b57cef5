"""Output of a process is shown in part, whatever it prints."""

import multiprocessing
import os
import time

from bench.loaders.process import output
from bench.loaders.process.output import LONGEST, MOST_SHOWN, Output


def shown(printed, capfd):
    made = Output(multiprocessing.get_context("spawn"), "Loader")
    writing = os.dup(made.writer.fileno())
    made.begin()
    for first in range(0, len(printed), 2**16):
        os.write(writing, printed[first : first + 2**16])
    os.close(writing)
    made._thread.join(10)
    return made, capfd.readouterr().err.splitlines()


def test_output_without_an_end_of_line_costs_no_time(monkeypatch, capfd):
    """5 MB in small pieces: a line that grew with each would be copied again and again."""
    read = os.read
    monkeypatch.setattr(output.os, "read", lambda file, size: read(file, min(size, 1000)))
    start = time.monotonic()
    made, lines = shown(b"x" * 5_000_000 + b"\nend\n", capfd)
    assert time.monotonic() - start < 3
    assert lines == [f"Loader: {'x' * LONGEST}", "Loader: end"]
    assert made.tail().endswith("x\nend\n")


def test_a_progress_bar_is_lines(capfd):
    _, lines = shown(b"".join(b"\r%d %%" % number for number in range(100)) + b"\r\ndone\r\n", capfd)
    assert lines[:2] == ["Loader: 0 %", "Loader: 1 %"]
    assert len(lines) == MOST_SHOWN + 1


def test_the_last_words_are_no_half_of_a_line(capfd):
    made, _ = shown(b"RuntimeError: no such library\nRuntimeError: no such library\nRuntimeErr", capfd)
    assert made.last_words() == "RuntimeError: no such library"


def test_the_last_words_of_one_line_without_an_end_are_that_line(capfd):
    made, _ = shown(b"Fatal error", capfd)
    assert made.last_words() == "Fatal error"
