"""A whole study, killed twice and started again: what it trains, evaluates, collects and reports."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import tally
from tests.helpers.studies import options_of, plan_of
from tests.helpers.training import ALONE, assert_same_result, environment_with
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.evaluation.all import AllOptions, evaluate_all
from train.launch import start
from train.study import command, report, tables
from train.study.options import StudyOptions
from train.study.plan import check_or_save_options, make_plan
from train.study.results import Mean, collect
from train.study.step import result


def kill_at(moment: Path, arguments: list[str], number: int) -> bytes:
    """Start a study as a user does and send it a signal as soon as a file is there; what it said on standard error."""
    start = [sys.executable, "-m", "train", "study", *arguments]
    process = subprocess.Popen(start, env=environment_with(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not moment.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    tally.count("kills")
    return said


@pytest.fixture(scope="module")
def whole(data, other, tmp_path_factory):
    """The folder of a study that was killed in its first trainings and in its last ones, and started again."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = options_of(data, other, folder)
    for training in ("none-0", "cutmix-1"):
        kill_at(folder / training / "last.pt", arguments, signal.SIGKILL)
    assert command.main(arguments) == 0
    return folder


def test_killed_and_started_again_every_training_ends_as_one_that_was_not(whole, data, other, tmp_path):
    """The same trainings and evaluations, once more in this process, where nothing stops them."""
    for training in plan_of(data, other, whole).trainings:
        config = replace(training.config, output_dir=tmp_path / training.folder.name)
        fit(start(config, ALONE))
        assert_same_result(config.output_dir / "last.pt", training.folder / "last.pt")
    last = tmp_path / "cutmix-1" / "last.pt"
    options = AllOptions(last, device="cpu", steps=3, noise_images=20, ood=(f"lsun-crop={other}",))
    evaluate_all(options, ALONE)
    for evaluation in ("eval", "robustness", "uncertainty", "localization"):
        ours, theirs = (json.loads(result(root / "cutmix-1", evaluation).read_bytes()) for root in (whole, tmp_path))
        assert {**ours, "checkpoint": ""} == {**theirs, "checkpoint": ""}


@pytest.mark.slow
def test_sigterm_lets_trainings_save_and_says_how_to_go_on(data, other, tmp_path):
    arguments = options_of(data, other, tmp_path / "study", "cutmix", jobs=1)
    said = kill_at(tmp_path / "study/cutmix-0/last.pt", arguments, signal.SIGTERM)
    assert b"stopped; to go on: python -m train study digits" in said
    assert command.main(arguments) == 0


def test_all_methods_are_trained_from_the_same_seeds_and_evaluated(whole):
    results = json.loads((whole / "results.json").read_bytes())
    assert [(one["method"], one["seed"]) for one in results["trainings"]] == [
        ("none", 0),
        ("cutmix", 0),
        ("none", 1),
        ("cutmix", 1),
    ]
    for one in results["trainings"]:
        assert one["options"]["epochs"] == 2
        for evaluation in ("eval", "robustness", "uncertainty", "localization"):
            assert result(whole / one["folder"], evaluation).exists()
    assert list(results["methods"]) == ["none", "cutmix"]
    assert list(results["methods"]["none"]["detection"]) == ["in-distribution", "lsun-crop", "uniform", "gaussian"]
    assert results["left_out"] == {}


def test_means_and_deviations_are_those_of_the_evaluations(whole):
    results = json.loads((whole / "results.json").read_bytes())
    for method, found in results["methods"].items():
        evaluated = {
            name: [json.loads(result(whole / f"{method}-{seed}", name).read_bytes()) for seed in (0, 1)]
            for name in ("eval", "robustness", "uncertainty", "localization")
        }
        pairs = [
            (found["top1_error"], [100 - one["top1"] for one in evaluated["eval"]]),
            (found["localization"]["top1_loc"], [one["top1_loc"] for one in evaluated["localization"]]),
            (
                found["detection"]["lsun-crop"]["auroc"],
                [one["sets"]["lsun-crop"]["auroc"] for one in evaluated["uncertainty"]],
            ),
            (found["curves"]["fgsm"][1]["top1"], [one["curves"]["fgsm"][1]["top1"] for one in evaluated["robustness"]]),
        ]
        for mean, values in pairs:
            assert mean["values"] == values
            assert mean["mean"] == pytest.approx(np.mean(values))
            assert mean["std"] == pytest.approx(np.std(values, ddof=1))


