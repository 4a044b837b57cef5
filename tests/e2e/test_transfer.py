"""Fine-tuning detectors and a captioner from a classifier's backbone: resumed bit for bit, evaluated, refused."""

import json
import re
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines import coco, voc
from tests.helpers import tally
from tests.helpers.fine_tuning import KINDS, make_scenes, quickly
from tests.helpers.training import ALONE, assert_same_result, command, make_folder, quick
from tests.helpers.voc_and_coco import write_voc
from train import __main__ as training
from train import evaluate as evaluation
from train.engine.checkpoint import Checkpoint
from train.engine.distributed import Ranks
from train.engine.loop import fit
from train.evaluation import captioning, detection
from train.launch import start
from train.reporting.figures import evenly_spaced
from train.tasks.captioning.metrics import caption_scores
from train.tasks.detection.data import val_loader
from train.tasks.detection.detections import Detections
from train.tasks.detection.task import detect, in_voc_pixels, objects_of
from train.tasks.detection.voc_metric import voc2007_ap


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A run folder."""
    root = tmp_path_factory.mktemp("classifier")
    fit(start(quick(make_folder(root / "data", train=8), root / "run", epochs=1, warmup_epochs=0, ema=0.9), ALONE))
    return root / "run"


@pytest.fixture(scope="module")
def trained(scenes, classifier, tmp_path_factory):
    """Of each recipe the folder of a run that nothing stopped, from the classifier's backbone."""
    folders = {}
    for name, kind in KINDS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        fit(start(quickly(name, scenes[kind], folders[name], backbone=classifier), ALONE))
    return folders


class KilledError(BaseException):
    """Stands in for a process that is gone."""


@pytest.mark.parametrize("name", KINDS)
def test_cut_off_and_continued_it_ends_with_the_same_weights(trained, scenes, classifier, tmp_path, monkeypatch, name):
    config = quickly(name, scenes[KINDS[name]], tmp_path, backbone=classifier, checkpoint_every=1)
    run = start(config, ALONE)
    schedule, last = run.schedule, run.total - 1

    def die(step):
        if step == last:
            raise KilledError
        return schedule(step)

    run.schedule = die
    with pytest.raises(KilledError):
        fit(run)
    again = start(replace(config, resume=tmp_path), ALONE)
    assert again.step == last
    fit(again)
    assert_same_result(tmp_path / "last.pt", trained[name] / "last.pt")
    tally.count("resumes")


