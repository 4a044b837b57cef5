"""Ranks that differ, die, stop or hang: the others end soon, with one line that names them, and lose nothing."""

import os
import re
import shutil
import signal
import time
from dataclasses import replace

import pytest

from tests.helpers import tally
from tests.helpers.forked_ranks import ForkedRanks, wait_for
from tests.helpers.kills import Training
from tests.helpers.processes import are_gone
from tests.helpers.training import command, make_folder
from train.engine.checkpoint import Checkpoint

OPTIONS = ["--size", "32", "--val-resize", "32", "--batch-size", "4", "--device", "cpu", "--num-threads", "1"]
OPTIONS += ["--warmup-epochs", "0"]

OF_EACH_RANK = """
import os, sys
from train import __main__
sys.argv = [word.replace("RANK", os.environ["RANK"]) for word in sys.argv]
__main__.main()
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folders data0 and data1, in which one image has another name, and the program that starts each rank's."""
    root = tmp_path_factory.mktemp("lost")
    make_folder(root / "data0")
    shutil.copytree(root / "data0", root / "data1")
    (root / "data1" / "train" / "red" / "0.jpg").rename(root / "data1" / "train" / "red" / "00.jpg")
    (root / "of_each_rank.py").write_text(OF_EACH_RANK)
    (root / "evaluate_each_rank.py").write_text(OF_EACH_RANK.replace("__main__", "evaluate"))
    return root


@pytest.fixture(scope="module")
def ranks():
    """A program that starts two ranks by forks, without torchrun."""
    with ForkedRanks() as ranks:
        yield ranks


@pytest.fixture
def training(root, tmp_path):
    """A long training under torchrun that has saved its first checkpoint."""

    def start(*options):
        run = Training(tmp_path / "run", ["--data", str(root / "data0"), *OPTIONS, "--epochs", "400", *options], 2)
        started.append(run)
        run.wait_for_checkpoints(1)
        return run

    started = []
    yield start
    for run in started:
        run.__exit__()


def said(text):
    """Lines about the end of a run, without what torchrun writes."""
    return [line for line in text.splitlines() if re.match(r"error|stopped by SIGTERM|interrupted", line)]


def test_ranks_with_other_images_or_options_are_named_before_the_first_step(root, ranks, tmp_path):
    """As many images, so that nothing else would tell."""
    output = tmp_path / "output"
    ranks.start(output, "--data", root / "dataRANK", *OPTIONS, "--lr", "0.1RANK", "--output-dir", tmp_path / "run")
    assert ranks.finish() == [1, 1]
    (line,) = said(output.read_text())
    digest = "'[0-9a-f]{64}'"
    assert re.fullmatch(
        rf"error: rank 1 differs from rank 0 \(--lr: 0\.11 there, 0\.1 on rank 0; training files: {digest} there, "
        rf"{digest} on rank 0\)\. Give all ranks the same data, options and versions\.",
        line,
    )
    assert [*tmp_path.iterdir()] == [output]
    tally.count("bad")


@pytest.mark.slow
def test_a_rank_without_data_is_named_and_nobody_waits_for_it(root, tmp_path):
    (tmp_path / "on0").symlink_to(root / "data0")
    arguments = ["--data", tmp_path / "onRANK", *OPTIONS, "--output-dir", tmp_path / "run"]
    done = command(root / "of_each_rank.py", *arguments, processes=2)
    assert done.returncode == 1
    (line,) = said(done.stderr)
    assert line.startswith(f"error: rank 1: --data {tmp_path}/on1: ")
    assert not (tmp_path / "run").exists()
    tally.count("bad")


def test_the_death_of_a_rank_is_one_line_of_the_others(root, ranks, tmp_path):
    folder, output = tmp_path / "run", tmp_path / "output"
    _, second = ranks.start(output, "--data", root / "data0", *OPTIONS, "--epochs", 400, "--output-dir", folder)
    wait_for(folder / "last.pt")
    os.kill(second, signal.SIGKILL)
    assert ranks.finish() == [1, -signal.SIGKILL]
    text = output.read_text()
    (line,) = said(text)
    assert re.fullmatch(
        r"error: lost rank 1 \(gone or stopped, last seen [a-z ]+ step \d+\), [a-z ]+ step \d+; "
        rf"continue with: python -m train --resume {folder}",
        line,
    )
    assert "gloo" not in text
    assert Checkpoint.load(folder).step >= 12
    tally.count("kills")


