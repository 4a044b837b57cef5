"""The benchmark of the fused pass: what it counts, and that the host's part is timed without a GPU."""

import itertools
import json
import weakref
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from bench import kernel
from bench.__main__ import main
from bench.common.timing import call_times
from dali_cutmix.fused import cuda, resample
from dali_cutmix.fused.cpu import is_compiled

pytestmark = pytest.mark.usefixtures("small_cache")


@pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler")
def test_every_policy_and_format_is_timed_and_so_is_the_host(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernel, "COPIED", 2**20)
    out = tmp_path / "r.json"
    options = ["--size", "32", "--batch-size", "4", "--repeats", "2", "--device", "cpu", "--json", str(out)]
    assert main(["kernel", "--data", str(data), *options]) == 0
    result = json.loads(out.read_text())
    assert len(result["passes"]) == 3 * 3 * 2
    for row in result["passes"]:
        assert 0 < row["min"] <= row["ms"] <= row["max"]
        assert row["bytes_written"] == 4 * 3 * 32 * 32 * (4 if row["dtype"] == "float32" else 2)
        moved = (row["bytes_read"] + row["bytes_written"]) / (row["ms"] / 1000)
        assert row["of_copy"] == pytest.approx(moved / result["copy_bytes_per_second"])
        assert row["host_bound"] is None
    assert result["host_ms"] > 0
    assert result["complete"] is True
    printed = capsys.readouterr().out
    assert "bfloat16" in printed
    assert "On a GPU the host spends" in printed


class Gpu:
    """Takes the place of CUDA and writes down what the host does; ``late`` says of each delay if it was too short."""

    def __init__(self, late):
        self.log, self.alive, self.most_alive, self.delays, self.launched = [], 0, 0, [], []
        self._late = iter(late)

    def event(self, **_):
        return Event(self.log, self._late)

    def sleep(self, cycles):
        self.delays.append(cycles)
        self.log.append("delay")

    def upload(self, array, gpu):
        self.log.append("upload")
        return torch.from_numpy(array)

    def empty(self, size, gpu):
        images = torch.empty(size, dtype=torch.uint8)
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(images.untyped_storage(), self.free)
        return images

    def launch(self, number, grid, threads, arguments):
        self.log.append("launch")
        self.launched.append(arguments[:2])

    def free(self):
        self.alive -= 1


class Event:
    def __init__(self, log, late):
        self.log, self.late = log, late

    def record(self, stream=None):
        self.log.append("event")

    def query(self):
        return next(self.late)

    def synchronize(self):
        self.log.append("wait")

    def elapsed_time(self, end):
        return 0.25


@pytest.fixture
def on_a_gpu(data, tmp_path, monkeypatch):
    """``bench kernel`` as on a GPU; what it did, and its result."""

    def run(late=(), repeats=12):
        gpu = Gpu(late)
        decode = kernel._decode
        monkeypatch.setattr(kernel, "choose_device", lambda device: "cuda:0")
        monkeypatch.setattr(
            kernel, "_decode", lambda *arguments: [batch for _ in range(2) for batch in decode(*arguments[:-1], "cpu")]
        )
        monkeypatch.setattr(kernel, "_copy_bandwidth", lambda *_: 1e9)
        monkeypatch.setattr(kernel, "_host_ms", lambda *_: 1.0)
        monkeypatch.setattr(kernel, "new_result", lambda *_: {"machine": {"gpu": "Some GPU"}, "settings": _[2]})
        monkeypatch.setattr(call_times, "synchronize", lambda device: gpu.log.append("synchronize"))
        monkeypatch.setattr(kernel, "POLICIES", {"CutMix": kernel.dc.CutMix()})
        monkeypatch.setattr(torch.cuda, "Event", gpu.event)
        monkeypatch.setattr(torch.cuda, "_sleep", gpu.sleep)
        monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
        monkeypatch.setattr(resample, "gpu_of", lambda crops: 0)
        monkeypatch.setattr(cuda, "_launch", gpu.launch)
        monkeypatch.setattr(cuda, "_empty", gpu.empty)
        monkeypatch.setattr(cuda, "upload", gpu.upload)
        monkeypatch.setattr(cuda, "record", lambda number: Event(gpu.log, iter([False] * 99)))
        out = tmp_path / "r.json"
        options = ["--size", "32", "--batch-size", "4", "--repeats", str(repeats), "--json", str(out)]
        assert main(["kernel", "--data", str(data), *options]) == 0
        return gpu, json.loads(out.read_text())

    return run