@pytest.mark.parametrize("name", KINDS)
def test_the_backbone_is_the_classifiers_and_the_checkpoint_says_so(
    trained, scenes, classifier, tmp_path, capsys, name
):
    run = start(quickly(name, scenes[KINDS[name]], tmp_path, backbone=classifier), ALONE)
    weights = Checkpoint.load(classifier).ema
    body = (run.model if name == "coco-nic" else run.model.backbone).body
    ours = {key: tensor for key, tensor in body.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(ours) > 30
    assert all(torch.equal(tensor, weights[key]) for key, tensor in ours.items())
    said = capsys.readouterr().out
    assert "random: none; in the file and not used: fc (2)" in said
    origin = f"weights of {classifier}/last.pt (resnet10, cutmix, ema)"
    assert Checkpoint.load(trained[name]).origin == origin
    assert start(quickly(name, scenes[KINDS[name]], tmp_path / "b"), ALONE).task.origin == "random weights"


@pytest.mark.parametrize("name", KINDS)
def test_a_continued_run_keeps_what_its_first_weights_were(trained, scenes, classifier, name):
    config = quickly(name, scenes[KINDS[name]], trained[name], backbone=classifier, resume=trained[name])
    assert start(config, ALONE).task.origin.startswith(f"weights of {classifier}")


def test_a_detectors_metric_is_that_of_its_detections_in_pixels_of_the_files(trained, scenes):
    """Boxes of a detector that knows everything come back to the files' own pixels, whatever the resizing."""
    annotated = voc.read(scenes["voc"], "val")
    for name in ("voc-ssd300", "voc-faster-rcnn"):
        config = quickly(name, scenes["voc"], trained[name])

        class Oracle(torch.nn.Module):
            numbers = iter(range(len(annotated)))

            def forward(self, images):
                found = []
                for image in images:
                    number = next(self.numbers)
                    height, width = annotated.sizes[number]
                    scale = torch.tensor([image.shape[2] / width, image.shape[1] / height] * 2)
                    boxes = torch.from_numpy(annotated.boxes[number]) * scale
                    labels = torch.from_numpy(annotated.labels[number]) + 1
                    found.append({"boxes": boxes, "labels": labels, "scores": torch.ones(len(labels))})
                return found

        found = detect(Oracle(), val_loader(config, annotated, ALONE), annotated, ALONE)
        for one, boxes in zip(found, annotated.boxes, strict=True):
            np.testing.assert_allclose(one.boxes, boxes, atol=1e-3)
        assert voc2007_ap(*in_voc_pixels(found, annotated), annotated.classes).mean == pytest.approx(100)


def test_vocs_pixels_are_inclusive_and_no_box_ends_before_it_begins(scenes):
    annotated = voc.read(scenes["voc"], "val")
    nothing = [Detections(np.array([[3.0, 4, 3.5, 9]]), np.array([0]), np.array([0.5])) for _ in annotated.paths]
    found, true = in_voc_pixels(nothing, annotated)
    assert found[0].boxes.tolist() == [[3, 4, 3, 8]]
    assert true[0].boxes.tolist() == (objects_of(annotated)[0].boxes - [0, 0, 1, 1]).tolist()


def test_the_evaluation_is_the_trainings_own(trained, scenes):
    for name in ("voc-ssd300", "voc-faster-rcnn"):
        last = Checkpoint.load(trained[name]).history[-1]
        results = detection.evaluate(detection.DetectionOptions(trained[name], device="cpu", pictures=0), ALONE).results
        assert results["map07"] == pytest.approx(last["val_map07"], abs=1e-6)
        assert results["backbone"].startswith("weights of ")
        assert list(results["classes"]) == list(voc.read(scenes["voc"], "val").classes)
    last = Checkpoint.load(trained["coco-nic"]).history[-1]
    results = captioning.evaluate(
        captioning.CaptioningOptions(trained["coco-nic"], device="cpu", pictures=0), ALONE
    ).results
    assert results["bleu4"] == pytest.approx(last["val_bleu4"], abs=1e-6)
    written = dict(enumerate(results["captions"].values()))
    references = dict(enumerate(coco.read_captions(scenes["coco"], "val").sentences))
    assert results["cider"] == caption_scores(written, references, with_meteor=False).cider


@pytest.fixture
def call(monkeypatch):
    def call(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        return main()

    return call


@pytest.mark.parametrize(
    ("name", "checkpoint", "words"),
    [
        ("detection", "voc-ssd300", ["mAP07", "AP50", "seven"]),
        ("detection", "voc-faster-rcnn", ["mAP07", "AP50", "seven"]),
        ("captioning", "coco-nic", ["BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D"]),
    ],
)
def test_the_commands_print_a_table_and_write_json_and_a_picture(
    call, trained, tmp_path, capsys, name, checkpoint, words
):
    given = (trained[checkpoint], "--device", "cpu", "--pictures", 3, "--output", tmp_path / "found")
    call(evaluation.main, name, *given)
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)
    assert "backbone: weights of" in printed
    assert json.loads((tmp_path / "found.json").read_bytes())["images"] == 10
    with Image.open(tmp_path / "found.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.parametrize("name", ["voc-ssd300", pytest.param("voc-faster-rcnn", marks=pytest.mark.slow), "coco-nic"])
def test_two_processes_train_and_judge_together(scenes, trained, tmp_path, name):
    given = [f"--{key.replace('_', '-')}" for key in ("data", "output_dir")]
    small = {
        "voc-ssd300": ["--size", 64],
        "voc-faster-rcnn": ["--short-side", 64, "--long-side", 100, "--proposals", 20, 10, "--regions", 8],
        "coco-nic": ["--size", 48, "--resize", 50, "--hidden", 32, "--min-count", 1],
    }
    options = [name, "--embedded", given[0], scenes[KINDS[name]], given[1], tmp_path / "run", "--device", "cpu"]
    options += [*small[name], "--epochs", 1, "--warmup-epochs", 0, "--batch-size", 8]
    done = command("train", *options, processes=2)
    assert done.returncode == 0, done.stderr
    module = captioning if name == "coco-nic" else detection
    alone = module.evaluate(module.EVALUATOR.options(tmp_path / "run", device="cpu", pictures=0), ALONE).results
    history = Checkpoint.load(tmp_path / "run").history[-1]
    assert history["val_bleu4" if name == "coco-nic" else "val_map07"] == pytest.approx(
        alone["bleu4" if name == "coco-nic" else "map07"], abs=0.2
    )


def test_frozen_norm_needs_a_backbone(scenes, tmp_path):
    with pytest.raises(
        ValueError, match="--freeze-norm keeps the batch norm of --backbone, which is not given; give it"
    ):
        start(quickly("voc-faster-rcnn", scenes["voc"], tmp_path, freeze_norm=True), ALONE)


@pytest.mark.parametrize("name", KINDS)
def test_a_backbone_of_another_architecture_is_refused(scenes, classifier, tmp_path, name):
    with pytest.raises(
        ValueError, match=r"last.pt: conv1.weight has the shape \[16, 3, 3, 3\], in the model \[64, 3, 7"
    ):
        start(quickly(name, scenes[KINDS[name]], tmp_path, backbone=classifier, model="resnet18"), ALONE)


def test_a_bad_annotation_is_told_by_the_command_with_file_and_entry(call, tmp_path):
    year = write_voc(tmp_path / "VOC2007", "trainval", {"000005": [("dog", 1, 1, 70, 40, 0)]})
    write_voc(year, "test", {"000001": [("dog", 8, 9, 30, 31, 0)]})
    with pytest.raises(SystemExit, match=r"error: .*000005.xml.*'dog'.*extends past the image, which has 60×40"):
        call(training.main, "voc-ssd300", "--embedded", "--data", tmp_path, "--device", "cpu")


def test_evaluators_refuse_checkpoints_of_other_tasks(call, trained, classifier):
    for name, checkpoint, message in (
        ("detection", classifier, "is not a detector: it was trained by the recipe 'digits'"),
        ("detection", trained["coco-nic"], "is not a detector: it was trained by the recipe 'coco-nic'"),
        ("captioning", trained["voc-ssd300"], "is not a captioner: it was trained by the recipe 'voc-ssd300'"),
        ("robustness", trained["voc-ssd300"], "is not a classifier: it was trained by the recipe 'voc-ssd300'"),
        ("eval", trained["voc-ssd300"], "is not a classifier: it was trained by the recipe 'voc-ssd300'"),
        ("all", trained["voc-ssd300"], "is not a classifier: it was trained by the recipe 'voc-ssd300'"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            call(evaluation.main, name, checkpoint, "--device", "cpu")


def test_other_classes_are_refused(call, trained, tmp_path):
    year = write_voc(tmp_path / "VOC2007", "trainval", {"000005": [("dog", 1, 1, 60, 40, 0)]})
    write_voc(year, "test", {"000001": [("dog", 8, 9, 30, 31, 0)]})
    with pytest.raises(
        SystemExit, match=r"error: --data has the classes aeroplane, .*; give data with the classes that it was trained"
    ):
        call(evaluation.main, "detection", trained["voc-ssd300"], "--data", tmp_path, "--device", "cpu")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("voc-ssd300", "the classes are dog, cat, but those of the training data are eight, five, .*; give data that"),
        (
            "coco-nic",
            r"the training captions give a vocabulary of \d+ words, the checkpoint's has 2 or other words; give the",
        ),
    ],
)
def test_a_checkpoint_of_other_classes_is_no_continuation(scenes, tmp_path, name, message):
    task = start(quickly(name, scenes[KINDS[name]], tmp_path), ALONE).task
    task.check_classes(list(task.classes))
    with pytest.raises(ValueError, match=message):
        task.check_classes(["dog", "cat"])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("voc-ssd300", ["--pictures", -1], "--pictures -1 given; it must be at least 0"),
        ("voc-ssd300", ["--min-score", 1.5], "--min-score 1.5 given; it must be 0 to 1"),
        ("voc-ssd300", ["--min-score", "nan"], "--min-score nan given; it must be 0 to 1"),
        ("coco-nic", ["--pictures", -1], "--pictures -1 given; it must be at least 0"),
        ("coco-nic", ["--beam", 0], "--beam 0 given; it must be above 0"),
    ],
)
def test_wrong_options_of_an_evaluation_are_refused(call, trained, name, arguments, message):
    kind = "captioning" if name == "coco-nic" else "detection"
    with pytest.raises(SystemExit, match=f"error: {message}"):
        call(evaluation.main, kind, trained[name], "--device", "cpu", *arguments)


