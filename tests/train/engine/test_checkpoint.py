"""Checkpoints: nothing that was saved is lost, and files of unknown origin are refused."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dali_cutmix.utils.atomic_files import write_atomically
from tests.helpers.training import same
from train.engine.checkpoint import Checkpoint, find_checkpoint

CHECKPOINT = Checkpoint(
    config={"model": "resnet10", "milestones": (1.0, 2.5), "data": None},
    classes=["a", "b"],
    epoch=1,
    step=7,
    model={"weight": torch.arange(6.0).reshape(2, 3)},
    ema=None,
    optimizer={"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    ranks=[{"loader": {"version": 1, "pipeline": "c3RhdGU="}, "rng": {"cpu": torch.get_rng_state()}}],
    history=[{"epoch": 1, "val_top1": 50.0}],
)


def test_loads_what_was_saved(tmp_path):
    CHECKPOINT.save(tmp_path / "last.pt")
    assert same(vars(Checkpoint.load(tmp_path / "last.pt")), vars(CHECKPOINT))
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_loads_in_torch_without_running_code(tmp_path):
    CHECKPOINT.save(tmp_path / "last.pt")
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 7


def test_a_run_folder_means_its_last_checkpoint(tmp_path):
    CHECKPOINT.save(tmp_path / "last.pt")
    assert Checkpoint.load(tmp_path).step == 7
    assert find_checkpoint(tmp_path) == tmp_path / "last.pt"


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
def test_a_failure_while_saving_keeps_the_old_one(tmp_path, monkeypatch, step):
    CHECKPOINT.save(tmp_path / "last.pt")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Path if step == "replace" else os, step)), fail)
    with pytest.raises(OSError, match=r"No space left on device\); the previous one is intact.*last.pt"):
        replace(CHECKPOINT, step=8).save(tmp_path / "last.pt")
    monkeypatch.undo()
    assert Checkpoint.load(tmp_path).step == 7
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_a_folder_that_cannot_be_written_any_more_does_not_hide_the_error(tmp_path, monkeypatch):
    CHECKPOINT.save(tmp_path / "last.pt")

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    for step in ("replace", "unlink"):
        monkeypatch.setattr(Path, step, fail)
    with pytest.raises(OSError, match=r"saved \(Permission denied\); the previous one is intact: .*last.pt"):
        replace(CHECKPOINT, step=8).save(tmp_path / "last.pt")
    assert Checkpoint.load(tmp_path).step == 7


def test_a_first_save_that_fails_promises_nothing(tmp_path):
    with pytest.raises(OSError, match=r"could not be saved \(No such file or directory\): '"):
        write_atomically(tmp_path / "gone" / "last.pt", b"")


def test_leftovers_of_a_killed_save_do_no_harm(tmp_path):
    CHECKPOINT.save(tmp_path / "last.pt")
    left = tmp_path / ".0123abcd.last.pt.tmp"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert Checkpoint.load(tmp_path).step == 7
    replace(CHECKPOINT, step=8).save(tmp_path / "last.pt")
    assert Checkpoint.load(tmp_path).step == 8
    assert not left.exists()


def test_missing_ones_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.pt: no such checkpoint; give a run folder or"):
        Checkpoint.load(tmp_path / "gone.pt")
    with pytest.raises(FileNotFoundError, match="no last.pt in this folder; give a run folder or"):
        Checkpoint.load(tmp_path)


def cut_off(path: Path) -> None:
    CHECKPOINT.save(path)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "write",
    [
        cut_off,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no checkpoint"),
        lambda path: path.write_bytes(pickle.dumps(Path("code"))),
        lambda path: torch.save({"state_dict": {}}, path),
        lambda path: torch.save([1, 2], path),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, write):
    write(tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt: not a checkpoint.*give a .pt file that python -m train wrote"):
        Checkpoint.load(tmp_path / "x.pt")


def test_a_newer_version_is_refused(tmp_path):
    torch.save(vars(CHECKPOINT) | {"version": 2}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="of version 2, but this trainer reads version 1; use the version"):
        Checkpoint.load(tmp_path / "x.pt")


def test_an_older_one_that_does_not_say_where_its_weights_began_loads(tmp_path):
    content = {name: value for name, value in vars(CHECKPOINT).items() if name != "origin"}
    torch.save(content | {"version": 1}, tmp_path / "x.pt")
    assert Checkpoint.load(tmp_path / "x.pt").origin == "random weights"


@pytest.mark.parametrize("name", ["model", "history"])
def test_one_that_lacks_a_part_is_refused(tmp_path, name):
    content = {part: value for part, value in vars(CHECKPOINT).items() if part != name}
    torch.save(content | {"version": 1}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="use the version of dali_cutmix that wrote it"):
        Checkpoint.load(tmp_path / "x.pt")
