"""python -m bench step: training with the loader against training on synthetic data, in rounds that alternate."""

import io
import itertools
import json
import time

import pytest
import torch
from rich.console import Console

import dali_cutmix as dc
from bench.__main__ import main
from bench.common.photos import PhotoFolder
from bench.step import command, step_timing, training
from bench.step import rounds as step_rounds
from bench.step.report import print_table, summary
from bench.step.step_timing import StepTiming, measure_steps, wait_until_idle
from bench.step.training import Trainer, TrainingSetup, synthetic_batch

pytestmark = pytest.mark.usefixtures("small_cache")

SMALL = TrainingSetup("resnet10", 3, 32, 4, "cpu", amp=False, channels_last=True, compile=False)
QUICK = ["--device", "cpu", "--model", "resnet10", "--batch-size", "4", "--size", "32", "--threads", "1"]


def changed(**values):
    return TrainingSetup(**{**SMALL.__dict__, **values})


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("step") / "new" / "step.json"
    status = main(["step", "--data", str(data), *QUICK, "--steps", "3", "--rounds", "2", "--json", str(out)])
    return status, json.loads(out.read_text())


def test_trains_on_both_and_reports(run):
    status, result = run
    assert status == 0
    assert [entry["name"] for entry in result["sources"]] == ["synthetic", "loader"]
    for entry in result["sources"]:
        assert [one["steps"] for one in entry["rounds"]] == [3, 3]
        assert all(0 <= one["host_wait"] <= 1 and one["loss"] == one["loss"] for one in entry["rounds"])
        assert entry["device_gap"] is None
        assert entry["min"] <= entry["images_per_second"] <= entry["max"]
    synthetic, loader = ([one["images_per_second"] for one in entry["rounds"]] for entry in result["sources"])
    assert result["ratio"]["rounds"] == pytest.approx([b / a for a, b in zip(synthetic, loader, strict=True)])
    assert result["settings"]["num_classes"] == 1000
    assert result["settings"]["dtype"] == "float32"
    assert {"machine", "versions", "date"} <= set(result)
    assert result["complete"] is True


def test_what_was_measured_before_an_interrupt_is_kept(data, tmp_path, monkeypatch):
    def interrupted(*arguments):
        measured.append(arguments)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return measure_steps(*arguments)

    measured = []
    monkeypatch.setattr(step_rounds, "measure_steps", interrupted)
    out = tmp_path / "step.json"
    options = ["--steps", "2", "--rounds", "2", "--json", str(out)]
    assert main(["step", "--data", str(data), *QUICK, *options]) == 130
    result = json.loads(out.read_text())
    assert result["complete"] is False
    assert [len(entry["rounds"]) for entry in result["sources"]] == [1, 1]


def test_steps_are_as_many_as_the_seconds_allow(data, tmp_path):
    out = tmp_path / "step.json"
    options = ["--amp", "--no-channels-last", "--seconds", "0.3", "--rounds", "1", "--json", str(out)]
    assert main(["step", "--data", str(data), *QUICK, *options]) == 0
    result = json.loads(out.read_text())
    assert result["settings"]["dtype"] == "bfloat16"
    assert result["sources"][0]["rounds"][0]["steps"] > 2


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_synthetic_data_are_as_the_loader_gives_them(data, amp, channels_last):
    wanted = changed(amp=amp, channels_last=channels_last)
    [synthetic, loaded] = [synthetic_batch(wanted), next(iter(command._loader(wanted, data, 1)))]
    for one, other in zip(synthetic, loaded, strict=True):
        assert (one.shape, one.dtype, one.stride()) == (other.shape, other.dtype, other.stride())
    torch.testing.assert_close(synthetic[1].sum(1), torch.ones(4))


def test_a_step_trains():
    torch.manual_seed(0)
    batch, trainer = synthetic_batch(SMALL), Trainer(SMALL)
    losses = [float(trainer.step(*batch)) for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]


def test_compile_is_torchs(monkeypatch):
    compiled = []

    def spy(model):
        compiled.append(model)
        return model

    monkeypatch.setattr(torch, "compile", spy)
    Trainer(SMALL)
    assert compiled == []
    Trainer(changed(compile=True)).step(*synthetic_batch(SMALL))
    assert len(compiled) == 1


