"""The study: what it trains, evaluates and reports, killed and continued, on data that nobody prepared for it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.helpers import tally
from tests.helpers.box_fixtures import edit, make_boxed
from tests.helpers.images import save
from tests.helpers.train_fixtures import ALONE, assert_same_result, environment_with
from tests.helpers.transfer_fixtures import make_scenes
from train.cli import parse
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.evaluation.all import AllOptions, evaluate_all
from train.launch import start
from train.study import command, jobs, published, report, tables
from train.study.jobs import lock_folder
from train.study.options import StudyOptions
from train.study.plan import check_or_save_options, make_plan
from train.study.results import Mean, collect, collect_transfer
from train.study.step import Step, result

TRAININGS = ["--size", "32", "--val-resize", "32", "--epochs", "2", "--batch-size", "8", "--checkpoint-every", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Gray images of other sizes, in four classes, with boxes."""
    return make_boxed(tmp_path_factory.mktemp("data") / "set", train=6, val=4)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Colour images of other sizes, in folders of several depths."""
    root = tmp_path_factory.mktemp("other")
    rng = np.random.default_rng(1)
    for i in range(5):
        pixels = rng.integers(0, 256, (40 + i, 70 - i, 3), np.uint8)
        save(pixels, root / ("deep" if i % 2 else "") / f"{i}.png")
    return root


def options_of(data, other, output, *methods, jobs=2) -> list[str]:
    given = ["digits", "--data", data, "--ood", f"lsun-crop={other}", "--output", output, "--device", "cpu"]
    given += ["--methods", *(methods or ("none", "cutmix")), "--seeds", 2, "--steps", 3, "--noise-images", 20]
    given += ["--jobs", jobs]
    return [*map(str, given), "--", *TRAININGS]


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


def plan_of(data, other, folder):
    options = StudyOptions(data=data, ood=(f"lsun-crop={other}",), methods=("none", "cutmix"), seeds=2, steps=3)
    return make_plan(replace(options, noise_images=20, output=folder, device="cpu"), TRAININGS)


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


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(ValueError, match="another study is running there"),
        lock_folder(tmp_path, 0.3),
    ):
        pass


def test_a_training_that_fails_is_named(data, tmp_path):
    broken = make_boxed(tmp_path / "set", train=6, val=2)
    (broken / "train" / "pale" / "0.png").write_text("no image")
    given = ["digits", "--data", str(broken), "--output", str(tmp_path / "study"), "--device", "cpu", "--jobs", "1"]
    given += ["--methods", "none", "--seeds", "1", "--steps", "2", "--noise-images", "10"]
    said = command.main([*given, "--", *TRAININGS])
    assert "none 0, train failed (exit status 1):" in said
    assert "train/pale/0.png" in said
    assert f"To go on: python -m train study digits --data {broken}" in said


def test_without_boxes_there_is_no_localization(data, tmp_path):
    edit(data / "boxes.csv", "path", "path")  # it is there
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("train", "val"):
        (bare / name).symlink_to(data / name)
    plan = make_plan(StudyOptions(data=bare, device="cpu"), TRAININGS)
    assert plan.evaluations == ("eval", "robustness", "uncertainty")
    assert plan.left_out == {"localization": f"{bare}/val has no boxes"}
    plan = make_plan(StudyOptions(data=data, device="cpu"), [*TRAININGS, "--model", "mobilenet_v3_small"])
    assert "MobileNetV3 has no class activation maps" in plan.left_out["localization"]


def test_each_method_gets_its_own_and_what_stands_behind_the_dashes(data):
    plan = make_plan(StudyOptions(data=data, device="cpu", seeds=1), ["--epochs", "3", "--lr", "0.02"])
    assert [one.config.mix for one in plan.trainings] == ["none", "mixup", "cutout", "cutmix"]
    assert [one.config.mix_probability for one in plan.trainings] == [0.5, 1, 1, 0.5]
    assert {(one.config.epochs, one.config.lr) for one in plan.trainings} == {(3, 0.02)}
    plan = make_plan(StudyOptions(data=data, device="cpu", seeds=1), ["--mix-probability", "0.25"])
    assert {one.config.mix_probability for one in plan.trainings} == {0.25}


def test_several_processes_are_started_by_torchrun(data):
    plan = make_plan(StudyOptions(data=data, device="cpu", processes=2), TRAININGS)
    for step in plan.trainings[0].steps:
        assert "torch.distributed.run --standalone --nproc-per-node 2 -m train" in " ".join(step.command)


def plan_with_transfer(data, scenes, output):
    given = (f"coco-nic={scenes['coco']}", f"voc-ssd300={scenes['voc']}")
    options = StudyOptions(data=data, methods=("none", "cutmix"), seeds=2, output=output, device="cpu", jobs=1)
    options = replace(options, transfer=("voc-ssd300", "coco-nic"), transfer_data=given)
    return make_plan(options, [*TRAININGS, "--model", "resnet50"])


def test_every_classifier_is_fine_tuned_and_a_random_network_beside_them(data, tmp_path):
    scenes = make_scenes(tmp_path)
    plan = plan_with_transfer(data, scenes, tmp_path / "study")
    assert [(one.method, one.seed) for one in plan.random] == [("random", 0), ("random", 1)]
    names = ["train", "evaluate"]
    names += [f"{recipe}, {what}" for recipe in ("voc-ssd300", "coco-nic") for what in ("train", "evaluate")]
    for one in plan.trainings:
        assert [step.name for step in one.steps] == names
        command = " ".join(one.steps[2].command)
        assert f"train voc-ssd300 --data {scenes['voc']} --seed {one.seed}" in command
        assert f"--backbone {one.folder}/last.pt" in command
        assert "train.evaluate captioning" in " ".join(one.steps[5].command)
    for one in plan.random:
        assert [step.name for step in one.steps] == names[2:]
        assert "--backbone" not in " ".join(one.steps[0].command)
    plain = make_plan(StudyOptions(data=data, device="cpu", seeds=1, transfer=("voc-faster-rcnn",)), TRAININGS)
    assert "train voc-faster-rcnn --embedded" in " ".join(plain.trainings[0].steps[2].command)


def test_what_was_fine_tuned_is_collected_with_the_papers_numbers_beside(data, tmp_path):
    plan = plan_with_transfer(data, make_scenes(tmp_path), tmp_path / "study")
    for number, one in enumerate([*plan.trainings, *plan.random]):
        for recipe, content in (
            ("voc-ssd300", {"map07": 50.0 + number, "coco": {"mean": 20.0 + number}}),
            (
                "coco-nic",
                {"bleu1": 60.0, "bleu2": 50, "bleu3": 40, "bleu4": 30.0 + number}
                | {"meteor": None if one.method == "none" else 20.0}
                | {"rouge_l": 44.0, "cider": 120.0},
            ),
        ):
            path = result(one.folder / recipe, "detection" if recipe == "voc-ssd300" else "captioning")
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))
    found = collect_transfer(plan)
    assert found["voc-ssd300"]["cutmix"]["map07"] == Mean.of([51.0, 53.0])
    assert found["voc-ssd300"]["random"]["coco_ap"] == Mean.of([24.0, 25.0])
    assert "meteor" not in found["coco-nic"]["none"]  # where there was no Java
    assert found["coco-nic"]["cutmix"]["meteor"] == Mean.of([20.0, 20.0])
    made = tables.transfers(found)
    assert made["coco-nic"].columns == ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr")
    assert made["coco-nic"].measured_on == "COCO, NIC on ResNet-50 of ImageNet"
    result(plan.random[1].folder / "voc-ssd300", "detection").unlink()
    assert list(collect_transfer(plan)["voc-ssd300"]) == ["none", "cutmix"]
    assert list(made["voc-ssd300"].rows) == ["None", "CutMix", "random network"]
    assert [cell.published for cell in made["voc-ssd300"].rows["CutMix"]] == ["77.6", ""]
    assert [cell.is_best for (cell, _) in made["voc-ssd300"].rows.values()] == [False, False, True]
    assert made["coco-nic"].rows["None"][3].published == "22.9"


@pytest.mark.parametrize(
    ("changes", "extra", "message"),
    [
        ({"transfer": ("coco-nic", "coco-nic")}, [], "--transfer coco-nic coco-nic given; name each recipe once"),
        ({"transfer_data": ("coco-nic=x",)}, [], "--transfer-data coco-nic=x given; expected RECIPE=DIR, the recipe"),
        ({"transfer": ("coco-nic",), "transfer_data": ("coco-nic",)}, [], "--transfer-data coco-nic given; expected"),
        (
            {"transfer": ("coco-nic",), "transfer_data": ("coco-nic=/nowhere",)},
            ["--model", "resnet50"],
            "/nowhere",
        ),
        (
            {"transfer": ("coco-nic",), "transfer_data": ("coco-nic=/nowhere",)},
            [],
            "--transfer coco-nic needs classifiers of the network resnet50, but they are resnet10, whose",
        ),
        (
            {"recipe": "imagenet-resnet50", "transfer": ("voc-ssd300",)},
            [],
            "--transfer voc-ssd300 needs classifiers of the network resnet10, but they are resnet50, whose",
        ),
        ({"processes": 3}, [], "--batch-size 32 is for all processes together and cannot be divided equally among 3"),
        (
            {"processes": 3, "transfer": ("voc-ssd300",)},
            ["--batch-size", "9"],
            "--processes 3 given, among which the batch of --transfer voc-ssd300, 16 images, cannot be divided",
        ),
        ({"recipe": "voc-ssd300", "data": None}, [], "recipe 'voc-ssd300' given; a study compares classifiers"),
        ({"seeds": 0}, [], "--seeds 0 given; it must be at least 1"),
        ({"processes": 0}, [], "--processes 0 given; it must be at least 1"),
        ({"jobs": 0}, [], "--jobs 0 given; it must be at least 1"),
        ({"steps": 1}, [], "--steps 1 given; it must be at least 2"),
        ({"noise_images": 0}, [], "--noise-images 0 given; it must be at least 1"),
        ({"methods": ()}, [], "--methods  given; name each once, of none, mixup, cutout, cutmix"),
        ({"methods": ("none", "none")}, [], "--methods none none given; name each once"),
        ({"recipe": "puzzle"}, [], "unknown recipe 'puzzle'"),
        ({"ood": ("lsun",)}, [], "--ood lsun given; expected NAME=DIR"),
        ({"ood": ("lsun=/nowhere",)}, [], "/nowhere: no such folder"),
        ({"boxes": Path("gone.csv")}, [], "--boxes gone.csv: no such file"),
        ({"data": Path("/nowhere")}, [], "--data /nowhere: it has no folder train"),
        ({}, ["--seed", "3"], "--seed given after --; the study sets it itself"),
        ({}, ["--data=x"], "--data given after --; the study sets it itself"),
    ],
)
def test_what_is_refused_before_anything_is_trained(data, changes, extra, message):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        make_plan(replace(StudyOptions(data=data, device="cpu"), **changes), extra)


def test_a_wrong_option_of_the_trainings_is_told_as_the_trainer_does(data, capsys):
    with pytest.raises(SystemExit):
        make_plan(StudyOptions(data=data, device="cpu"), ["--lr", "0"])
    assert "--lr 0 given; it must be above 0" in capsys.readouterr().err


def test_a_box_outside_of_its_image_is_refused_before_anything_is_trained(tmp_path):
    data = make_boxed(tmp_path / "set", train=2, val=2)
    save(Image.new("L", (20, 20)), data / "val" / "pale" / "1.png")
    with pytest.raises(ValueError, match=r"val/pale/1.png: its box"):
        make_plan(StudyOptions(data=data, device="cpu"), [])


def test_another_study_in_the_folder_is_refused(whole, data, other, tmp_path):
    given = options_of(data, other, whole)
    given[given.index("--seeds") + 1] = "3"
    assert re.match(r"error: .* holds a study with other options \(--seeds: 2 there, 3 given\)", command.main(given))
    assert "--: --size 32" in command.main([*options_of(data, other, whole)[:-2], "--checkpoint-every", "2"])
    check_or_save_options(make_plan(StudyOptions(data=data, device="cpu", output=tmp_path / "new"), []))
    assert (tmp_path / "new" / "study.json").exists()


def test_the_same_study_goes_on_whatever_version_or_cache_it_was_noted_with(data, tmp_path, monkeypatch):
    options = StudyOptions(device="cpu", output=tmp_path)
    check_or_save_options(make_plan(options, []))
    noted = json.loads((tmp_path / "study.json").read_bytes())
    assert noted["--ood"] == "()"  # as it was given, whatever the folder of the embedded scenes is
    del noted["--transfer"], noted["--transfer-data"]
    (tmp_path / "study.json").write_text(json.dumps(noted))
    check_or_save_options(make_plan(options, []))
    with pytest.raises(ValueError, match=r"\(--transfer: \(\) there, \('voc-ssd300',\) given\)"):
        check_or_save_options(make_plan(replace(options, transfer=("voc-ssd300",)), []))


def test_a_mean_of_one_value_has_no_deviation():
    assert Mean.of([3.0]) == Mean(3.0, None, [3.0])
    assert str(Mean.of([3.0])) == "3.0"
    assert str(Mean.of([1.0, 3.0])) == "2.0 ± 1.4"


def test_the_best_of_a_column_is_marked_and_ties_are_all(data):
    column = tables.Column(
        "x", {"none": Mean.of([2.0]), "mixup": Mean.of([1.0]), "cutmix": Mean.of([1.01])}, {"none": 5.0}
    )
    for lowest, best in ((True, ["Mixup", "CutMix"]), (False, ["None"])):
        table = tables.table_of(replace(column, lowest_is_best=lowest))
        assert [name for name, (cell,) in table.rows.items() if cell.is_best] == best
    assert table.has_published
    assert [cell.published for (cell,) in table.rows.values()] == ["5.0", "", ""]


def test_published_numbers_are_the_papers():
    """Table A2's own differences to the baseline, and some that the text names."""
    differences = {
        ("tinyimagenet-crop", "mixup"): (-20.4, -17.3, -11.5),
        ("tinyimagenet-crop", "cutmix"): (14.1, 3.5, 3.7),
        ("tinyimagenet-resize", "cutout"): (-7.8, -1.4, 0.1),
        ("lsun-crop", "cutmix"): (13.0, 3.8, 3.3),
        ("lsun-resize", "mixup"): (-21.3, -27.4, -17.2),
        ("isun", "cutmix"): (28.1, 7.9, 7.9),
        ("uniform", "mixup"): (0, -88.4, -39.2),
        ("gaussian", "cutout"): (-10.4, -66.4, -39.9),
        ("gaussian", "cutmix"): (89.6, 9.0, 9.1),
    }
    for (name, method), expected in differences.items():
        ours = published.OUT_OF_DISTRIBUTION[name]
        assert np.subtract(ours[method], ours["none"]) == pytest.approx(expected, abs=1e-9)
    assert published.TOP1_LOC["cub200-resnet50"]["cutmix"] == 54.81
    assert published.TOP1_ERROR["cifar100-pyramidnet200"]["cutmix"] == 14.47


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


