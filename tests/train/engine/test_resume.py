"""A run that was interrupted and continued ends as an uninterrupted one: the same weights, bit for bit."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.training import ALONE, assert_same_result, make_folder, quick, rows
from train.cli import parse
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.engine.run import Run
from train.launch import start
from train.tasks import classification


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of a run of 18 steps that nothing cut off."""
    folder = tmp_path_factory.mktemp("whole")
    fit(start(quick(data, folder, ema=0.9), ALONE))
    return folder


class Killed(BaseException):
    """Stands in for a process that is gone."""


def train_until(step: int, config, monkeypatch) -> None:
    """Train, and vanish after so many steps, before anything else happens."""
    run = start(config, ALONE)
    schedule = run.schedule

    def die_at(now):
        if now == step:
            raise Killed
        return schedule(now)

    run.schedule = die_at
    with pytest.raises(Killed):
        fit(run)


@pytest.mark.parametrize("step", [4, 6, 8, 11, 12, 17])
def test_cut_off_anywhere(data, whole, tmp_path, monkeypatch, step):
    """Steps 1 to 6 are the first epoch; every second one leaves a checkpoint, and so does each epoch's end."""
    config = quick(data, tmp_path, ema=0.9, checkpoint_every=2)
    train_until(step, config, monkeypatch)
    continued = start(replace(config, resume=tmp_path), ALONE)
    assert continued.step == step - step % 2
    fit(continued)
    assert_same_result(tmp_path / "last.pt", whole / "last.pt")
    assert_same_result(tmp_path / "best.pt", whole / "best.pt")
    assert rows(tmp_path) == rows(whole)


def test_cut_off_twice(data, whole, tmp_path, monkeypatch):
    config = quick(data, tmp_path, ema=0.9, checkpoint_every=1)
    train_until(5, config, monkeypatch)
    train_until(14, replace(config, resume=tmp_path), monkeypatch)
    fit(start(replace(config, resume=tmp_path / "last.pt"), ALONE))
    assert_same_result(tmp_path / "last.pt", whole / "last.pt")


def test_rows_after_the_checkpoint_are_dropped(data, whole, tmp_path, monkeypatch):
    """metrics.csv of a run that was cut off after it was written, and before it, both end with each epoch once."""
    config = quick(data, tmp_path, ema=0.9)
    train_until(13, config, monkeypatch)
    best = Checkpoint.load(tmp_path / "last.pt")
    assert len(rows(tmp_path)) == best.epoch == 2
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("3,0.1,1,1,1,1,1,1,1\n4,0.")
    fit(start(replace(config, resume=tmp_path), ALONE))
    assert rows(tmp_path) == rows(whole)


def test_between_the_two_checkpoints_of_an_epoch(data, whole, tmp_path, monkeypatch):
    save = Checkpoint.save

    def die_at_last(checkpoint, path):
        if checkpoint.epoch == 3 and path.name == "last.pt":
            raise Killed
        save(checkpoint, path)

    config = quick(data, tmp_path, ema=0.9)
    run = start(config, ALONE)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", die_at_last)
        with pytest.raises(Killed):
            fit(run)
    fit(start(replace(config, resume=tmp_path), ALONE))
    assert_same_result(tmp_path / "last.pt", whole / "last.pt")
    assert_same_result(tmp_path / "best.pt", whole / "best.pt")


def test_a_finished_run_has_nothing_left_to_do(data, whole):
    before = (whole / "last.pt").read_bytes()
    last = fit(start(quick(data, whole, ema=0.9, resume=whole), ALONE))
    assert last["epoch"] == 3
    assert (whole / "last.pt").read_bytes() == before


def test_a_run_continued_to_where_it_stands_validates_its_last_epoch(data, whole, tmp_path, monkeypatch):
    """Stopped after an epoch without validation, and not to go on: evaluated as it stands."""
    config = quick(data, tmp_path, ema=0.9, val_every=5, epochs=4, schedule="step", milestones=())
    train_until(18, config, monkeypatch)
    assert "val_top1" not in Checkpoint.load(tmp_path).history[-1]
    finished = replace(config, epochs=3, resume=tmp_path)
    run = start(finished, ALONE)
    last = fit(run)
    assert run.task.headline(last) == f"validation top-1 {last['val_top1']:.2f} %"
    saved = Checkpoint.load(tmp_path)
    assert saved.history[-1] == last
    assert (len(saved.history), saved.step) == (3, 18)
    assert last["val_top1"] == classification.evaluate(run.evaluated, run.task.val_loader, ALONE)["val_top1"]
    assert (tmp_path / "best.pt").exists()
    assert rows(tmp_path)[-1]["val_top1"] == str(last["val_top1"])
    before = (tmp_path / "last.pt").read_bytes()
    assert fit(start(finished, ALONE)) == last
    assert (tmp_path / "last.pt").read_bytes() == before


def test_an_end_before_where_it_stands_is_refused(data, whole, tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=r"last.pt is at step 18, but --epochs 2 ends the run after 12 steps; give more"
    ):
        start(quick(data, whole, ema=0.9, resume=whole, epochs=2), ALONE)
    config = quick(data, tmp_path, iterations=14, checkpoint_every=1)
    train_until(9, config, monkeypatch)
    message = "is at step 9 within an epoch, but --iterations 9 ends the run after 9 steps; give more"
    with pytest.raises(ValueError, match=message):
        start(replace(config, iterations=9, resume=tmp_path), ALONE)


