"""Each call that an operation makes to the system fails once: no crash, no hang, a clean error, no half file."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT, tally
from tests.helpers.faults import build, can_build
from tests.helpers.training import environment_with

pytestmark = pytest.mark.skipif(not can_build(), reason="needs a C compiler (cc)")


@pytest.fixture(scope="module")
def disturb(tmp_path_factory):
    """``disturb(operation, few)``: how many of its calls failed, and what was wrong afterwards."""
    base = tmp_path_factory.mktemp("faults")
    library = build(base)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.fault_run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment_with(LD_PRELOAD=str(library), TMPDIR=str(base)),
    )

    def disturb(operation, few=None):
        request = {"operation": operation, "few": few, "folder": str(base / operation.replace(" ", "_"))}
        program.stdin.write(json.dumps(request) + "\n")
        program.stdin.flush()
        reply = program.stdout.readline()
        assert reply, f"the program that disturbs ended with {program.wait(10)}"
        return json.loads(reply)

    yield disturb
    program.stdin.close()
    program.wait(60)
    program.stdout.close()


def assert_sound(found, least):
    assert found["failed"] >= least
    assert not found["wrong"], f"{len(found['wrong'])} faults:\n" + "\n".join(found["wrong"][:20])
    tally.count("faults", found["failed"])


@pytest.mark.parametrize("operation", ["a new file", "a file over an old one", "the cache", "the log"])
def test_files_are_old_or_new_and_whole_whichever_call_fails(disturb, operation):
    assert_sound(disturb(operation), 30)
