"""What the commands train and evaluate print, and that wrong input is refused before work starts."""

import sys

import pytest

from bench.__main__ import main as bench
from pipelines import ood
from tests.helpers.closed_output import without_reader
from tests.helpers.training import ALONE, make_folder, quick
from train import __main__ as training
from train import evaluate as evaluation
from train.engine import fit
from train.evaluation.evaluator import Evaluator, EvaluatorOptions, Report
from train.launch import start
from train.tasks.initial_weights import LoadedWeights, report_initial_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("data"), train=4)


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Call a command as the shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        return main()

    return call


def test_training_prints_its_top1_and_where_things_are(call, data, tmp_path, capsys):
    small = ("--size", 32, "--val-resize", 32, "--batch-size", 4, "--device", "cpu")
    call(training.main, "digits", "--data", data, "--epochs", 1, "--warmup-epochs", 0, *small)
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("digits-")
    assert (run / "metrics.csv").exists()
    printed = capsys.readouterr()
    assert "epoch 1/1  train loss " in printed.out
    last = printed.out.splitlines()[-1]
    assert last.startswith("validation top-1 ")
    assert last.endswith(f"metrics and checkpoints are in runs/{run.name}")
    assert "step" not in printed.err  # no progress bar where nobody watches

    call(evaluation.main, run)
    assert (run / "last.eval.json").exists()
    assert "top1 " in capsys.readouterr().out


def test_the_help_names_recipes_and_options(call, capsys):
    with pytest.raises(SystemExit) as done:
        call(training.main, "--help")
    assert done.value.code == 0
    text = capsys.readouterr().out
    for word in ("imagenet-resnet50-fast", "--mix {cutmix,mixup,cutout,none}", "--resume", "--batch-size INT"):
        assert word in text
    assert "--recipe" not in text


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (training.main, ["--help"]),
        (training.main, ["study", "--help"]),
        (evaluation.main, ["--help"]),
        (bench, ["--help"]),
        (ood.main, ["--help"]),
        (
            training.main,
            ["--data", "DATA", "--epochs", "1", "--warmup-epochs", "0", "--size", "32", "--batch-size", "4"],
        ),
    ],
    ids=["train", "study", "evaluate", "bench", "ood", "training"],
)
def test_a_reader_that_goes_away_ends_a_command_without_a_word(call, data, capfd, main, arguments):
    with pytest.raises(SystemExit) as done, without_reader():
        call(main, *(data if word == "DATA" else word for word in arguments))
    assert done.value.code == 141
    assert capfd.readouterr() == ("", "")


def test_what_an_evaluation_found_is_written_before_it_is_printed(call, data, tmp_path):
    fit(start(quick(data, tmp_path / "run", epochs=1, batch_size=4), ALONE))
    with pytest.raises(SystemExit), without_reader():
        call(evaluation.main, tmp_path / "run")
    assert (tmp_path / "run" / "last.eval.json").exists()


def test_texts_of_files_are_printed_escaped(tmp_path, capsys):
    """A class, a set, the origin of weights."""
    (tmp_path / "a.pt").touch()
    shown = Report("red \x1b[31m\nblue", {}, {})
    Evaluator("x", EvaluatorOptions, lambda *_: 0, lambda _: shown).run(EvaluatorOptions(tmp_path / "a.pt"), ALONE)
    assert capsys.readouterr().out.startswith("red \\x1b[31m\nblue\nwritten to ")
    report_initial_weights(LoadedWeights("a.pt (\x1b[31m, model)", ("fc",), (), ()), ALONE)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["imagenet"],
            "unknown recipe 'imagenet'; choose one of digits, imagenet-resnet50, imagenet-resnet50-fast, "
            "cifar100-pyramidnet",
        ),
        (["--device", "cuda:99"], "--device cuda:99 needs GPU 99, but PyTorch sees"),
        (["--device", "tpu"], "--device 'tpu' given; allowed are cpu, cuda, cuda:N and auto."),
        (["--data", "gone"], "--data gone: it has no folder train; give a folder with train and val"),
        (
            ["--data", "DATA", "--batch-size", "4", "--model", "resnet10x"],
            "no model 'resnet10x'; allowed are resnet10, pyramidnet200, resnet50_wsol, vgg16_gap and torchvision's",
        ),
        (["--data", "DATA", "--batch-size", "5000"], "batch_size=5000"),
        (["--resume", "gone"], "gone: no such checkpoint; give a run folder or a checkpoint (.pt)."),
        (["--data", "DATA", "--batch-size", "4", "--output-dir", "/dev/null/x"], "/dev/null"),
    ],
)
def test_what_cannot_be_is_told_before_work_starts(call, data, tmp_path, arguments, message):
    with pytest.raises(SystemExit) as done:
        call(training.main, *(data if word == "DATA" else word for word in arguments))
    assert str(done.value.code).startswith("error: ")
    assert message in str(done.value.code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "0"], "alpha=0.0 given"),
        (["--mix-probability", "2"], "probability=2.0 given"),
        (["--epochs", "0"], "--epochs 0 given; it must be above 0"),
        (["--lr", "1e300"], "--lr 1e+300 given; it must be below 1e+30"),
        (["--mix", "puzzle"], "invalid choice 'puzzle'"),
        (["--learning-rate", "1"], "--learning-rate"),
    ],
)
def test_wrong_options_are_told(call, arguments, message, capsys):
    with pytest.raises(SystemExit) as done:
        call(training.main, *arguments)
    assert done.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_evaluation_needs_a_checkpoint(call, tmp_path):
    with pytest.raises(SystemExit) as done:
        call(evaluation.main, "gone.pt")
    assert done.value.code == "error: gone.pt: no such checkpoint; give a run folder or a checkpoint (.pt)."
    with pytest.raises(SystemExit) as done:
        call(evaluation.main, "gone\x1b[31m.pt")
    assert done.value.code.startswith("error: gone\\x1b[31m.pt: no such checkpoint")
