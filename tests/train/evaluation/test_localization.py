"""python -m train.evaluate localization: its numbers from plain PyTorch, its files, and what it refuses."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import measure

from tests.helpers.boxed_images import edit, make_boxed, make_cub
from tests.helpers.images import save
from tests.helpers.training import ALONE, command, load_model, make_folder, quick
from train import evaluate as evaluation
from train.engine.checkpoint import Checkpoint
from train.engine.loop import fit
from train.evaluation.localization import LocalizationOptions, evaluate
from train.launch import start

SMALL = {"batch_size": 8, "epochs": 6, "warmup_epochs": 1, "lr": 0.05, "mix": "none", "ema": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_boxed(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(start(quick(data, folder, **SMALL), ALONE))
    return folder / "last.pt"


@pytest.fixture(scope="module")
def found(trained, data):
    return evaluate(LocalizationOptions(trained, data=data, device="cpu", pictures=5), ALONE)


def test_results_are_those_of_plain_pytorch(trained, data, found):
    """Everything once more, by other means: PIL's pixels, the model's parts, scikit-image's regions."""
    model = load_model(Checkpoint.load(trained), trained, "model")[0].eval()
    maps = {}
    model.layer4.register_forward_hook(lambda _, __, output: maps.update(last=output))
    with (data / "boxes.csv").open(newline="") as file:
        boxes = {row["path"]: [int(row[c]) for c in ("x1", "y1", "x2", "y2")] for row in csv.DictReader(file)}
    right, located, ious = [], [], []
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)))
    for path in sorted((data / "val").rglob("*.png")):
        label = sorted(p.name for p in (data / "val").iterdir()).index(path.parent.name)
        image = Image.open(path).convert("RGB")
        width, height = image.size
        scale = 32 / min(width, height)
        sides = [int(32 * side / min(width, height)) for side in (width, height)]
        corner = [round((side - 32) / 2) for side in sides]
        pixels = image.resize(sides, Image.Resampling.BILINEAR).crop((*corner, corner[0] + 32, corner[1] + 32))
        batch = ((torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() - mean) / std)[None]
        with torch.no_grad():
            right.append(model(batch).argmax().item() == label)
            cam = torch.nn.functional.interpolate(
                (model.fc.weight[label].view(1, -1, 1, 1) * maps["last"]).sum(1, keepdim=True),
                (32, 32),
                mode="bilinear",
            )[0, 0].numpy()
        regions = measure.regionprops(measure.label(cam > 0.15 * cam.max()))
        truth = np.zeros((32, 32), bool)
        x1, y1, x2, y2 = boxes[str(path.relative_to(data))]
        grid = (np.arange(32) + 0.5 + np.array(corner)[:, None]) / scale
        truth[np.ix_((grid[1] > y1) & (grid[1] < y2), (grid[0] > x1) & (grid[0] < x2))] = True
        box = np.zeros((32, 32), bool)
        if regions:
            largest = max(regions, key=lambda r: r.area)
            box[largest.slice] = True
        ious.append((box & truth).sum() / (box | truth).sum())
        located.append(ious[-1] > 0.5)
    assert found.results["images"] == len(right) == 20
    np.testing.assert_allclose([row["iou"] for row in found.rows], ious, atol=0.12)  # pixels against fractions
    assert found.results["top1"] == pytest.approx(100 * np.mean(right))
    sure = [abs(iou - 0.5) > 0.12 for iou in ious]
    assert [row["iou"] > 0.5 for row, s in zip(found.rows, sure, strict=True) if s] == [
        one for one, s in zip(located, sure, strict=True) if s
    ]


def test_the_numbers_belong_together(found):
    results, rows = found.results, found.rows
    right = np.array([row["class"] == row["predicted"] for row in rows])
    ious = np.array([row["iou"] for row in rows])
    assert results["top1"] == pytest.approx(100 * right.mean())
    assert results["top1_loc"] == pytest.approx(100 * (right & (ious > 0.5)).mean())
    assert results["gt_known_loc"] == pytest.approx(100 * (ious > 0.5).mean())
    assert results["max_box_acc"] == max(results["box_acc"].values())
    assert results["box_acc"][f"{results['best_threshold']:g}"] == results["max_box_acc"]
    assert len(results["box_acc"]) == 100


def test_pictures_show_images_from_all_over(found, data):
    assert len(found.pictures) == 5
    for picture in found.pictures:
        assert picture.image.shape == (32, 32, 3)
        assert picture.activations.shape == (32, 32)
        x1, y1, x2, y2 = picture.truth[0].round().astype(int)
        shown = picture.image.max(2) > 40
        assert shown[y1:y2, x1:x2].mean() > 0.8


def test_what_is_used_is_said(found):
    assert found.results["rule"].startswith("largest region, by pixels, over 0.15 of the map's maximum, 8 neighbours")
    assert "100 thresholds, IoU at least 0.5" in found.results["max_box_acc_rule"]