def test_a_started_study_goes_on_from_what_is_there(data, tmp_path):
    plan = make_plan(StudyOptions(data=data, device="cpu", output=tmp_path, methods=("none",), seeds=1), TRAININGS)
    train, evaluate = plan.trainings[0].steps
    assert train.to_start() == train.command
    assert evaluate.to_start() == evaluate.command
    (tmp_path / "none-0").mkdir()
    result(tmp_path / "none-0", "eval").touch()
    assert evaluate.to_start()[-4:] == ["--only", "robustness", "uncertainty", "localization"]
    (tmp_path / "none-0" / "last.pt").touch()
    assert train.to_start()[2:5] == ["train", "--resume", str(tmp_path / "none-0")]


def test_a_random_network_learns_all_of_itself(data, tmp_path):
    scenes = make_scenes(tmp_path)
    kinds = {"voc-ssd300": "voc", "voc-faster-rcnn": "voc", "coco-nic": "coco"}
    given = tuple(f"{recipe}={scenes[kind]}" for recipe, kind in kinds.items())
    options = StudyOptions(data=data, methods=("none",), seeds=1, output=tmp_path / "study", device="cpu")
    plan = make_plan(replace(options, transfer=tuple(kinds), transfer_data=given), ["--model", "resnet50"])

    def configs(steps):
        return [parse(step.command[3:]) for step in steps if step.name.endswith(", train")]

    ssd, faster, nic = configs(plan.random[0].steps)
    assert (ssd.backbone, faster.backbone, nic.backbone) == (None, None, None)
    assert (ssd.model, faster.model, nic.model) == ("resnet50",) * 3
    assert (faster.freeze_norm, nic.fine_tune) == (False, True)
    _, faster, nic = configs(plan.trainings[0].steps[2:])
    assert (faster.freeze_norm, nic.fine_tune) == (True, False)
    assert faster.backbone == nic.backbone == plan.trainings[0].folder / "last.pt"