@pytest.mark.parametrize(
    ("name", "words"),
    [("detection", "VOCdevkit with VOC2007"), ("captioning", r"annotations/captions_\*\.json")],
)
def test_help_names_the_data_of_the_task(call, capsys, name, words):
    with pytest.raises(SystemExit):
        call(evaluation.main, name, "--help")
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert re.search(words, said)
    assert "one folder for each class" not in said


def test_a_validation_set_with_nothing_to_find_is_refused_before_training(tmp_path):
    year = write_voc(tmp_path / "VOC2007", "trainval", {"000005": [("dog", 1, 1, 60, 40, 0)]})
    write_voc(year, "test", {"000001": [("dog", 8, 9, 30, 31, 1)]})
    message = "no object to find: there are none, or all are difficult"
    with pytest.raises(ValueError, match=message):
        start(quickly("voc-ssd300", tmp_path, tmp_path / "run"), ALONE)


def test_a_picture_is_drawn_once_also_where_more_are_wanted(trained, monkeypatch):
    monkeypatch.setattr(captioning, "caption_scores", partial(caption_scores, with_meteor=False))
    for module, name in ((detection, "voc-ssd300"), (captioning, "coco-nic")):
        options = module.EVALUATOR.options(trained[name], device="cpu", pictures=25)
        assert len(module.evaluate(options, ALONE).pictures) == 10
        second = module.evaluate(replace(options, pictures=2), Second(1, 2, ALONE.device))
        assert (second.results, second.pictures) == ({}, [])


