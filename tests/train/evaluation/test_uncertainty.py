"""python -m train.evaluate uncertainty: scores, noise, data sets, and what it refuses."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dali_cutmix as dc
from tests.helpers.images import save
from tests.helpers.training import ALONE, command, load_model, make_folder, quick
from train import evaluate as evaluation
from train.engine.checkpoint import Checkpoint
from train.engine.distributed import Ranks
from train.engine.loop import fit
from train.evaluation.ood_scores import confidences, noise, ood_metrics
from train.evaluation.uncertainty import UncertaintyOptions, evaluate, list_ood_images
from train.launch import start


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), val=7)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(start(quick(data, folder, epochs=2, ema=0.9, lr=0.01), ALONE))
    return folder / "last.pt"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another data set: gray images of other sizes in folders of several depths."""
    root = tmp_path_factory.mktemp("other")
    rng = np.random.default_rng(1)
    for i in range(13):
        image = Image.fromarray(rng.integers(0, 256, (40 + i, 70 - i), np.uint8))
        save(image, root / ("deep/er" if i % 3 else "") / f"{i}.png")
    return root


def test_scores_are_the_largest_softmax_probability_in_float64():
    logits = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 30
    batches = [logits[:3], logits[:0], logits[3:]]
    expected = (logits.double() - torch.logsumexp(logits.double(), 1, keepdim=True)).exp().max(dim=1).values
    found = confidences(nn.Identity(), batches, ALONE)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_noise_is_what_the_definition_says(kind):
    batches = list(noise(kind, 70, 16, 32, ALONE, seed=3))
    assert [tuple(batch.shape) for batch in batches] == [(32, 3, 16, 16), (32, 3, 16, 16), (6, 3, 16, 16)]
    mean, std = (torch.tensor(levels).view(3, 1, 1) / 255 for levels in (dc.IMAGENET_MEAN, dc.IMAGENET_STD))
    pixels = torch.cat(batches) * std + mean
    assert pixels.min() > -1e-6
    assert pixels.max() < 1 + 1e-6
    at_the_border = ((pixels < 1e-6) | (pixels > 1 - 1e-6)).double().mean().item()
    if kind == "uniform":
        assert pixels.mean().item() == pytest.approx(0.5, abs=0.005)
        assert pixels.std().item() == pytest.approx(12**-0.5, abs=0.005)
        assert at_the_border < 1e-4
    else:  # P(|N(0, 1)| > 1/2)
        assert at_the_border == pytest.approx(0.6171, abs=0.01)


def test_noise_is_the_same_for_any_batch_size_and_number_of_processes():
    whole = list(noise("uniform", 70, 8, 16, ALONE))
    assert torch.equal(torch.cat(whole), torch.cat(list(noise("uniform", 70, 8, 9, ALONE))))
    for world_size in (2, 3):
        parts = [list(noise("uniform", 70, 8, 16, Ranks(r, world_size, ALONE.device))) for r in range(world_size)]
        together = [parts[number % world_size][number // world_size] for number in range(len(whole))]
        assert all(map(torch.equal, whole, together))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0], next(noise("uniform", 70, 8, 16, ALONE, seed=1)))


def options(trained, **changes):
    return UncertaintyOptions(trained, **{"device": "cpu", "noise_images": 40} | changes)


def test_results_are_those_of_plain_pytorch_and_the_metrics(trained, data, other):
    results, scores = evaluate(options(trained, data=data, ood=(f"other={other}",)), ALONE)
    assert list(results["sets"]) == ["in-distribution", "other", "uniform", "gaussian"]
    assert [found["images"] for found in results["sets"].values()] == [21, 13, 40, 40]
    model = load_model(Checkpoint.load(trained), trained, "ema")[0].eval()
    with torch.no_grad():
        images = torch.cat(list(noise("gaussian", 40, 32, 8, ALONE)))
        expected = model(images).double().softmax(1).amax(1).numpy()
    np.testing.assert_allclose(scores["gaussian"], expected, rtol=1e-4)
    for name in ("other", "uniform", "gaussian"):
        metrics = ood_metrics(scores["in-distribution"], scores[name])
        assert results["sets"][name]["auroc"] == metrics.auroc
        assert results["sets"][name]["tnr95"] == metrics.tnr95
        assert results["sets"][name]["accuracy"] == metrics.accuracy
    assert "auroc" not in results["sets"]["in-distribution"]


