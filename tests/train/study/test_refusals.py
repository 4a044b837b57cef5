"""What a study refuses before anything is trained."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.boxed_images import make_boxed
from tests.helpers.images import save
from train.study.jobs import lock_folder
from train.study.options import StudyOptions
from train.study.plan import check_or_save_options, make_plan


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    with (
        lock_folder(tmp_path),
        pytest.raises(ValueError, match="another study is running there"),
        lock_folder(tmp_path, 0.3),
    ):
        pass


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