@pytest.mark.parametrize("device", ["cuda:1", "cuda", "auto"])
def test_the_machine_is_that_of_the_device_that_was_asked_for(whole, data, other, monkeypatch, device):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(report, "machine", lambda device: {"gpu": f"number {device}"})
    plan = plan_of(data, other, whole)
    plan = replace(plan, options=replace(plan.options, device=device))
    gpu = report.as_json(plan, collect(plan), {}, "")["machine"]["gpu"]
    assert gpu == ("number cuda:1" if device == "cuda:1" else "number cuda:0")


def steps_of(folder, *scripts) -> SimpleNamespace:
    """A training of small programs, each of which is done when it has written its number."""
    steps = tuple(
        Step(f"{n}", [sys.executable, "-c", script], folder / "log.txt", (folder / f"{n}").exists)
        for n, script in enumerate(scripts)
    )
    return SimpleNamespace(method=folder.name, seed=0, folder=folder, steps=steps)


def test_a_step_that_cannot_be_started_lets_the_others_save_and_end(tmp_path):
    """The second one's folder is a file."""
    program = f"""
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path("{tmp_path}/saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
pathlib.Path("{tmp_path}/ready").touch()
time.sleep(60)
"""
    first = steps_of(tmp_path / "first", program)
    second = steps_of(tmp_path / "second", "pass")
    (tmp_path / "second").touch()
    original = jobs._start

    def start(training, *given):
        if training is second:
            while not (tmp_path / "ready").exists():
                time.sleep(0.01)
        return original(training, *given)

    with pytest.MonkeyPatch.context() as patch, lock_folder(tmp_path) as lock:
        patch.setattr(jobs, "_start", start)
        with pytest.raises(FileExistsError):
            jobs.run(SimpleNamespace(trainings=(first, second), random=(), jobs=2), lock)
    assert (tmp_path / "saved").exists()


def test_ctrl_c_at_a_terminal_is_for_the_study_which_lets_trainings_save(tmp_path):
    """A terminal sends SIGINT to all processes of the group."""
    training = f"""
import pathlib, signal, sys, time
def save(number, _):
    pathlib.Path("{tmp_path}/got").write_text(str(int(number)))
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, save)
pathlib.Path("{tmp_path}/ready").touch()
time.sleep(60)
"""
    study = f"""
import sys
from pathlib import Path
from types import SimpleNamespace
from train.study import jobs
from train.study.step import Step
root = Path({str(tmp_path)!r})
step = Step("train", [sys.executable, "-c", {training!r}], root / "log.txt", lambda: False)
one = SimpleNamespace(method="none", seed=0, folder=root, steps=(step,))
with jobs.lock_folder(root) as lock:
    jobs.run(SimpleNamespace(trainings=(one,), random=(), jobs=1), lock)
"""
    process = subprocess.Popen([sys.executable, "-c", study], env=environment_with(), start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    assert (tmp_path / "got").read_text() == str(int(signal.SIGTERM))
    tally.count("kills")
