"""Data in every supported layout: what training and the evaluators make of --data."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.helpers.boxed_images import make_boxed, make_cub
from tests.helpers.cifar_archives import make_data, pack, write_folder
from tests.helpers.training import ALONE, make_folder, quick
from train.config.classification import Config
from train.data.splits import listed, open_evaluation_split, open_split, reordered
from train.engine.loop import fit
from train.evaluation import accuracy, robustness, uncertainty
from train.launch import start
from train.recipes import RECIPES
from train.tasks import classification


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), train=4, val=5)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar")
    return pack(write_folder(root, "cifar-100-python", make_data("cifar-100-python", per_file=24)))


def small(name: str, data: Path, folder: Path, **changes: object) -> Config:
    """A recipe with a small model, for one epoch of a few images."""
    quickly = {"model": "resnet10", "epochs": 1, "batch_size": 8, "device": "cpu", "num_threads": 1, "cpu_threads": 1}
    return replace(RECIPES[name](), data=data, output_dir=folder, **quickly | changes)


def seen(split, config):
    images, labels = zip(*classification.val_loader(config, ALONE, split), strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: data / "val"])
def test_an_evaluator_takes_the_whole_data_set_or_the_folder_of_classes(colours, wrap):
    assert open_evaluation_split(wrap(colours), None).name == str(colours / "val")


def test_without_data_it_is_what_was_trained_on(colours):
    assert open_evaluation_split(None, colours).name == str(colours / "val")


@pytest.mark.parametrize("split", ["train", "val"])
def test_training_needs_both_parts(tmp_path, split):
    (tmp_path / split).mkdir()
    with pytest.raises(FileNotFoundError, match=r"it has no folder (train|val); .*CUB_200_2011, or an archive"):
        open_split(tmp_path, "train")


def test_cifar_trains_and_is_evaluated_from_its_archive(archive, tmp_path):
    fit(start(small("cifar100-pyramidnet200", archive, tmp_path / "run"), ALONE))
    results = accuracy.evaluate(accuracy.AccuracyOptions(tmp_path / "run", device="cpu"), ALONE)
    assert (results["images"], results["classes"], results["data"]) == (24, 100, f"{archive} (val)")
    found = robustness.evaluate(robustness.RobustnessOptions(tmp_path / "run", device="cpu", steps=3, lambdas=3), ALONE)
    top1 = pytest.approx(results["top1"])
    ends = [found["curves"]["between-mixup"][2], found["curves"]["between-cutmix"][0], found["curves"]["fgsm"][0]]
    assert [row["top1"] for row in ends] == [top1] * 3
    options = uncertainty.UncertaintyOptions(tmp_path / "run", data=archive, noise_images=16, device="cpu")
    sets = uncertainty.evaluate(options, ALONE)[0]["sets"]
    assert [one["images"] for one in sets.values()] == [24, 16, 16]


def test_noise_and_attacks_use_the_datas_own_normalization(archive, tmp_path):
    """A uniform image of noise, normalized, is in the range that 0 and 255 have."""
    config = small("cifar100-pyramidnet200", archive, tmp_path)
    images, _ = seen(open_split(archive, "val"), config)
    mean, std = (torch.tensor(levels).view(3, 1, 1) for levels in (config.mean, config.std))
    pixels = images * std + mean
    assert (pixels - pixels.round()).abs().max() < 1e-3
    experiments = robustness.Experiments(robustness.RobustnessOptions(None), config)
    attacked = experiments.images("fgsm", 255, images, images, torch.ones_like(images)) * std + mean
    torch.testing.assert_close(attacked, torch.full_like(attacked, 255), rtol=0, atol=1e-3)


def test_cub_trains_in_its_own_layout(tmp_path):
    root = make_cub(tmp_path / "CUB_200_2011")
    run = start(small("cub200-resnet50", root, tmp_path / "run", size=32, val_resize=40), ALONE)
    assert run.loader.classes == ("001.Bright_bird", "002.Middle_bird", "004.Pale_bird")
    images, _ = next(iter(run.task.val_loader))
    assert images.shape[2:] == (32, 32)
    fit(run)
    assert [group["lr_scale"] for group in run.optimizer.param_groups] == [1, 10]


def test_an_order_is_kept_by_files_and_by_records(colours, archive):
    for split, config in (
        (open_split(colours, "val"), quick(colours, colours)),
        (open_split(archive, "val"), small("cifar100-pyramidnet200", archive, colours)),
    ):
        images, labels = seen(split, config)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        other_images, other_labels = seen(reordered(split, order.tolist()), config)
        assert torch.equal(other_labels, labels[order])
        assert torch.equal(other_images, images[order])


@pytest.mark.parametrize("order", [[0, 1], [0] * 15, list(range(1, 16))])
def test_an_order_that_is_none_is_refused(colours, order):
    with pytest.raises(ValueError, match=r"an order of \d+ numbers given; expected a permutation of 15 samples"):
        seen(reordered(open_split(colours, "val"), order), quick(colours, colours))


def test_a_bad_file_in_another_order_is_named(colours, tmp_path):
    paths = sorted((colours / "val").rglob("*.jpg"))
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    split = reordered(listed("x", [(path, 0) for path in [*paths, bad]]), [*range(1, 16), 0])
    with pytest.raises(RuntimeError, match=r"bad.jpg"):
        seen(split, quick(colours, colours))


def test_gray_images_of_other_sizes_and_classes_are_data_like_any_other(tmp_path):
    """Every command but localization, which its own tests have on these, once more on them."""
    data = make_boxed(tmp_path / "set", train=4, val=4)
    fit(start(quick(data, tmp_path / "run", epochs=1, warmup_epochs=0, batch_size=8), ALONE))
    evaluate = partial(replace, device="cpu")
    assert accuracy.evaluate(evaluate(accuracy.AccuracyOptions(tmp_path / "run")), ALONE)["images"] == 16
    found = robustness.evaluate(evaluate(robustness.RobustnessOptions(tmp_path / "run", steps=2, lambdas=2)), ALONE)
    assert found["images"] == 16
    given = uncertainty.UncertaintyOptions(tmp_path / "run", ood=(f"train={data / 'train'}",), noise_images=8)
    assert uncertainty.evaluate(evaluate(given), ALONE)[0]["sets"]["train"]["images"] == 16
