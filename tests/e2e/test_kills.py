"""``kill -9`` at any moment: a run that is started again until it is done leaves what an undisturbed one leaves."""

import random
import signal
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers import tally
from tests.helpers.kills import Training
from tests.helpers.training import ALONE, TIMINGS, assert_same_result, command, make_folder, rows
from train.cli import parse
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.launch import start


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"))


def options(data: Path, *more: object) -> list[str]:
    """A run of twenty epochs with twelve steps each and a checkpoint every five steps."""
    size = ("--size", 32, "--val-resize", 32, "--batch-size", 4, "--epochs", 20, "--warmup-epochs", 1, "--ema", 0.9)
    often = ("--checkpoint-every", 5, "--log-every", 1, "--device", "cpu", "--num-threads", 1)
    return [str(word) for word in ("--data", data, *size, *often, *more)]


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All that TensorBoard shows of a run, timings apart."""
    shown = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    names = [name for name in shown.Tags()["scalars"] if name.rpartition("/")[2] not in TIMINGS]
    return {name: [(event.step, event.value) for event in shown.Scalars(name)] for name in names}


def survive(folder: Path, whole: Path, options: list[str], moments: list[str], seed: int, ranks=()) -> None:
    """Kill a run once at each of the moments, let it end, and compare what it left with ``whole``."""
    rng = random.Random(seed)
    for number, moment in enumerate(moments):
        with Training(folder, options, processes=len(ranks)) as training:
            training.kill(moment, rng, ranks[number % len(ranks)] if ranks else None)
            assert (moment == "saving") <= training.is_saving()
        if (folder / "last.pt").exists():
            assert rows(folder) == rows(whole)[: len(rows(folder))]
            assert Checkpoint.load(folder).epoch >= len(rows(folder))
        tally.count("kills")
    with Training(folder, options, processes=len(ranks)) as training:
        assert training.finish() == 0, training.output.read_text()
    assert_same_result(folder / "last.pt", whole / "last.pt")
    assert_same_result(folder / "best.pt", whole / "best.pt")
    assert rows(folder) == rows(whole)
    assert events(folder) == events(whole)
    tally.count("resumes", len(moments))


def test_killed_at_three_moments(data, tmp_path):
    fit(start(parse(options(data, "--output-dir", tmp_path / "whole")), ALONE))
    moments = ["first step", "saving", "turn"]
    survive(tmp_path / "run", tmp_path / "whole", options(data), moments, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "mix"), [(0, "cutmix"), (1, "mixup"), (2, "cutout"), (3, "none")])
def test_killed_at_eight_moments(data, tmp_path, seed, mix):
    chosen = options(data, "--mix", mix, *(["--targets", "pairs"] if seed % 2 else []), "--seed", seed)
    fit(start(parse([*chosen, "--output-dir", str(tmp_path / "whole")]), ALONE))
    moments = ["step", "step", "saving", "saving", "turn", "turn"]
    random.Random(seed).shuffle(moments)
    survive(tmp_path / "run", tmp_path / "whole", chosen, ["set-up", "first step", *moments], seed)


@pytest.mark.slow
def test_torchrun_gets_sigterm_and_then_one_of_two_processes_is_killed(data, tmp_path):
    """torchrun passes the signal on, and when one of its processes is gone it ends the other."""
    done = command("train", *options(data), "--output-dir", tmp_path / "whole", processes=2)
    assert done.returncode == 0, done.stderr
    with Training(tmp_path / "run", options(data), processes=2) as training:
        training.wait_for_checkpoints(2)
        training.process.send_signal(signal.SIGTERM)
        assert training.finish() == 1
        assert training.output.read_text().count("stopped by SIGTERM after step ") == 1
    survive(tmp_path / "run", tmp_path / "whole", options(data), ["step", "saving", "turn", "step"], 9, ranks=(1, 0))