def test_the_threshold_matters(trained, data, found):
    other = evaluate(
        LocalizationOptions(trained, data=data, device="cpu", sigma=0.9, connectivity=4, pictures=0), ALONE
    )
    assert [row["iou"] for row in other.rows] != [row["iou"] for row in found.rows]
    assert (other.results["max_box_acc"], other.pictures) == (pytest.approx(found.results["max_box_acc"], abs=10), [])


@pytest.fixture
def call(monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["command", "localization", *map(str, arguments)])
        evaluation.main()

    return call


def test_the_command_prints_a_table_and_writes_json_csv_and_pictures(call, trained, data, tmp_path, capsys):
    call(trained, "--data", data / "val", "--device", "cpu", "--pictures", 3, "--output", tmp_path / "found")
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "found.json").read_bytes())
    assert f"Top-1 Loc     {written['top1_loc']:6.2f} %" in printed
    assert "GT-known Loc" in printed
    assert "a box: largest region" in printed
    with (tmp_path / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert rows[0]["image"].endswith("val/bright/0.png")
    with Image.open(tmp_path / "found.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.slow
def test_two_processes_find_what_one_does(trained, data, found, tmp_path):
    given = ("--data", data, "--device", "cpu", "--pictures", 4, "--output", tmp_path / "two")
    done = command("train.evaluate", "localization", trained, *given, processes=2)
    assert done.returncode == 0, done.stderr
    together = json.loads((tmp_path / "two.json").read_bytes())
    for name in ("images", "top1", "top1_loc", "gt_known_loc", "max_box_acc", "box_acc"):
        assert together[name] == pytest.approx(found.results[name], abs=1e-6)


def test_cub_trains_and_is_located_in_its_own_layout(tmp_path):
    """Stretched to a square, with the last layer ten times as fast, as the paper's recipe has it."""
    root = make_cub(tmp_path / "CUB_200_2011")
    config = quick(root, tmp_path / "run", **SMALL | {"epochs": 1, "warmup_epochs": 0})
    config = replace(config, augment="stretch-crop", val_resize=36, last_layer_lr=10.0)
    fit(start(config, ALONE))
    results = evaluate(LocalizationOptions(tmp_path / "run", device="cpu", pictures=2), ALONE).results
    assert results["images"] == 9
    assert results["data"] == f"{root} (val)"


@pytest.fixture(scope="module")
def other_model(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    fit(start(quick(data, folder, **SMALL | {"epochs": 1, "warmup_epochs": 0, "model": "mobilenet_v3_small"}), ALONE))
    return folder / "last.pt"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--boxes", "gone.csv"), "--boxes gone.csv: no such file or folder"),
        (("--data", "/nowhere"), "/nowhere: no such folder"),
        (("--data", "{colours}", "--boxes", "{colours}/boxes.csv"), "colours has 3 classes, the model 4"),
    ],
)
def test_what_is_refused(call, trained, data, tmp_path, changes, message):
    make_folder(tmp_path / "data", train=1, val=1)
    colours = (tmp_path / "data" / "val").rename(tmp_path / "colours")
    rows = [f"{path.relative_to(colours)},0,0,9,9" for path in colours.rglob("*.jpg")]
    (colours / "boxes.csv").write_text("\n".join(["path,x1,y1,x2,y2", *rows]))
    given = [word.format(colours=colours) for word in changes]
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        call(trained, "--data", data, "--device", "cpu", *given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--sigma", "1"), "--sigma 1 given; it must be above 0 and below 1"),
        (("--thresholds", "0"), "--thresholds 0 given; it must be at least 1"),
        (("--pictures", "-1"), "--pictures -1 given; it must be at least 0"),
        (("--batch-size", "0"), "--batch-size 0 given; it must be above 0"),
        (("--num-threads", "0"), "--num-threads 0 given; it must be above 0"),
    ],
)
def test_wrong_options_are_told(call, changes, message, capsys):
    with pytest.raises(SystemExit) as done:
        call("any.pt", *changes)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_boxes_that_miss_an_image_or_reach_out_of_it_are_named(call, trained, tmp_path):
    data = make_boxed(tmp_path / "set")
    edit(data / "boxes.csv", "val/pale/3.png", "train/pale/3.png")
    with pytest.raises(SystemExit, match=r"error: .*val/pale/3.png: no box for this image in .*boxes.csv"):
        call(trained, "--data", data, "--device", "cpu")
    data = make_boxed(tmp_path / "again")
    save(Image.new("L", (20, 20)), data / "val" / "pale" / "3.png")
    with pytest.raises(
        SystemExit, match=r"pale/3.png: its box, 15, 24, 57, 52, extends past the image, which has 20×20 pixels"
    ):
        call(trained, "--data", data, "--device", "cpu")


def test_a_model_without_maps_is_refused(call, other_model, data):
    with pytest.raises(SystemExit, match="error: MobileNetV3 has no class activation maps"):
        call(other_model, "--data", data, "--device", "cpu")