def test_waiting_is_the_time_in_next():
    batch = synthetic_batch(SMALL)

    def slow():
        while True:
            time.sleep(0.03)
            yield batch

    def train(images, targets):
        time.sleep(0.01)
        return torch.tensor(0.5)

    waits = measure_steps(train, slow(), 8, "cpu")
    assert waits.host_wait == pytest.approx(0.75, abs=0.08)
    assert waits.images_per_second == pytest.approx(4 / 0.04, rel=0.2)
    assert waits.device_gap is None
    at_hand = measure_steps(train, itertools.repeat(batch), 8, "cpu")
    assert at_hand.host_wait < 0.02
    assert at_hand.loss == 0.5


class FakeGPU:
    """A device whose clock is moved by hand; counts how often the host waits for it."""

    def __init__(self, monkeypatch):
        self.now, self.waits = 0.0, 0
        gpu = self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                self.at = gpu.now

            def elapsed_time(self, later):
                return later.at - self.at

        def synchronize(device):
            self.waits += 1

        monkeypatch.setattr(torch.cuda, "Event", Event)
        monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
        monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)


def test_gap_is_the_time_between_steps_on_the_devices_clock(monkeypatch):
    gpu, batch = FakeGPU(monkeypatch), synthetic_batch(SMALL)

    def batches():
        while True:
            gpu.now += 1  # the stream waits for data, though the host does not
            yield batch

    def train(images, targets):
        gpu.now += 3
        return torch.tensor(0.5)

    measured = measure_steps(train, batches(), 5, "cuda:0")
    assert measured.device_gap == pytest.approx(4 * 1 / (5 * 3 + 4 * 1))
    assert gpu.waits == 2  # before the first step and after the last


def test_rounds_on_a_gpu_up_to_cuda_itself(monkeypatch):
    gpu = FakeGPU(monkeypatch)
    batch, on_cpu = synthetic_batch(SMALL), Trainer(SMALL)
    monkeypatch.setattr(step_rounds, "synthetic_batch", lambda wanted: batch)
    monkeypatch.setattr(step_rounds, "Trainer", lambda wanted: on_cpu)
    train = on_cpu.step

    def timed(images, targets):
        gpu.now += 2
        return train(images, targets)

    monkeypatch.setattr(on_cpu, "step", timed)
    *_, measured = step_rounds.measure(changed(device="cuda:0"), [batch] * 3, 4, 1.0, 2)
    assert {name: [one.steps for one in each] for name, each in measured.items()} == {
        "synthetic": [4, 4],
        "loader": [4, 4],
    }
    assert all(one.device_gap == 0 for each in measured.values() for one in each)
    assert gpu.waits == 2 * 4


def test_defaults_of_a_gpu(data, monkeypatch):
    asked = []

    monkeypatch.setattr(command, "new_result", lambda *_: {})

    def measure(wanted, *others):
        asked.append(wanted)
        raise ValueError("as far as without a GPU")

    FakeGPU(monkeypatch)
    monkeypatch.setattr(command, "choose_device", lambda device: "cuda:0")
    monkeypatch.setattr(command, "open_enough_photos", lambda batch_size, folder, device: PhotoFolder(data, 24, (), 24))
    monkeypatch.setattr(command, "long_epoch", lambda photos: (data, 24))
    monkeypatch.setattr(command, "_loader", lambda *arguments: None)
    monkeypatch.setattr(command, "measure", measure)
    with pytest.raises(ValueError, match="as far as"):
        command.step(amp=True, compile=True)
    assert asked == [TrainingSetup("resnet50", 1000, 224, 256, "cuda:0", amp=True, channels_last=True, compile=True)]
    assert asked[0].dtype == torch.bfloat16


