"""The trainings that a study plans: each method's own options, fine-tuning, several processes."""

import json
from dataclasses import replace

from tests.helpers.boxed_images import edit
from tests.helpers.fine_tuning import make_scenes
from tests.helpers.studies import TRAININGS
from train.cli import parse
from train.study import tables
from train.study.options import StudyOptions
from train.study.plan import make_plan
from train.study.results import Mean, collect_transfer
from train.study.step import result


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
