"""The benchmark of the fused pass: what it counts, and that the host's part is timed without a GPU."""

import json

import numpy as np
import pytest
import torch
from bench_fixtures import cache_fixture, data_fixture  # noqa: F401

from bench import kernel
from bench.__main__ import main
from dali_cutmix.resample_cpu import is_compiled


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
    assert result["host_ms"] > 0
    printed = capsys.readouterr().out
    assert "bfloat16" in printed
    assert "On a GPU the host spends" in printed


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
    batch = kernel.Batch(crops, plan)
    assert kernel._floor_bytes(batch, 10, torch.float16) == (read, 2 * 3 * 100 * 2)


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
