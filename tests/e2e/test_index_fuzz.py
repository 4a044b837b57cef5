"""Damaged indexes, manifests, lists and headers: a data set opens and reads, or an error names its file."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT, tally
from tests.helpers.index_damage import damaged_sets
from tests.helpers.training import environment_with

SCRIPT = ROOT / "tests" / "helpers" / "index_fuzz_run.py"
PATIENCE = 20  # seconds for each data set
MEMORY = 1.5 * 2**30
CLEAN = {"OSError", "ValueError", "DecodeError"}


def results(tmp_path, cases):
    """What came of each data set, read in a process of its own; the one that ends the process is named."""
    listing, log = tmp_path / "cases.json", tmp_path / "errors"
    listing.write_text(json.dumps(cases))
    command = [sys.executable, str(SCRIPT), str(listing), str(PATIENCE)]
    environment = environment_with(XDG_CACHE_HOME=str(tmp_path / "cache"))
    with log.open("w") as errors:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, timeout=1200, check=False
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    reading = next((line["case"] for line in lines[-1:] if "case" in line), None)
    what = next((case.what for case in cases if case.folder == reading), "")
    assert done.returncode == 0, f"status {done.returncode}, by {reading} ({what}):\n{log.read_text()[-2000:]}"
    return [line for line in lines if "case" not in line]


def fault(found):
    """What is wrong with the outcome of one data set; None if nothing is."""
    if found["memory"] > MEMORY:
        return f"{found['memory'] / 2**20:.0f} MiB of memory"
    if "error" not in found:
        return None
    if not CLEAN & set(found["error"]):
        return f"{found['error'][0]}: {found['message'][:300]}"
    return None if found["folder"] in found["message"] else f"its error names no file: {found['message'][:300]}"


def check(tmp_path, seed, number):
    cases = list(damaged_sets(tmp_path, seed, number))
    found = results(tmp_path, cases)
    assert len(found) == number
    wrong = [f"{one['folder']}, {one['what']}: {what}" for one in found if (what := fault(one))]
    assert not wrong, f"seed {seed}, {len(wrong)} of {number}:\n" + "\n".join(wrong[:20])
    assert 0 < sum("error" in one for one in found) < number
    tally.count("bad", number)


def test_a_data_set_with_a_damaged_index_reads_or_is_refused_by_name(tmp_path):
    check(tmp_path, 0, 64)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_damaged_indexes(tmp_path, seed):
    check(tmp_path, seed, 1000)