@pytest.fixture
def call(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["command", "uncertainty", *map(str, arguments)])
        evaluation.main()

    return call


def test_the_command_prints_a_table_and_writes_json_and_a_picture(call, trained, data, other, tmp_path, capsys):
    small = ("--noise-images", 20, "--device", "cpu", "--output", tmp_path / "found")
    call(trained, "--data", data, "--ood", f"other={other}", f"again={other}", *small)
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[1:6]] == [
        "in-distribution",
        "other",
        "again",
        "uniform",
        "gaussian",
    ]
    written = json.loads((tmp_path / "found.json").read_bytes())
    assert written["sets"]["other"]["auroc"] == written["sets"]["again"]["auroc"]
    with Image.open(tmp_path / "found.png") as picture:
        assert min(picture.size) > 200
    assert not (data / "found.json").exists()


def test_two_processes_find_what_one_does(trained, data, other, tmp_path):
    given = ("--data", data, "--ood", f"other={other}", "--noise-images", 20, "--device", "cpu")
    done = command("train.evaluate", "uncertainty", trained, *given, "--output", tmp_path / "two", processes=2)
    assert done.returncode == 0, done.stderr
    together = json.loads((tmp_path / "two.json").read_bytes())["sets"]
    alone, _ = evaluate(options(trained, data=data, ood=(f"other={other}",), noise_images=20), ALONE)
    for name, found in alone["sets"].items():
        assert together[name] == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--ood", "a=/nowhere"), "/nowhere: no such folder; give a folder with images"),
        (("--ood", "a={empty}"), "empty: no image in it"),
        (("--noise-images", "0"), "give at least one set to compare with"),
        (("--data", "{other}"), "deep: no image in this class folder|has . classes, the model 3"),
    ],
)
def test_what_is_refused(call, trained, data, other, tmp_path, changes, message):
    (tmp_path / "empty").mkdir(exist_ok=True)
    places = {"other": other, "empty": tmp_path / "empty"}
    with pytest.raises(SystemExit, match=f"error: .*({message})"):
        call(trained, "--data", data, "--device", "cpu", *(word.format(**places) for word in changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--ood", "lsun"), "--ood lsun given; expected NAME=DIR"),
        (("--ood", "uniform=x"), "another set has the name 'uniform'"),
        (("--ood", "a=x", "a=y"), "another set has the name 'a'"),
        (("--noise-images", "-1"), "--noise-images -1 given; it must be at least 0"),
    ],
)
def test_wrong_options_are_told(call, changes, message, capsys):
    with pytest.raises(SystemExit) as done:
        call("any.pt", *changes)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_set_smaller_than_the_number_of_processes_is_refused(trained, other):
    many = Ranks(rank=0, world_size=14, device=torch.device("cpu"))
    with pytest.raises(ValueError, match=f"{other}: 13 images for 14 processes; start fewer"):
        list_ood_images(options(trained, ood=(f"other={other}",)), many)
    assert len(list_ood_images(options(trained, ood=(f"other={other}",)), replace(many, world_size=13))["other"]) == 13


def test_another_architecture_or_other_classes_are_refused(call, trained, data, other, tmp_path):
    saved = Checkpoint.load(trained)
    saved.config["model"] = "resnet18"
    saved.save(tmp_path / "x.pt")
    with pytest.raises(SystemExit, match=r"(?s)error: .*x\.pt: its weights do not fit the model 'resnet18'"):
        call(tmp_path / "x.pt", "--data", data, "--device", "cpu")
    for name in ("blue", "green", "white"):
        save(Image.new("RGB", (40, 40)), tmp_path / "val" / name / "1.png")
    with pytest.raises(SystemExit, match="class 2 is 'white', but in the model it is 'red'"):
        call(trained, "--data", tmp_path / "val", "--device", "cpu")