def test_on_a_gpu_only_launches_are_between_the_first_and_the_last(on_a_gpu):
    gpu, result = on_a_gpu(late=[False] * 6, repeats=12)
    measured = [part.split("synchronize ")[0].split() for part in " ".join([*gpu.log, ""]).split("delay ")[1:]]
    assert len(measured) == len(result["passes"]) == 6
    for calls in measured:
        assert calls == ["event", "launch", "event"] * 12
    assert gpu.most_alive <= 2, "the batches of all launches at once would fill the memory"
    assert {row["host_bound"] for row in result["passes"]} == {False}
    assert {row["ms"] for row in result["passes"]} == {0.25}


def test_no_launch_reads_or_writes_what_the_one_before_did(on_a_gpu):
    """Else it would find its memory in the cache, which it does not in a training."""
    gpu, _ = on_a_gpu(late=[False] * 6, repeats=4)
    launches = len(gpu.launched) // 6
    assert launches >= 4
    for first in range(0, len(gpu.launched), launches):
        each = gpu.launched[first : first + launches]
        assert not any(set(before) & set(after) for before, after in itertools.pairwise(each))


def test_what_was_measured_before_an_interrupt_is_kept(data, tmp_path, monkeypatch):
    def interrupted(*arguments):
        timed.append(arguments)
        if len(timed) == 4:
            raise KeyboardInterrupt
        return call_times.CallTimes([1.0])

    timed = []
    monkeypatch.setattr(kernel, "time_calls", interrupted)
    out = tmp_path / "r.json"
    options = ["--size", "32", "--batch-size", "4", "--device", "cpu", "--json", str(out)]
    assert main(["kernel", "--data", str(data), *options]) == 130
    result = json.loads(out.read_text())
    assert (len(result["passes"]), result["complete"]) == (2, False)  # the first call was the copy


def test_a_host_that_is_too_slow_gets_more_time_and_is_named_where_that_is_not_enough(on_a_gpu, capsys):
    gpu, result = on_a_gpu(late=[True, False, True, True, True, *[False] * 4], repeats=2)
    once = call_times.DELAY
    assert gpu.delays == [once, 4 * once, once, 4 * once, 16 * once, *[once] * 4]
    assert [row["host_bound"] for row in result["passes"]] == [False, True, False, False, False, False]
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 of 6 are bound by the host, which was too slow to queue all launches before the first began" in printed


@pytest.mark.gpu
def test_every_pass_is_timed_on_a_gpu(data, tmp_path):
    out = tmp_path / "r.json"
    options = ["--size", "224", "--batch-size", "24", "--repeats", "30", "--device", "cuda:0", "--json", str(out)]
    assert main(["kernel", "--data", str(data), *options]) == 0
    result = json.loads(out.read_text())
    # Other tests run beside this one: how fast it is says nothing here.
    assert all(row["of_copy"] > 0 and row["host_bound"] is not None for row in result["passes"])


@pytest.mark.parametrize(
    ("box", "weight", "read"),
    [
        ((0, 0, 0, 0), 0, 300 + 600),
        ((0, 0, 10, 10), 0, 600 + 300),
        ((0, 0, 10, 5), 0, (150 + 300) + (300 + 150)),
        ((0, 0, 10, 10), 30000, (300 + 600) + (600 + 300)),
    ],
    ids=["nothing", "all of the partner", "half of it", "a blend of both"],
)
def test_the_floor_counts_what_is_seen_of_each_crop(box, weight, read):
    crops = [np.zeros((10, 10, 3), np.uint8), np.zeros((10, 20, 3), np.uint8)]
    plan = np.array([(1, *box, 0, weight), (0, *box, 0, weight)], np.int32)
    batch = kernel.DecodedBatch(crops, plan)
    assert kernel._least_bytes(batch, 10, torch.float16) == (read, 2 * 3 * 100 * 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--repeats", "0"], "--repeats 0 given; it is a whole number of at least 1"),
        (["--batch-size", "1"], "--batch-size 1 given; it is a whole number of at least 2"),
        (["--threads", "-1"], "--threads -1 given"),
        (["--size", "0"], "--size 0 given"),
    ],
)
def test_bad_input_is_refused(data, capsys, arguments, says):
    assert main(["kernel", "--data", str(data), *arguments]) == 2
    assert says in capsys.readouterr().err