def test_a_rank_that_stops_is_named_when_the_others_have_waited_for_the_timeout(root, ranks, tmp_path):
    folder, output = tmp_path / "run", tmp_path / "output"
    options = ["--data", root / "data0", *OPTIONS, "--epochs", 400, "--output-dir", folder, "--timeout", 1.5]
    first, second = ranks.start(output, *options)
    wait_for(folder / "last.pt")
    os.kill(second, signal.SIGSTOP)
    began = time.monotonic()
    assert are_gone([first], within=30)
    assert 1.5 < time.monotonic() - began < 13
    os.kill(second, signal.SIGKILL)
    assert ranks.finish() == [1, -signal.SIGKILL]
    (line,) = said(output.read_text())
    assert re.match(
        r"error: waited 1.5 s \(--timeout\) .* step \d+ for rank 1 \(gone or stopped, last seen .* \d+\);", line
    )
    assert line.endswith(f"; continue with: python -m train --resume {folder}")
    assert Checkpoint.load(folder).step >= 12
    tally.count("kills")


@pytest.mark.slow
def test_ranks_with_other_checkpoints_are_named_on_resume_and_in_evaluation(root, tmp_path):
    arguments = ["--data", root / "data0", *OPTIONS, "--epochs", 1, "--output-dir", tmp_path / "run0"]
    assert command("train", *arguments, processes=2).returncode == 0
    replace(Checkpoint.load(tmp_path / "run0"), origin="elsewhere").save(tmp_path / "run1.pt")
    (tmp_path / "run0.pt").write_bytes((tmp_path / "run0" / "last.pt").read_bytes())
    resumed = command(root / "of_each_rank.py", "--resume", tmp_path / "runRANK.pt", "--epochs", 2, processes=2)
    evaluate = (root / "evaluate_each_rank.py", tmp_path / "runRANK.pt", "--data", root / "dataRANK", "--device", "cpu")
    for done in resumed, command(*evaluate, processes=2):
        assert done.returncode == 1
        (line,) = said(done.stderr)
        assert line.startswith("error: rank 1 differs from rank 0 (checkpoint: '")
        tally.count("bad")


HANGING = """
import os, time
from train import __main__
from train.tasks import classification

loss, steps = classification.loss, []

def hang(*arguments):
    steps.append(1)
    if len(steps) == 20 and os.environ["RANK"] == "1":
        time.sleep(1000)
    return loss(*arguments)

classification.loss = hang
__main__.main()
"""


@pytest.mark.slow
def test_a_rank_that_lives_and_hangs_is_named_with_what_it_does(root, tmp_path):
    (tmp_path / "hanging.py").write_text(HANGING)
    options = ["--data", root / "data0", *OPTIONS, "--timeout", 3, "--output-dir", tmp_path / "run"]
    done = command(tmp_path / "hanging.py", *options, processes=2)
    assert done.returncode == 1
    (line,) = said(done.stderr)
    assert line == (
        "error: waited 3 s (--timeout) in the backward pass of step 20 for rank 1 (still in the forward pass of step "
        f"20); continue with: python -m train --resume {tmp_path / 'run'}"
    )
    assert Checkpoint.load(tmp_path / "run").step == 12
    tally.count("kills")


@pytest.mark.slow
def test_an_image_that_one_rank_cannot_decode_is_told_once_and_ends_all(root, tmp_path):
    shutil.copytree(root / "data0", tmp_path / "data")
    (tmp_path / "data" / "train" / "red" / "15.jpg").write_bytes(b"no image")
    options = ["--data", tmp_path / "data", *OPTIONS, "--output-dir", tmp_path / "run"]
    done = command("train", *options, processes=2)
    assert done.returncode == 1
    (line,) = said(done.stderr)
    assert re.match(r"error: rank [01]: .*15\.jpg", line)
    assert "gloo" not in done.stderr
    tally.count("bad")


@pytest.mark.slow
def test_sigterm_ends_a_rank_that_waits_for_one_that_stopped(training):
    run = training()
    first, second = run.ranks()
    os.kill(second, signal.SIGSTOP)
    time.sleep(1)
    os.kill(first, signal.SIGTERM)
    assert are_gone([first], within=15)
    os.kill(second, signal.SIGKILL)
    assert run.finish() == 1
    text = run.output.read_text()
    (line,) = said(text)
    assert re.match(r"stopped by SIGTERM .* step \d+, waiting for rank 1 \(gone or stopped, last seen .* \d+\);", line)
    assert line.endswith(f"; continue with: python -m train --resume {run.folder}")
    assert re.search(r"rank +: 0 .*\n +exitcode +: 143 ", text)
    assert Checkpoint.load(run.folder).step >= 12
    tally.count("kills")
