"""python -m train.evaluate all: which evaluations it makes; what cannot work is refused before the first."""

import sys

import pytest

from tests.helpers.boxed_images import make_boxed
from tests.helpers.training import ALONE, quick
from train import evaluate as evaluation
from train.engine.loop import fit
from train.evaluation import accuracy
from train.evaluation.all import AllOptions, evaluate_all
from train.launch import start
from train.study.step import result

QUICK = {"device": "cpu", "steps": 2, "lambdas": 2, "noise_images": 8, "pictures": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_boxed(tmp_path_factory.mktemp("data") / "set", train=4, val=2)


@pytest.fixture(scope="module")
def bare(data, tmp_path_factory):
    """The same without boxes."""
    root = tmp_path_factory.mktemp("bare")
    for name in ("train", "val"):
        (root / name).symlink_to(data / name)
    return root


def trained_on(data, folder, **changes):
    fit(start(quick(data, folder, epochs=1, warmup_epochs=0, **changes), ALONE))
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return trained_on(data, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def without_maps(data, tmp_path_factory):
    return trained_on(data, tmp_path_factory.mktemp("other"), model="mobilenet_v3_small")


def made(folder):
    return {path.name.split(".")[1] for path in folder.glob("last.*.json")}


def test_it_makes_all(trained, tmp_path):
    evaluate_all(AllOptions(trained, output=tmp_path / "last", **QUICK), ALONE)
    assert made(tmp_path) == {"eval", "robustness", "uncertainty", "localization"}
    assert result(tmp_path, "localization").exists()


def test_without_boxes_or_maps_it_makes_the_others_and_says_so(trained, without_maps, bare, tmp_path, capsys):
    for checkpoint, given, why in (
        (trained, bare, f"no localization: {bare}/val has no boxes\n"),
        (without_maps, None, "no localization: MobileNetV3 has no class activation maps"),
    ):
        folder = tmp_path / checkpoint.name
        folder.mkdir()
        evaluate_all(AllOptions(checkpoint, data=given, output=folder / "last", **QUICK), ALONE)
        assert made(folder) == {"eval", "robustness", "uncertainty"}
        assert why in capsys.readouterr().out


@pytest.fixture
def call(monkeypatch):
    """Call the command where no evaluation may begin."""

    def begun(*_):
        raise AssertionError("an evaluation has begun")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["command", "all", *map(str, arguments)])
        monkeypatch.setattr(accuracy.EVALUATOR.__class__, "run", begun)
        evaluation.main()

    return call


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--ood", "x=/nowhere"), "/nowhere: no such folder; give a folder with images"),
        (("--noise-images", "0"), "give at least one set to compare with"),
        (("--boxes", "gone.csv"), "--boxes gone.csv: no such file or folder"),
        (("--data", "{bare}", "--only", "eval", "localization"), r"val: no boxes.csv in it or beside it; give --boxes"),
    ],
)
def test_what_an_evaluation_will_lack_is_told_before_the_first(call, trained, bare, changes, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        call(trained, "--device", "cpu", *(word.format(bare=bare) for word in changes))


def test_a_model_without_maps_is_told_before_the_first(call, without_maps):
    with pytest.raises(SystemExit, match="error: MobileNetV3 has no class activation maps"):
        call(without_maps, "--device", "cpu", "--only", "eval", "localization")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--noise-images", "-1"), "--noise-images -1 given; it must be at least 0"),
        (("--sigma", "2"), "--sigma 2 given; it must be above 0 and below 1"),
        (("--thresholds", "0"), "--thresholds 0 given; it must be at least 1"),
        (("--steps", "1"), "--steps 1 given; it must be at least 2"),
        (("--ood", "lsun"), "--ood lsun given; expected NAME=DIR"),
    ],
)
def test_wrong_options_are_told(call, changes, message, capsys):
    with pytest.raises(SystemExit) as done:
        call("any.pt", *changes)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
