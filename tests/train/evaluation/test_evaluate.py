"""The evaluator, against scikit-learn; and the numbers of one process against those of several."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, top_k_accuracy_score

from tests.helpers.training import ALONE, command, load_model, make_folder, quick
from train.engine.checkpoint import Checkpoint
from train.engine.distributed import Ranks
from train.engine.loop import fit
from train.evaluation.accuracy import AccuracyOptions, evaluate, table
from train.launch import start
from train.models import classifiers
from train.tasks import classification
from train.tasks.loader_arguments import batch_size_per_process


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), val=7)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(start(quick(data, folder, epochs=1, ema=0.9, lr=0.01), ALONE))
    return folder / "last.pt"


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("sizes", [[8, 8, 3], [1], [5, 0, 6, 0]])
def test_metrics_equal_scikit_learns(classes, sizes):
    rng = np.random.default_rng(0)
    drawn = [(rng.normal(size=(n, classes)), rng.integers(classes, size=n)) for n in sizes]
    batches = [(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)) for logits, labels in drawn]
    metrics = classification.evaluate(torch.nn.Identity(), batches, ALONE)
    logits, labels = (torch.cat(part).numpy() for part in zip(*batches, strict=True))
    names = range(classes)
    probabilities = torch.softmax(torch.from_numpy(logits).double(), 1).numpy()
    assert metrics["val_loss"] == pytest.approx(log_loss(labels, probabilities, labels=names), rel=1e-6)
    for k, name in ((1, "val_top1"), (5, "val_top5")):
        expected = 1.0 if k >= classes else top_k_accuracy_score(labels, logits, k=k, labels=names)
        assert metrics[name] == pytest.approx(100 * expected, rel=1e-12)


def test_results_equal_those_of_plain_pytorch(trained, data):
    checkpoint = torch.load(trained, weights_only=True)
    model = classifiers.build("resnet10", 3).eval()
    model.load_state_dict(checkpoint["ema"])
    images, labels = zip(*classification.val_loader(quick(data, trained.parent), ALONE), strict=True)
    with torch.no_grad():
        logits, labels = model(torch.cat(images)), torch.cat(labels)
    results = evaluate(AccuracyOptions(trained, data=data, device="cpu"), ALONE)
    assert results["images"] == len(labels) == 21
    assert results["loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-4)
    assert results["top1"] == pytest.approx(100 * (logits.argmax(1) == labels).double().mean().item())
    assert (results["weights"], results["epoch"], results["classes"], results["top5"]) == ("ema", 1, 3, 100)


def test_they_are_the_trainings_own(trained):
    """Without --data it is what the training measured after its last epoch."""
    last = Checkpoint.load(trained).history[-1]
    results = evaluate(AccuracyOptions(trained, device="cpu"), ALONE)
    assert (results["loss"], results["top1"]) == (last["val_loss"], last["val_top1"])


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_the_batch_size_does_not_matter(trained, batch_size):
    one, other = (evaluate(AccuracyOptions(trained, batch_size=n), ALONE) for n in (8, batch_size))
    assert one["loss"] == pytest.approx(other["loss"], abs=1e-6)
    assert one["top1"] == other["top1"]


def test_data_may_be_the_folder_of_classes_itself(trained, data):
    inner, outer = (evaluate(AccuracyOptions(trained, data=folder), ALONE) for folder in (data / "val", data))
    assert inner == outer


def test_weights_can_be_chosen(trained):
    ema, model = (evaluate(AccuracyOptions(trained, weights=name), ALONE) for name in ("ema", "model"))
    assert ema["loss"] != model["loss"]
    assert model["weights"] == "model"


def test_averaged_weights_that_are_not_there(trained):
    checkpoint = replace(Checkpoint.load(trained), ema=None)
    assert load_model(checkpoint, trained, "auto")[1] == "model"
    with pytest.raises(ValueError, match=r"has no averaged weights .*; give --weights model"):
        load_model(checkpoint, trained, "ema")


def test_weights_of_another_architecture_are_named(trained):
    checkpoint = Checkpoint.load(trained)
    other = replace(checkpoint, config=checkpoint.config | {"model": "resnet18"})
    with pytest.raises(ValueError, match=r"last.pt: its weights do not fit the model 'resnet18'"):
        load_model(other, trained, "auto")


def test_other_classes_are_refused(trained, data, tmp_path):
    for name in ("blue", "green"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.jpg").write_bytes((data / "val" / name / "0.jpg").read_bytes())
    with pytest.raises(ValueError, match=r"has 2 classes, the model 3"):
        evaluate(AccuracyOptions(trained, data=tmp_path), ALONE)


def test_the_table_shows_percentages(trained):
    lines = table(evaluate(AccuracyOptions(trained), ALONE)).splitlines()
    assert any(line.split() == ["top5", "100.00", "%"] for line in lines)


def test_a_share_of_the_batch_must_be_whole():
    pair = Ranks(rank=1, world_size=2, device=torch.device("cpu"))
    assert batch_size_per_process(8, pair) == 4
    with pytest.raises(ValueError, match="--batch-size 7 .* cannot be divided equally among 2; give a multiple of 2"):
        batch_size_per_process(7, pair)


def test_the_command_prints_a_table_and_writes_json(trained, data, tmp_path):
    done = command("train.evaluate", trained, "--data", data, "--output", tmp_path / "new" / "out")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "new" / "out.json").read_text())
    assert f"top1        {results['top1']:.2f} %" in done.stdout
    assert f"loss        {results['loss']:.4f}" in done.stdout


def test_where_nothing_can_be_written_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "file").touch()
    done = command("train.evaluate", tmp_path / "gone.pt", "--output", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert f"{tmp_path / 'file'}" in done.stderr