def test_more_iterations_may_follow_but_not_epochs_in_their_place(data, tmp_path):
    config = quick(data, tmp_path, iterations=4, schedule="step", milestones=(2,), warmup_epochs=0)
    fit(start(config, ALONE))
    run = start(replace(config, iterations=10, resume=tmp_path), ALONE)
    assert fit(run)["epoch"] == 2
    assert run.step == 10
    with pytest.raises(ValueError, match=r"\(--iterations: 10 saved, 0 given\)"):
        start(replace(config, iterations=0, resume=tmp_path), ALONE)


def test_more_epochs_may_follow(data, tmp_path):
    """A step schedule does not depend on the number of epochs, so two and one more are three."""
    steady = {"schedule": "step", "milestones": (1, 2)}
    fit(start(quick(data, tmp_path / "a", **steady), ALONE))
    fit(start(quick(data, tmp_path / "b", epochs=2, **steady), ALONE))
    fit(start(quick(data, tmp_path / "b", resume=tmp_path / "b", **steady), ALONE))
    assert_same_result(tmp_path / "a" / "last.pt", tmp_path / "b" / "last.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 4}, "--batch-size: 8 saved, 4 given"),
        ({"lr": 0.2, "mix": "none"}, "--lr: 0.1 saved, 0.2 given; --mix: cutmix saved, none given"),
        ({"model": "resnet18"}, "--model: resnet10 saved, resnet18 given"),
        ({"ema": 0.0}, "--ema: 0.9 saved, 0.0 given"),
    ],
)
def test_other_settings_are_refused_with_both_values(data, whole, changes, message):
    with pytest.raises(
        ValueError, match=f"last.pt cannot be continued with other settings \\({message}\\); give those"
    ):
        start(quick(data, whole, resume=whole, **({"ema": 0.9} | changes)), ALONE)


def test_another_number_of_processes_is_refused(whole, data):
    pair = start(quick(data, whole, ema=0.9, resume=whole), ALONE)
    pair.ranks = replace(ALONE, world_size=2)
    with pytest.raises(ValueError, match="number of processes: 1 saved, 2 given"):
        pair.restore(whole)


def test_other_classes_are_refused(whole, data, tmp_path):
    for split in ("train", "val"):
        for ours, theirs in (("blue", "blue"), ("green", "green"), ("white", "red")):
            (tmp_path / split).mkdir(exist_ok=True)
            (tmp_path / split / ours).symlink_to(data / split / theirs)
    with pytest.raises(ValueError, match="class 2 is 'white', but in the model it is 'red'"):
        start(quick(tmp_path, whole, ema=0.9, resume=whole), ALONE)


def test_other_files_are_refused(whole, tmp_path):
    fewer = make_folder(tmp_path / "data", train=15)
    with pytest.raises(ValueError, match="48 saved, 45 here"):
        start(quick(fewer, whole, ema=0.9, resume=whole), ALONE)


def test_weights_that_do_not_fit_are_refused(whole, data, tmp_path):
    saved = Checkpoint.load(whole)
    del saved.model["fc.bias"]
    saved.save(tmp_path / "last.pt")
    with pytest.raises(ValueError, match=r"(?s)last.pt does not fit the model 'resnet10'.*fc.bias"):
        start(quick(data, tmp_path, ema=0.9, resume=tmp_path), ALONE)


def test_the_command_line_takes_options_from_the_checkpoint(whole):
    config = parse(["--resume", str(whole), "--epochs", "5"])
    assert (config.size, config.batch_size, config.ema, config.epochs) == (32, 8, 0.9, 5)
    assert (config.resume, config.output_dir) == (whole, whole)


def test_another_recipe_on_the_command_line_is_refused(whole):
    with pytest.raises(ValueError, match="trained with the recipe 'digits', but 'imagenet-resnet50' was given"):
        parse(["imagenet-resnet50", "--resume", str(whole)])


def test_random_numbers_continue(whole, data):
    run: Run = start(quick(data, whole, ema=0.9, resume=whole), ALONE)
    assert torch.equal(torch.get_rng_state(), Checkpoint.load(whole).ranks[0]["rng"]["cpu"])
    assert run.epoch == 3


def test_a_run_with_a_bad_file_ends_with_its_path_or_goes_on_without_it_and_resumes(data, tmp_path):
    """The list of bad files is in the run's folder, and what was replaced stays so after a resume."""
    spoiled = Path(shutil.copytree(data, tmp_path / "data"))
    bad = spoiled / "train" / "green" / "3.jpg"
    bad.write_text("this is no picture")
    with pytest.raises(dc.DecodeError, match=r"green/3\.jpg \(not an image"):
        fit(start(quick(spoiled, tmp_path / "raises", epochs=2), ALONE))
    replacing = {"on_error": "replace", "max_bad": 0.1, "schedule": "step", "milestones": (1, 2)}
    fit(start(quick(spoiled, tmp_path / "whole", epochs=2, **replacing), ALONE))
    fit(start(quick(spoiled, tmp_path / "run", epochs=1, **replacing), ALONE))
    recorded = (tmp_path / "run" / "bad_files.jsonl").read_text()
    assert str(bad) in recorded
    fit(start(quick(spoiled, tmp_path / "run", epochs=2, resume=tmp_path / "run", **replacing), ALONE))
    assert_same_result(tmp_path / "run" / "last.pt", tmp_path / "whole" / "last.pt")
    assert (tmp_path / "run" / "bad_files.jsonl").read_text() == recorded
    tally.count("resumes")
    tally.count("bad")
