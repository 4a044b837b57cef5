"""Damaged states by the hundred: each is refused, or loads and means what it says; none hangs or crashes."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT, tally
from tests.helpers.training import environment_with

SCRIPT = ROOT / "tests" / "helpers" / "state_fuzz.py"
PATIENCE = 300  # seconds


def fuzz(root, version, count, seed):
    command = [sys.executable, str(SCRIPT), str(root), str(version), str(count), str(seed)]
    done = subprocess.run(command, env=environment_with(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["refused"] + found.get("loaded", 0) == 3 * count
    tally.count("states", 3 * count)
    return found


def test_a_damaged_state_is_refused_or_it_is_the_one_that_was_saved(numbered_folder):
    found = fuzz(numbered_folder(26), 3, 340, seed=0)
    assert found.get("loaded", 0) < 60


def test_a_damaged_state_of_version_2_is_refused_or_gives_whole_passes(numbered_folder):
    """Without a digest, another number that is possible cannot be told from the one that was saved."""
    found = fuzz(numbered_folder(26), 2, 60, seed=1)
    assert found["refused"] > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_thousands_of_damaged_states(numbered_folder, seed):
    fuzz(numbered_folder(26), 3, 1000, seed)
    fuzz(numbered_folder(26), 2, 500, seed)
