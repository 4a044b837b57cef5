"""python -m train.evaluate robustness: known values at the ends of each curve, several processes, refusals."""

import csv
import json
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.helpers.images import save
from tests.helpers.training import ALONE, command, make_folder, quick
from train import evaluate as evaluation
from train.engine.loop import fit
from train.evaluation import accuracy
from train.evaluation.accuracy import AccuracyOptions as Plain
from train.evaluation.robustness import Experiments, RobustnessOptions, count_correct, evaluate
from train.launch import start
from train.recipes import RECIPES, digits


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), val=7)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(start(quick(data, folder, epochs=3, ema=0.9, lr=0.02), ALONE))
    return folder / "last.pt"


@pytest.fixture(scope="module")
def results(trained, data):
    return evaluate(RobustnessOptions(trained, data=data, device="cpu", epsilons=(4, 64), steps=5, lambdas=5), ALONE)


def curve(results, name, of="top1"):
    return [row[of] for row in results["curves"][name]]


def test_the_ends_of_every_curve_are_the_plain_accuracy_or_that_of_a_blank_image(results, trained, data):
    plain = accuracy.evaluate(Plain(trained, data=data, device="cpu"), ALONE)["top1"]
    assert plain > 50
    assert curve(results, "fgsm")[0] == plain
    assert curve(results, "occlusion-centre")[0] == curve(results, "occlusion-boundary")[-1] == plain
    assert curve(results, "occlusion-centre")[-1] == curve(results, "occlusion-boundary")[0] == pytest.approx(100 / 3)
    for name in ("between-mixup", "between-cutmix"):
        assert curve(results, name)[0] == curve(results, name)[-1] == plain


def test_the_parameters_are_what_was_asked_for(results):
    names = {name: [row["parameter"] for row in rows] for name, rows in results["curves"].items()}
    assert names["fgsm"] == [0, 4, 64]
    assert names["occlusion-centre"] == names["occlusion-boundary"] == names["between-cutmix"] == [0, 8, 16, 24, 32]
    assert names["between-mixup"] == [0, 0.25, 0.5, 0.75, 1]


def test_the_papers_holes_are_the_defaults():
    parameters = Experiments(RobustnessOptions(None), RECIPES["imagenet-resnet50"]()).parameters
    assert parameters["occlusion-centre"] == list(range(0, 225, 16))
    assert parameters["fgsm"] == [0, 8]


def test_an_attack_costs_accuracy_and_either_label_is_easier(results):
    assert curve(results, "fgsm")[2] < curve(results, "fgsm")[0]
    for name in ("between-mixup", "between-cutmix"):
        assert all(e >= t for e, t in zip(curve(results, name, "either"), curve(results, name), strict=True))


@pytest.mark.parametrize(("share", "expected"), [(1.0, 2), (0.6, 2), (0.5, 3), (0.4, 1), (0.0, 1)])
def test_right_is_the_label_with_the_larger_share(share, expected):
    predicted, own, other = torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 0, 0]), torch.tensor([0, 0, 3, 0])
    assert [count.item() for count in count_correct(predicted, own, other, share)] == [expected, 3]


@pytest.mark.parametrize(("name", "parameter", "share"), [("between-cutmix", 16, 0.75), ("between-mixup", 0.3, 0.3)])
def test_the_share_is_that_of_the_pixels(name, parameter, share):
    assert Experiments(RobustnessOptions(None), replace(digits(), size=32)).label_weight(name, parameter) == share


def test_pairs_come_from_the_seed(trained, data):
    def found(seed):
        options = RobustnessOptions(trained, data=data, device="cpu", steps=3, lambdas=3, seed=seed)
        return evaluate(options, ALONE)["curves"]["between-cutmix"]

    assert found(0) == found(0)
    assert any(found(0) != found(seed) for seed in (1, 2, 3))


@pytest.mark.slow
def test_two_processes_find_what_one_does(trained, data, results, tmp_path):
    given = ("--epsilons", 4, 64, "--steps", 5, "--lambdas", 5, "--device", "cpu", "--output", tmp_path / "two")
    done = command("train.evaluate", "robustness", trained, "--data", data, *given, processes=2)
    assert done.returncode == 0, done.stderr
    together = json.loads((tmp_path / "two.json").read_bytes())
    assert together["images"] == results["images"] == 21
    for name, rows in results["curves"].items():
        assert together["curves"][name] == [pytest.approx(row, abs=1e-6) for row in rows]


@pytest.fixture
def call(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["command", "robustness", *map(str, arguments)])
        evaluation.main()

    return call


def test_the_command_prints_a_table_and_writes_json_csv_and_a_picture(call, trained, data, tmp_path, capsys):
    call(trained, "--data", data, "--steps", 3, "--lambdas", 3, "--device", "cpu", "--output", tmp_path / "found")
    printed = capsys.readouterr().out
    assert "the label with the larger share, either label where both have half" in printed
    assert "occlusion-boundary" in printed
    written = json.loads((tmp_path / "found.json").read_bytes())
    with (tmp_path / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(map(len, written["curves"].values())) == 2 + 4 * 3
    assert float(rows[0]["top1"]) == written["curves"]["fgsm"][0]["top1"]
    with Image.open(tmp_path / "found.png") as picture:
        assert min(picture.size) > 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--data", "/nowhere"), "/nowhere: no such folder"),
        (("--data", "{other}"), "class 2 is 'white', but in the model it is 'red'"),
    ],
)
def test_what_is_refused(call, trained, data, tmp_path, changes, message):
    for name in ("blue", "green", "white"):
        save(Image.new("RGB", (40, 40)), tmp_path / "other" / name / "1.png")
    given = [word.format(other=tmp_path / "other") for word in changes]
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        call(trained, "--data", data, "--device", "cpu", *given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--epsilons", "0"), "--epsilons (0.0,) given; each must be above 0 and at most 255"),
        (("--steps", "1"), "--steps 1 given; it must be at least 2"),
        (("--lambdas", "0"), "--lambdas 0 given; it must be at least 2"),
    ],
)
def test_wrong_options_are_told(call, changes, message, capsys):
    with pytest.raises(SystemExit) as done:
        call("any.pt", *changes)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
