"""The figures in the last lines of python -m bench gpu, and the files that it leaves."""

import json

import pytest

from bench.__main__ import main
from bench.gpu import command as gpu
from bench.gpu import key_figures
from bench.gpu.steps import STEPS, StepContext
from tests.helpers import ROOT
from tests.helpers.gpu_steps import RESULTS, rows
from tests.helpers.stub_tuning import SMALL, stub

pytestmark = pytest.mark.usefixtures("small_cache")


def test_figures_are_read_from_results(tmp_path):
    result = json.loads((RESULTS / "loaders-cpu.json").read_text())
    rates = {row["name"]: row["images_per_second"] for row in result["contenders"]}
    expected = (
        f"{rates['ours-cutmix'] / rates['dali-decode']:.3f} of dali-decode ({rates['ours-cutmix']:,.0f} images/s)"
    )
    assert key_figures.loaders("", RESULTS / "loaders-cpu.json") == expected
    result["machine"]["gpu"] = "Some GPU"
    result["contenders"].append({"name": "dali-decode-whole", "images_per_second": 2 * rates["ours-cutmix"]})
    (tmp_path / "l.json").write_text(json.dumps(result))
    assert key_figures.loaders("", tmp_path / "l.json").startswith("0.500 of dali-decode-whole (")
    passes = json.loads((RESULTS / "kernel-cpu.json").read_text())["passes"]
    (row,) = (
        row for row in passes if (row["mixing"], row["dtype"], row["channels_last"]) == ("CutMix", "float16", True)
    )
    expected = f"{row['ms']:.3f} ms a batch (CutMix, float16 NHWC), {row['of_copy']:.0%} of a copy's bandwidth"
    assert key_figures.kernel("", RESULTS / "kernel-cpu.json") == expected
    late = row | {"host_bound": True}
    (tmp_path / "k.json").write_text(json.dumps({"passes": [late]}))
    assert key_figures.kernel("", tmp_path / "k.json") == expected + "; the host was too slow to tell"
    result = json.loads((RESULTS / "step-cpu.json").read_text())
    assert key_figures.step("", RESULTS / "step-cpu.json").startswith(f"{result['ratio']['median']:.3f} of the model's")


@pytest.mark.parametrize(("rate", "figure"), [(1100.0, "prefetch=4"), (1000.0, "prefetch=2 (the default, kept)")])
def test_the_value_found_is_told(data, tmp_path, monkeypatch, rate, figure):
    stub(monkeypatch, lambda given: rate if given.get("prefetch") == 4 else 1000.0)
    out = tmp_path / "tune.json"
    options = ["--data", str(data), *SMALL, "--only", "prefetch", "--json", str(out)]
    assert main(["tune", *options]) == 0
    assert key_figures.tune("", out) == figure


def test_the_environment_of_this_machine_is_printed(data, tmp_path, capfd):
    """It has no file of its own: gpu.json tells machine and versions."""
    options = ["--device", "cpu", "--data", str(data), "--out", str(tmp_path), "--steps", "environment"]
    assert main(["gpu", *options]) == 0
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert rows(capfd.readouterr().out)[0][:3] == ["environment", "ok", result["machine"]["cpu"]]
    assert result["versions"]["torch"]
    assert "DALI " in (tmp_path / "gpu.log").read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gpu.json", "gpu.log"]


def test_all_results_are_at_most_seven_files(tmp_path):
    task = StepContext("cuda:0", None, tmp_path, 2)
    commands = [each.command(task, 60) for each in STEPS]
    files = {command[command.index("--json") + 1] for command in commands if "--json" in command}
    assert len(files | {"gpu.json", "gpu.log"}) == 7


def test_results_lie_where_they_are_wanted(tmp_path, monkeypatch):
    monkeypatch.delenv("OUT", raising=False)
    assert gpu._folder(None, "cuda:0") == RESULTS
    assert gpu._folder(None, "cpu") == ROOT / "build" / "gpu"
    monkeypatch.setenv("OUT", str(tmp_path))
    assert gpu._folder(None, "cuda:0") == tmp_path
    assert gpu._folder(tmp_path / "a", "cpu") == tmp_path / "a"