def report(device, gap, rounds=2):
    speeds = {"synthetic": [100.0, 200.0], "loader": [90.0, 190.0]}
    measured = {
        name: [StepTiming(speed, 10, 1.0, 0.25, gap, 0.5, 0.0) for speed in each[:rounds]]
        for name, each in speeds.items()
    }
    settings = {**SMALL.__dict__, "device": device, "rounds": rounds, "images": 24, "threads": 1}
    result = {"machine": {"gpu": "Some GPU", "cpu": "Some CPU"}, "settings": settings} | summary(measured)
    console = Console(record=True, width=200, file=io.StringIO())
    print_table(result, console)
    return result, console.export_text()


def test_ratio_is_of_the_rates_of_one_round():
    result, text = report("cpu", None)
    assert result["ratio"]["median"] == pytest.approx((0.9 + 0.95) / 2)
    assert "at 0.925 of its own speed (0.900 to 0.950 over 2 rounds)" in text
    assert "one round, so the spread is unknown" in report("cpu", None, rounds=1)[1]


def test_what_the_ratio_means_depends_on_the_device():
    on_cpu, on_gpu = report("cpu", None)[1], report("cuda:0", 0.125)[1]
    assert "compete for the same cores" in on_cpu
    assert "gap on the device" not in on_cpu
    assert "gap on the device" in on_gpu
    assert "12.5%" in on_gpu
    assert "25.0%" in on_gpu
    assert "compete" not in on_gpu


def test_settles_once_nothing_is_prepared_any_more():
    start = time.monotonic()
    wait_until_idle(limit=5)
    assert time.monotonic() - start < 5
    ticks = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_timing.time, "process_time", lambda: float(next(ticks)))
        start = time.monotonic()
        wait_until_idle(limit=0.3)
    assert 0.3 <= time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("error", "compile", "says"),
    [
        (torch.OutOfMemoryError("no memory"), False, "--batch-size 4 with resnet10 needs more memory than cpu has"),
        (
            RuntimeError("no C compiler"),
            True,
            "try --no-compile, or another --model or --size. PyTorch says: no C comp",
        ),
        (
            AssertionError("Wrong image height"),
            False,
            "at --size 32; try another --model or --size. PyTorch says: Wrong",
        ),
    ],
)
def test_a_model_that_cannot_be_trained_says_how_to_mend_it(monkeypatch, error, compile, says):
    def fail(self, images, targets):
        raise error

    monkeypatch.setattr(torch, "compile", lambda model: model)
    monkeypatch.setattr(training.Trainer, "step", fail)
    with pytest.raises(ValueError, match=says):
        next(step_rounds.measure(changed(compile=compile), [synthetic_batch(SMALL)], 2, 1.0, 1))


def test_a_file_that_cannot_be_decoded_is_named(data, monkeypatch, capsys):
    def broken(*arguments):
        raise dc.DecodeError("folder/a.jpg: cannot be decoded")

    monkeypatch.setattr(command, "measure", broken)
    assert main(["step", "--data", str(data), *QUICK]) == 2
    assert "error: folder/a.jpg: cannot be decoded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "/no/such/folder"], "/no/such/folder: no such folder"),
        (["--batch-size", "1000"], "holds 24 images; give at most that"),
        (["--batch-size", "-1"], "--batch-size -1 given; it is a whole number of at least 0"),
        (["--size", "0"], "--size 0 given"),
        (["--threads", "-1"], "--threads -1 given"),
        (["--num-classes", "0"], "--num-classes 0 given"),
        (["--num-classes", "2"], "num_classes=2 given, but the data has 3 classes"),
        (["--steps", "1"], "--steps 1 given; it is at least 2, or 0 for as many as take --seconds"),
        (["--seconds", "nan"], "--seconds nan given"),
        (["--rounds", "0"], "--rounds 0 given"),
        (["--device", "cuda:99"], "--device cuda:99 given; on this machine there is cpu"),
        (["--model", "resnet1"], "there is no model 'resnet1'"),
        (["--model", "googlenet"], "--model googlenet could not be trained at --size 32; try another --model"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_bad_input_is_refused(data, capsys, arguments, says):
    given = [] if "--data" in arguments else ["--data", str(data)]
    assert main(["step", *given, *QUICK, *arguments]) == 2
    assert says in capsys.readouterr().err
