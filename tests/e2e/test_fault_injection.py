"""Each call that an operation makes to the system fails once: no crash, no hang, a clean error, no half file."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT, tally
from tests.helpers.fault_reads import READS
from tests.helpers.fault_writes import WRITES
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
    assert not found["wrong"], f"{len(found['wrong'])} faults:\n" + "\n".join(found["wrong"][:20])
    assert found["failed"] >= least
    tally.count("faults", found["failed"])


FILES = ["a file over an old one", "a new folder", "the cache", "the log", "a checkpoint", "loading a checkpoint"]


@pytest.mark.parametrize("operation", FILES)
def test_files_are_old_or_new_and_whole_whichever_call_fails(disturb, operation):
    assert_sound(disturb(operation, few=8), 5)


@pytest.mark.parametrize("operation", ["packing", "an epoch of tar files, replace"])
def test_nothing_is_lost_by_a_call_that_fails(disturb, operation):
    assert_sound(disturb(operation, few=6), 3)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("writing in place", "result is neither old nor new: 0 bytes"),
        ("saying nothing", "result is still the old one, though no error was raised"),
        ("leaving it", ".temporary is left behind"),
        ("crashing", "ended by signal 6"),
    ],
)
def test_a_careless_operation_is_found_out(disturb, operation, fault):
    assert fault in "\n".join(disturb(operation)["wrong"])


@pytest.mark.slow
@pytest.mark.parametrize("operation", WRITES)
def test_every_call_of_what_writes_may_fail(disturb, operation):
    assert_sound(disturb(operation, few=50 if operation in ("a run", "a training") else None), 20)


@pytest.mark.slow
@pytest.mark.parametrize("operation", READS)
def test_every_call_of_what_reads_may_fail(disturb, operation):
    assert_sound(disturb(operation, few=40), 10)