class Page(HTMLParser):
    """Tags that are open at the end, sources of pictures, words."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("img", "meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_stands_alone_and_has_the_papers_numbers_beside(whole):
    page = Page()
    page.feed((whole / "report.html").read_text())
    assert page.open == []
    assert len(page.sources) == 1 + 2 + 2 * 2  # icon, two figures, histograms and boxes of two methods
    assert all(source.startswith("data:") for source in page.sources)
    for words in (
        "None, CutMix: recipe digits",
        "Localization (supplement, B)",
        "TNR at TPR 95 %",
        "47.6",
        "python -m train study digits",
        "8 neighbours",
    ):
        assert words in page.text
    assert "<script" not in (whole / "report.html").read_text()


def test_a_finished_study_has_nothing_left_to_do(whole, data, other, capsys):
    before = {path: path.stat().st_mtime_ns for path in whole.glob("*/last.*")}
    assert command.main(options_of(data, other, whole)) == 0
    assert {path: path.stat().st_mtime_ns for path in whole.glob("*/last.*")} == before
    assert "train:" not in capsys.readouterr().out


def test_another_study_in_the_folder_is_refused(whole, data, other, tmp_path):
    given = options_of(data, other, whole)
    given[given.index("--seeds") + 1] = "3"
    assert re.match(r"error: .* holds a study with other options \(--seeds: 2 there, 3 given\)", command.main(given))
    assert "--: --size 32" in command.main([*options_of(data, other, whole)[:-2], "--checkpoint-every", "2"])
    check_or_save_options(make_plan(StudyOptions(data=data, device="cpu", output=tmp_path / "new"), []))
    assert (tmp_path / "new" / "study.json").exists()


def test_collecting_reads_every_training(whole, data, other):
    found = collect(plan_of(data, other, whole))
    assert [len(found["none"].training), len(found["cutmix"].top1_error.values)] == [2, 2]


def test_learning_curves_are_of_the_checkpoints_and_of_validated_epochs(whole, data, other, tmp_path):
    """A run that was killed before it wrote metrics.csv, and --val-every."""
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    for folder in (copy / "none-0", copy / "none-1"):
        saved = Checkpoint.load(folder)
        rows = [{name: value for name, value in saved.history[0].items() if not name.startswith("val_")}]
        replace(saved, history=[*rows, *saved.history[1:]]).save(folder / "last.pt")
    (copy / "none-1" / "metrics.csv").write_text("epoch,val_top1\n")
    found = collect(plan_of(data, other, copy))
    tops = [Checkpoint.load(copy / name).history[1]["val_top1"] for name in ("none-0", "none-1")]
    assert found["none"].training == [{"parameter": 2, "top1": Mean.of(tops)}]
    assert [row["parameter"] for row in found["cutmix"].training] == [1, 2]


def test_what_failed_is_missing_in_the_report_which_is_written_all_the_same(whole, data, other, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    result(copy / "cutmix-1", "eval").unlink()
    (copy / "report.html").unlink()
    monkeypatch.setattr(command, "run", lambda *_: ["cutmix 1, evaluate failed"])
    said = command.main(options_of(data, other, copy))
    assert said.startswith("error: not everything could be done.\ncutmix 1, evaluate failed")
    page = Page()
    page.feed((copy / "report.html").read_text())
    assert "The study is incomplete. Missing: CutMix." in page.text
    assert list(json.loads((copy / "results.json").read_bytes())["methods"]) == ["none"]


def test_published_numbers_say_of_what_they_are(whole, data):
    page = Page()
    page.feed((whole / "report.html").read_text())
    assert "Paper: CIFAR-100, PyramidNet-200; not what was measured here." in page.text
    assert tables.table_of(tables.Column("x", {"none": Mean.of([1.0])}, {"none": 2.0}), recipe="coco-nic").measured_on

    def follows(*extra, **changes):
        options = replace(StudyOptions("cub200-resnet50", data, device="cpu", seeds=1), **changes)
        return report.follows_recipe(make_plan(options, extra))

    assert follows()
    assert follows("--init", "weights.pt", "--channels-last", "--val-every", "2")
    for other_than_the_recipes in (["--model", "resnet18"], ["--epochs", "3"], ["--mix-probability", "0.25"]):
        assert not follows(*other_than_the_recipes)
    assert not follows(data=None, boxes=None)


def test_the_report_has_the_commands_that_make_the_study_anew(whole, data, other):
    text = (whole / "report.html").read_text()
    assert text.count("--mix none") == text.count("--mix cutmix") == 2
    assert "--resume" not in text
    assert text.count("--only eval robustness uncertainty localization") == 4
    train, evaluate = plan_of(data, other, whole).trainings[0].steps
    assert "--resume" in train.to_start()
    assert evaluate.to_start()[-1] == "--only"


@pytest.mark.parametrize("device", ["cuda:1", "cuda", "auto"])
def test_the_machine_is_that_of_the_device_that_was_asked_for(whole, data, other, monkeypatch, device):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(report, "machine", lambda device: {"gpu": f"number {device}"})
    plan = plan_of(data, other, whole)
    plan = replace(plan, options=replace(plan.options, device=device))
    gpu = report.as_json(plan, collect(plan), {}, "")["machine"]["gpu"]
    assert gpu == ("number cuda:1" if device == "cuda:1" else "number cuda:0")
