"""The training loop: each step against plain PyTorch, what a run leaves behind, and what it never waits for."""

import csv

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import dali_cutmix as dc
from tests.helpers.training import ALONE, make_folder, quick
from train.engine.loop import finite, fit
from train.engine.metrics_log import columns
from train.launch import start
from train.models import classifiers
from train.tasks import classification


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    run = start(quick(data, tmp_path_factory.mktemp("run"), ema=0.5, log_every=4), ALONE)
    fit(run)
    return run


def test_weights_equal_those_of_plain_pytorch(data, tmp_path):
    """The same batches through the textbook's loop, with torch's own optimizer and scheduler."""
    config = quick(data, tmp_path, epochs=2, warmup_epochs=0, label_smoothing=0.1, weight_decay=0.01)
    run = start(config, ALONE)
    fit(run)

    loader = classification.train_loader(config, ALONE)
    torch.manual_seed(config.seed)
    model = classifiers.build("resnet10", 3).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=0.01, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2 * len(loader))
    for _ in range(2):
        for images, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), targets, label_smoothing=0.1).backward()
            optimizer.step()
            scheduler.step()
    for mine, plain in zip(run.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)


def test_a_run_leaves_metrics_events_and_checkpoints(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert {"metrics.csv", "last.pt", "best.pt"} <= names
    with (finished.folder / "metrics.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert tuple(rows[0]) == columns(("val_loss", "val_top1", "val_top5"))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert 0 <= row["val_top1"] <= row["val_top5"] == 100  # three classes: the best three hold the right one
        assert 0 <= row["data_wait_share"] <= 1
        assert row["images_per_second"] > 0
        assert row["lr"] == pytest.approx(finished.schedule(int(row["epoch"]) * 6 - 1))
    best = torch.load(finished.folder / "best.pt", weights_only=True)
    tops = [row["val_top1"] for row in rows]
    assert best["epoch"] == 1 + tops.index(max(tops))


def test_an_epoch_of_one_step_has_a_speed(data, tmp_path):
    last = fit(start(quick(data, tmp_path, epochs=1, batch_size=48, warmup_epochs=0), ALONE))
    assert last["images_per_second"] > 48 / last["seconds"]


@pytest.mark.parametrize("fixed", [True, False])
def test_the_best_kernels_are_searched_for_where_shapes_stay(data, tmp_path, monkeypatch, fixed):
    monkeypatch.setattr(classification.Classification, "fixed_shapes", fixed, raising=False)
    with torch.backends.cudnn.flags(benchmark=not fixed):
        start(quick(data, tmp_path), ALONE)
        assert torch.backends.cudnn.benchmark == fixed


def test_tensorboard_has_the_same_numbers(finished):
    events = EventAccumulator(str(finished.folder)).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [4, 8, 12, 16]
    tops = [(event.step, event.value) for event in events.Scalars("epoch/val_top1")]
    assert tops == [(6 * row["epoch"], pytest.approx(row["val_top1"])) for row in finished.history]


def test_the_metrics_are_those_of_the_averaged_weights(finished):
    metrics = classification.evaluate(finished.ema.model, finished.task.val_loader, ALONE)
    assert metrics == {name: finished.history[-1][name] for name in metrics}


def test_it_learns_colours(data, tmp_path):
    run = start(quick(data, tmp_path, epochs=6, mix="none", lr=0.05), ALONE)
    assert fit(run)["val_top1"] == 100


def test_dense_targets_and_pairs_train_alike(data, tmp_path):
    losses = [
        fit(start(quick(data, tmp_path / targets, epochs=1, targets=targets), ALONE))["train_loss"]
        for targets in ("dense", "pairs")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_bfloat16_stays_near_float32(data, tmp_path):
    full, half = (
        fit(start(quick(data, tmp_path / str(amp), epochs=1, amp=amp, lr=0.01), ALONE)) for amp in (False, True)
    )
    assert half["train_loss"] != full["train_loss"]
    assert half["train_loss"] == pytest.approx(full["train_loss"], rel=0.05)


def test_compiled_and_not_compiled_train_alike(data, tmp_path, monkeypatch):
    """The switch compiles what the loop calls (the compiler itself is PyTorch's: an eager backend stands in)."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compile_(model, backend="eager"))
    plain, compiled = (
        fit(start(quick(data, tmp_path / str(switch), epochs=1, compile=switch), ALONE)) for switch in (False, True)
    )
    assert compiled["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-6)
    state = torch.load(tmp_path / "True" / "last.pt", weights_only=True)["model"]
    assert state.keys() == classifiers.build("resnet10", 3).state_dict().keys()


def test_steps_that_log_nothing_never_wait_for_the_device(data, tmp_path, monkeypatch):
    run = start(quick(data, tmp_path, epochs=1, log_every=1000, ema=0.9), ALONE)
    waits = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def spy(tensor, *arguments, _original=original, _name=name, **options):
            waits.append(_name)
            return _original(tensor, *arguments, **options)

        monkeypatch.setattr(torch.Tensor, name, spy)
    seen = []
    loss = classification.loss
    monkeypatch.setattr(classification, "loss", lambda *given: seen.append(len(waits)) or loss(*given))
    fit(run)
    assert len(seen) == 6
    assert len(set(seen)) == 1, waits


def test_a_loss_that_is_no_number_ends_the_run_with_the_last_checkpoint_intact(data, tmp_path):
    run = start(quick(data, tmp_path, epochs=1), ALONE)
    fit(run)
    before = (tmp_path / "last.pt").read_bytes()
    again = start(quick(data, tmp_path, epochs=2, resume=tmp_path), ALONE)
    with torch.no_grad():
        again.model.fc.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="the loss is nan after step 12; lower --lr or"):
        fit(again)
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_finite_refuses(loss):
    with pytest.raises(FloatingPointError):
        finite(loss, 3)
    assert finite(0.5, 3) == 0.5


def test_a_folder_that_holds_a_run_is_not_overwritten(finished, data):
    with pytest.raises(ValueError, match=r"--output-dir .* already holds a run; continue it with --resume"):
        start(quick(data, finished.folder), ALONE)


def test_data_without_a_split_is_refused(data, tmp_path):
    (tmp_path / "data" / "train").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="it has no folder val; give a folder with train and val"):
        start(quick(tmp_path / "data", tmp_path / "run"), ALONE)


def test_splits_with_other_classes_are_refused(data, tmp_path):
    mixed = tmp_path / "data"
    mixed.mkdir()
    (mixed / "train").symlink_to(data / "train")
    for theirs, ours in (("blue", "blue"), ("green", "grey"), ("red", "red")):
        (mixed / "val" / ours).mkdir(parents=True)
        (mixed / "val" / ours / "0.jpg").write_bytes((data / "val" / theirs / "0.jpg").read_bytes())
    with pytest.raises(ValueError, match="class 1 is 'grey', but in the model it is 'green'"):
        start(quick(mixed, tmp_path / "run"), ALONE)
    (mixed / "val" / "white").mkdir()
    (mixed / "val" / "white" / "0.jpg").write_bytes((data / "val" / "red" / "0.jpg").read_bytes())
    with pytest.raises(ValueError, match=r"val has 4 classes, the model 3; give data and a checkpoint that belong"):
        start(quick(mixed, tmp_path / "run"), ALONE)
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_data_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="batch_size=64"):
        start(quick(data, tmp_path, batch_size=64), ALONE)


def test_a_seed_repeats_the_run_and_another_does_not(data, tmp_path):
    losses = [
        fit(start(quick(data, tmp_path / str(i), epochs=1, seed=seed), ALONE))["train_loss"]
        for i, seed in enumerate((1, 1, 2))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_the_loss_is_the_librarys(data, tmp_path):
    logits, labels, lam = torch.randn(4, 3), torch.randint(3, (4, 2)), torch.rand(4)
    config = quick(data, tmp_path, targets="pairs", label_smoothing=0.1)
    expected = dc.pair_cross_entropy(logits, labels, lam, 0.1)
    assert torch.equal(classification.loss(config, logits, [labels, lam]), expected)
