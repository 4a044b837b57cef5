"""METEOR's Java program: its numbers, and that no process of it is left where it fails."""

import gzip
import os
import shutil
import time

import pytest

from train.tasks.captioning import meteor as module
from train.tasks.captioning.meteor import NoMeteorError, meteor

CANDIDATES = ["a man riding a wave", "two dogs run on grass", "a table in a café", ""]
REFERENCES = [
    ["a man rides a wave on a surfboard", "someone is surfing in the ocean"],
    ["two dogs running through the grass"],
    ["a café table"],
    ["a red bus"],
]
with_java = pytest.mark.skipif(not shutil.which("java"), reason="needs Java; there is no java on the path")


@with_java
def test_it_is_the_number_of_the_coco_evaluation(monkeypatch, tmp_path):
    """Written down from ``pycocoevalcap.meteor.meteor.Meteor``: captions with stems and synonyms, and an empty one.

    Without the table of paraphrases, which play no role in them, the program starts in a tenth of the time.
    """
    (tmp_path / "none.gz").write_bytes(gzip.compress(b""))
    monkeypatch.setattr(module, "_OPTIONS", (*module._OPTIONS, "-a", str(tmp_path / "none.gz")))
    assert meteor(CANDIDATES, REFERENCES) == pytest.approx(0.3021914123620558, abs=1e-9)


@with_java
@pytest.mark.slow
def test_it_is_the_number_of_the_coco_evaluation_for_captions_as_people_write_them():
    from pycocoevalcap.meteor.meteor import Meteor

    from tests.helpers.captions import caption
    from train.tasks.captioning.tokenizer import tokenize

    words = [" ".join(tokenize(caption(seed))) for seed in range(400)]
    candidates, references = words[:100], [words[100 + 3 * i : 103 + 3 * i] for i in range(100)]
    expected, _ = Meteor().compute_score(dict(enumerate(references)), {i: [one] for i, one in enumerate(candidates)})
    assert meteor(candidates, references) == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def java(tmp_path, monkeypatch):
    """``java(script)``: another program in Java's place."""

    def install(script):
        (tmp_path / "java").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
        (tmp_path / "java").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "pid"

    return install


def test_without_java_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NoMeteorError, match=r"METEOR needs Java; install it \(Debian: apt install default-jre-headless\)"
    ):
        meteor(CANDIDATES, REFERENCES)


@pytest.mark.parametrize("folders", [None, []])
def test_without_the_package_it_says_what_to_install(monkeypatch, folders):
    class Spec:
        submodule_search_locations = folders

    monkeypatch.setattr(module, "find_spec", lambda name: None if folders is None else Spec)
    with pytest.raises(
        NoMeteorError, match="METEOR's program is part of the package pycocoevalcap; install it: pip install"
    ):
        meteor(CANDIDATES, REFERENCES)


def test_a_program_that_hangs_is_stopped_and_leaves_no_process(java):
    pid = java("exec sleep 100")
    start = time.monotonic()
    with pytest.raises(NoMeteorError, match=r"METEOR's program took longer than 0.5 seconds and was stopped"):
        meteor(CANDIDATES, REFERENCES, timeout=0.5)
    assert time.monotonic() - start < 20
    with pytest.raises(ProcessLookupError):  # not even a zombie
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("cat > /dev/null; echo Out of memory >&2; exit 3", r"METEOR's program failed \(exit code 3\): Out of memory"),
        ("exit 1", r"METEOR's program failed \(exit code 1\): no message"),
        ("cat > /dev/null; echo 1.0 2.0", r"METEOR's program failed \(exit code 0\): no message"),
    ],
)
def test_a_program_that_fails_or_answers_too_little_is_quoted(java, script, message):
    java(script)
    with pytest.raises(NoMeteorError, match=message):
        meteor(CANDIDATES * 5000, REFERENCES * 5000)  # more than a pipe holds