@pytest.mark.parametrize(
    ("count", "wanted", "numbers"),
    [(10, 3, [0, 3, 6]), (10, 10, [*range(10)]), (10, 25, [*range(10)]), (10, 0, []), (3, 2, [0, 1]), (1, 12, [0])],
)
def test_numbers_are_spread_evenly_and_none_comes_twice(count, wanted, numbers):
    assert evenly_spaced(count, wanted) == numbers


class Second(Ranks):
    """One of two processes, without the other."""

    shard = (0, 1)

    def gather(self, value):
        return [value]


def test_only_detectors_with_images_of_one_size_say_so(scenes, tmp_path):
    fixed = {
        name: start(quickly(name, scenes[KINDS[name]], tmp_path / name), ALONE).task.fixed_shapes for name in KINDS
    }
    assert fixed == {"voc-ssd300": True, "voc-faster-rcnn": False, "coco-nic": True}


def test_another_vocabulary_is_no_continuation(trained, scenes, classifier):
    config = quickly("coco-nic", scenes["coco"], trained["coco-nic"], backbone=classifier, min_count=50)
    with pytest.raises(ValueError, match=r"--min-count: 1 saved, 50 given"):
        start(replace(config, resume=trained["coco-nic"]), ALONE)


def test_iterations_end_a_run_within_an_epoch(scenes, tmp_path):
    """Three steps an epoch, five in all: the last epoch is cut short, judged and saved; milestones are steps."""
    config = quickly(
        "voc-ssd300", scenes["voc"], tmp_path, iterations=5, schedule="step", milestones=(2, 4), val_every=2
    )
    run = start(config, ALONE)
    steps = len(run.loader)
    assert steps < 5
    last = fit(run)
    assert run.step == 5
    assert [run.schedule(step) / config.lr for step in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert last["epoch"] == -(-5 // steps)
    assert "val_map07" not in run.history[0]
    assert "val_map07" in last
    finished = start(replace(config, resume=tmp_path), ALONE)
    before = (tmp_path / "last.pt").read_bytes()
    assert fit(finished)["epoch"] == last["epoch"]
    assert (tmp_path / "last.pt").read_bytes() == before
