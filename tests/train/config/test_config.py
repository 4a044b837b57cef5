"""Options: what recipes prescribe, what the command line changes, what is refused."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

import dali_cutmix as dc
from train.cli import parse
from train.config.classification import Config
from train.config.detection import DetectionConfig
from train.recipes import RECIPES, config_of, digits


def test_the_papers_recipe():
    config = RECIPES["imagenet-resnet50"]()
    assert (config.model, config.epochs, config.batch_size, config.lr) == ("resnet50", 300, 256, 0.1)
    assert (config.schedule, config.milestones) == ("step", (75, 150, 225))
    assert (config.momentum, config.weight_decay, config.label_smoothing) == (0.9, 1e-4, 0.0)
    assert config.policy() == dc.CutMix(alpha=1.0, probability=1.0)
    assert (config.size, config.val_resize, config.crop) == (224, 256, 224)


def test_the_short_recipe():
    config = RECIPES["imagenet-resnet50-fast"]()
    assert config.amp
    assert config.channels_last
    assert config.schedule == "cosine"
    assert (config.size, config.crop) == (176, 224)


def test_digits_are_neither_flipped_nor_cut_away():
    config = digits()
    assert config.flip == 0
    assert config.val_resize == config.crop
    assert config.policy() == dc.CutMix(alpha=1.0, probability=0.5)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_carry_their_names(name):
    assert RECIPES[name]().recipe == name


def test_no_arguments_mean_digits():
    assert parse([]) == digits()


def test_options_change_the_recipe():
    config = parse(["imagenet-resnet50", "--data", "/d", "--mix", "mixup", "--alpha", "0.2", "--no-amp"])
    expected = replace(RECIPES["imagenet-resnet50"](), data=Path("/d"), mix="mixup", alpha=0.2, amp=False)
    assert config == expected


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (["--mix", "cutmix", "--alpha", "0.5"], dc.CutMix(0.5, 0.5)),
        (["--mix", "mixup", "--mix-probability", "1"], dc.Mixup(1.0, 1.0)),
        (["--mix", "cutout", "--cutout-length", "0.25"], dc.Cutout(0.25, 0.5)),
        (["--mix", "none"], None),
    ],
)
def test_policies_by_name(options, policy):
    assert parse(options).policy() == policy


def test_an_unknown_recipe_is_refused():
    with pytest.raises(
        ValueError, match="unknown recipe 'imagenet'; choose one of digits, imagenet-resnet50, imagenet-res"
    ):
        parse(["imagenet"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 0.0}, "alpha=0.0 given"),
        ({"mix_probability": 1.5}, "probability=1.5 given"),
        ({"mix": "cutout", "cutout_length": 0.0}, "length=0.0 given"),
        ({"schedule": "linear"}, "--schedule 'linear' given; allowed are step and cosine"),
        ({"mix": "puzzle"}, "--mix 'puzzle' given; allowed are cutmix, mixup, cutout and none"),
        ({"batch_size": 0}, "--batch-size 0 given; it must be above 0"),
        ({"epochs": -1}, "--epochs -1 given; it must be above 0"),
        ({"lr": 0.0}, "--lr 0 given; it must be above 0"),
        ({"timeout": 0.0}, "--timeout 0 given; it must be above 0 and at most 604800, a week"),
        ({"timeout": math.inf}, "--timeout inf given; it must be above 0 and at most 604800, a week"),
        ({"log_every": 0}, "--log-every 0 given; it must be above 0"),
        ({"cpu_threads": 0}, "--cpu-threads 0 given; it must be above 0"),
        ({"weight_decay": -0.1}, "--weight-decay -0.1 given; it must be at least 0"),
        ({"seed": -1}, "--seed -1 given; it must be at least 0"),
        ({"ema": 1.0}, "--ema 1 given; it must be at least 0 and below 1"),
        ({"max_bad": 1.5}, "--max-bad 1.5 given; it must be 0 to 1, a fraction of the training images"),
        ({"last_layer_lr": 0.0}, "--last-layer-lr 0 given; it must be above 0"),
        ({"padding": -1}, "--padding -1 given; it must be at least 0"),
        ({"std": (1.0, 0.0, 1.0)}, "--std 1.0 0.0 1.0 given; .* above 0 in each channel"),
        ({"augment": "puzzle"}, "--augment 'puzzle' given; allowed are resized-crop, stretch-crop and pad-crop"),
        ({"momentum": 0.0}, "--momentum 0 given; it must be above 0 and below 1"),
        ({"momentum": -0.1, "nesterov": False}, "--momentum -0.1 given; it must be at least 0 and below 1"),
        ({"momentum": 1.0, "optimizer": "adam"}, "--momentum 1 given; it must be at least 0 and below 1"),
        ({"label_smoothing": 1.0}, "--label-smoothing 1 given; it must be at least 0 and below 1"),
        ({"val_resize": 40}, "--val-resize 40 is smaller than the validation crop of 48 pixels"),
        ({"val_size": 64}, "--val-resize 48 is smaller than the validation crop of 64 pixels"),
        ({"warmup_epochs": 30}, "--warmup-epochs 30 is more than --epochs 14"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(digits(), **changes)


@pytest.mark.parametrize("other", [{"nesterov": False}, {"optimizer": "adam"}])
def test_only_nesterov_needs_momentum(other):
    assert replace(digits(), momentum=0.0, **other).momentum == 0


def test_epochs_beside_iterations_are_refused():
    for arguments in (["voc-ssd300", "--epochs", "3"], ["digits", "--iterations", "7", "--epochs=3"]):
        with pytest.raises(
            ValueError, match=r"--epochs given, but the length of this run is set by --iterations \d+; change --iter"
        ):
            parse(arguments)
    assert parse(["voc-ssd300", "--iterations", "0", "--epochs", "3"]).epochs == 3


def test_steps_of_a_run():
    epochs, iterations = replace(digits(), epochs=3), replace(digits(), iterations=5)
    assert (epochs.steps(7), iterations.steps(7)) == (21, 5)
    assert [epochs.is_over(step=20, epoch=epoch) for epoch in (2, 3)] == [False, True]
    assert [iterations.is_over(step=step, epoch=0) for step in (4, 5)] == [False, True]


def test_it_survives_a_checkpoint():
    config = replace(digits(), data=Path("/d"), output_dir=Path("runs/a"))
    assert Config.from_dict(config.to_dict()) == config


def test_options_of_other_versions():
    """A checkpoint may lack options that came later, and have some that went."""
    fields = digits().to_dict() | {"gone": 1}
    del fields["compile"]
    assert Config.from_dict(fields) == digits()
    detector = RECIPES["voc-ssd300"]()
    assert DetectionConfig.from_dict(detector.to_dict() | {"last_layer_lr": 1.0}) == detector


def test_a_checkpoint_of_an_unknown_recipe_is_refused():
    with pytest.raises(
        ValueError, match="the checkpoint's recipe 'puzzle' is unknown; this version has digits, imagenet-resnet50"
    ):
        config_of(digits().to_dict() | {"recipe": "puzzle"})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("cifar100-pyramidnet200", ("pyramidnet200", 300, 64, 0.25, (150, 225), 1.0, "pad-crop", 32, 0.5)),
        ("cub200-resnet50", ("resnet50_wsol", 600, 32, 0.001, (150, 300, 450), 10.0, "stretch-crop", 224, 1.0)),
        ("cub200-vgg16gap", ("vgg16_gap", 600, 32, 0.0001, (150, 300, 450), 10.0, "stretch-crop", 224, 1.0)),
        ("imagenet-wsol-resnet50", ("resnet50_wsol", 20, 256, 0.01, (6, 12, 18), 10.0, "stretch-crop", 224, 1.0)),
        ("imagenet-wsol-vgg16gap", ("vgg16_gap", 20, 256, 0.01, (6, 12, 18), 10.0, "stretch-crop", 224, 1.0)),
    ],
)
def test_the_papers_other_recipes(name, values):
    config = RECIPES[name]()
    assert (config.model, config.epochs, config.batch_size, config.lr, config.milestones) == values[:5]
    assert (config.last_layer_lr, config.augment, config.size, config.mix_probability) == values[5:]
    assert (config.schedule, config.momentum, config.weight_decay) == ("step", 0.9, 1e-4)
    assert config.val_resize == (32 if config.size == 32 else 256)
