"""METEOR 1.5 (Denkowski and Lavie, 2014), computed as by COCO, by the Java program that ``pycocoevalcap`` contains."""

from __future__ import annotations

import gzip
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_OPTIONS = ("-", "-", "-stdio", "-l", "en", "-norm")


class NoMeteorError(RuntimeError):
    """METEOR cannot be computed; the message says why, and how to fix it."""


def meteor(candidates: Sequence[str], references: Sequence[Sequence[str]], timeout: float = 1200) -> float:
    """METEOR of all candidates together, 0 … 1; each is compared with its best-matching reference.

    Args:
        candidates: N captions, whose words are separated by single spaces.
        references: one or more references for each candidate.
        timeout: seconds for the program; 5,000 captions take half a minute.

    Raises:
        NoMeteorError: Java or the program is missing, fails or takes too long.
    """
    package = find_spec("pycocoevalcap")
    folders = (package and package.submodule_search_locations) or []
    program = next((file for folder in folders if (file := Path(folder, "meteor", "meteor-1.5.jar")).is_file()), None)
    if program is None:
        raise NoMeteorError(
            "METEOR's program is part of the package pycocoevalcap; install it: pip install pycocoevalcap."
        )
    lines = [" ||| ".join(("SCORE", *refs, one)) for one, refs in zip(candidates, references, strict=True)]
    statistics = _run(program, (), lines, len(lines), timeout)
    with tempfile.TemporaryDirectory() as folder:
        # Scoring the statistics needs no paraphrases; an empty table saves the seconds that reading it takes
        no_paraphrases = Path(folder, "none.gz")
        no_paraphrases.write_bytes(gzip.compress(b""))
        evaluate = " ||| ".join(("EVAL", *statistics))
        *_, total = _run(program, ("-a", str(no_paraphrases)), [evaluate], len(lines) + 1, timeout)
    return float(total)


def _run(program: Path, options: tuple[str, ...], lines: list[str], count: int, timeout: float) -> list[str]:
    """The program's answers, one per line of input."""
    java = ("java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", program.name, *_OPTIONS, *options)
    try:
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(
            java, input=text, capture_output=True, encoding="utf-8", cwd=program.parent, timeout=timeout
        )
    except OSError as error:
        raise NoMeteorError("METEOR needs Java; install it (Debian: apt install default-jre-headless).") from error
    except subprocess.TimeoutExpired as error:
        raise NoMeteorError(f"METEOR's program took longer than {timeout:g} seconds and was stopped.") from error
    answers = done.stdout.splitlines()
    if done.returncode or len(answers) != count:
        message = done.stderr.strip().splitlines() or ["no message"]
        raise NoMeteorError(f"METEOR's program failed (exit code {done.returncode}): {message[0]}")
    return answers
