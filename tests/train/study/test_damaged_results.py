"""Files of a study that were damaged or edited by hand are refused, with the file's name and what is wrong."""

import json
import os
from types import SimpleNamespace

import pytest

from train.engine import Checkpoint
from train.study import report
from train.study.options import StudyOptions
from train.study.plan import check_or_save_options
from train.study.results import collect, collect_transfer
from train.study.step import result

ROWS = [{"parameter": size, "top1": 40.0} for size in (0, 1)]
SCORES = {"images": 4, "confidence": 60.0, "tnr95": 5.0, "auroc": 50.0, "accuracy": 55.0}
RESULTS = {
    "eval": {"top1": 50.0, "images": 4, "classes": 2, "weights": "model"},
    "robustness": {"curves": {"fgsm": ROWS, "centre": ROWS}, "between": "a rule", "pairs": "4"},
    "uncertainty": {"sets": {"in-distribution": {"images": 4, "confidence": 70.0}, "noise": SCORES}, "score": "a rule"},
    "localization": dict.fromkeys(("top1_loc", "gt_known_loc", "max_box_acc"), 30.0)
    | dict.fromkeys(("map", "rule", "max_box_acc_rule"), "a rule"),
}
DETECTED = {"map07": 40.0, "coco": {"mean": None}}


@pytest.fixture
def plan(tmp_path):
    """Two seeds of one method, evaluated."""
    trainings = [SimpleNamespace(method="none", seed=seed, folder=tmp_path / f"none-{seed}") for seed in (0, 1)]
    for one in trainings:
        one.folder.mkdir()
        (one.folder / "voc-ssd300").mkdir()
        for name, content in RESULTS.items():
            result(one.folder, name).write_text(json.dumps(content))
        result(one.folder / "voc-ssd300", "detection").write_text(json.dumps(DETECTED))
        history = [{"epoch": 1, "val_top1": 50.0}]
        Checkpoint({}, ["a", "b"], 1, 1, {}, None, {}, [], history).save(one.folder / "last.pt")
    options = StudyOptions(methods=("none",), transfer=("voc-ssd300",), output=tmp_path)
    return SimpleNamespace(
        trainings=trainings, random=[], evaluations=tuple(RESULTS), options=options, extra=("--epochs", "2")
    )


def read_all(plan):
    return collect(plan), collect_transfer(plan), report.rules(plan, "none")


def test_what_the_evaluations_wrote_is_read(plan):
    found, transferred, rules = read_all(plan)
    assert found["none"].top1_error.values == [50.0, 50.0]
    assert transferred["voc-ssd300"]["none"]["map07"].values == [40.0, 40.0]
    assert rules["uncertainty"] == "a rule"


def drop(*keys):
    def edit(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return edit


def put(value, *keys):
    def edit(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("evaluation", "edit", "wrong"),
    [
        ("eval", drop("top1"), "top1 is missing"),
        ("eval", put("50", "top1"), "top1 is not a finite number"),
        ("eval", put(float("inf"), "top1"), "top1 is not a finite number"),
        ("eval", put(10**400, "top1"), "top1 is not a finite number"),
        ("eval", put(True, "top1"), "top1 is not a finite number"),
        ("eval", put(None, "images"), "images is not a whole number"),
        ("eval", put(3, "weights"), "weights is not text"),
        ("robustness", drop("curves", "fgsm"), "curves.fgsm is missing"),
        ("robustness", put([], "curves", "fgsm"), "curves.fgsm is not a list with an entry"),
        ("robustness", put([7], "curves", "centre"), "curves.centre[0] is not an object"),
        ("robustness", drop("curves", "centre", 1, "top1"), "curves.centre[1].top1 is missing"),
        ("robustness", put([], "curves"), "curves is not an object"),
        ("robustness", put(9, "curves", "centre", 1, "parameter"), "other experiments or sets of images than in"),
        ("robustness", drop("curves", "centre", 1), "other experiments or sets of images than in"),
        ("robustness", put(1.0, "curves", "centre", 0, "either"), "other experiments or sets of images than in"),
        ("uncertainty", drop("sets", "noise"), "other experiments or sets of images than in"),
        ("uncertainty", drop("sets", "noise", "tnr95"), "sets.noise.tnr95 is missing"),
        ("uncertainty", put("x", "sets", "noise"), "sets.noise is not an object"),
        ("localization", drop("max_box_acc"), "max_box_acc is missing"),
        ("localization", put([1], "rule"), "rule is not text"),
        ("detection", drop("coco"), "coco is missing"),
        ("detection", put("high", "coco", "mean"), "coco.mean is not a finite number or null"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_result_that_was_edited(plan, evaluation, edit, wrong, seed):
    folder = plan.trainings[seed].folder
    path = result(folder / "voc-ssd300" if evaluation == "detection" else folder, evaluation)
    content = json.loads(json.dumps(DETECTED if evaluation == "detection" else RESULTS[evaluation]))
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="remove it and give the command again") as error:
        read_all(plan)
    assert wrong in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "7", "{", "[" * 100_000, "\xff", "9" * 5000])
def test_a_result_that_is_no_object(plan, content):
    path = result(plan.trainings[1].folder, "eval")
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=f"{path}: damaged or "):
        read_all(plan)


def test_a_result_that_is_no_file(plan):
    path = result(plan.trainings[1].folder, "eval")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="a FIFO"):
        read_all(plan)


def test_a_checkpoint_with_other_epochs(plan):
    folder = plan.trainings[1].folder
    Checkpoint({}, ["a", "b"], 1, 1, {}, None, {}, [], [{"epoch": 2, "val_top1": 1.0}]).save(folder / "last.pt")
    with pytest.raises(ValueError, match=f"{folder}: its checkpoint has other validated epochs than"):
        read_all(plan)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("[]", "study.json: damaged or edited"),
        ("{", "study.json: damaged or not JSON"),
        ("{}", r"\(.*--:  there, --epochs 2 given\)"),
    ],
)
def test_noted_options_that_were_edited(plan, content, wrong):
    (plan.options.folder / "study.json").write_text(content)
    with pytest.raises(ValueError, match=wrong):
        check_or_save_options(plan)
