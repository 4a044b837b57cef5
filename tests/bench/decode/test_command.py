"""python -m bench decode: rates of each way to decode, a table of them, and what it refuses."""

import io
import json
import re
from dataclasses import asdict

import pytest
from rich.console import Console

from bench.__main__ import main
from bench.decode import child, command, throughput
from bench.decode.report import print_table
from bench.decode.ways import LOADS, DecodeWay, all_ways
from bench.gpu import key_figures
from dali_cutmix._dali.libnvjpeg import library

pytestmark = pytest.mark.usefixtures("small_cache")
SMALL = ["--batch-size", "8", "--threads", "2", "--device", "cpu"]


def test_ways_are_measured_on_a_cpu(data, tmp_path, monkeypatch, capsys):
    out = tmp_path / "r.json"
    options = ["--seconds", "0.1", "--json", str(out)]
    # A way is a process, which takes seconds to import: whole images, and files that were rewritten.
    chosen = [DecodeWay(False, True, None), DecodeWay(False, True, None, "half the pixels")]
    monkeypatch.setattr(command, "all_ways", lambda *_: chosen)
    assert main(["decode", "--data", str(data), *SMALL, *options]) == 0
    result = json.loads(out.read_text())
    assert [entry["name"] for entry in result["ways"]] == ["whole, fancy", "whole, fancy, half the pixels"]
    for entry in result["ways"]:
        assert entry["failure"] is None
        assert 0 < entry["min"] <= entry["images_per_second"] <= entry["max"]
        assert len(entry["windows"]) == throughput.WINDOWS
        assert entry["core_ms_per_image"] > 0
        decoded_by = entry["decoded_by"]
        assert decoded_by["cpu"] >= 8 * child.LOGGED
        assert decoded_by["cpu"] % 8 == decoded_by["cuda"] == decoded_by["hardware"] == 0
        assert entry["levels_from_cpu"] == 0
    nvjpeg = library()
    assert nvjpeg.path.endswith(result["nvjpeg"]["file"])
    assert result["nvjpeg"]["version"] == ".".join(map(str, nvjpeg.version))
    printed = capsys.readouterr().out
    assert "whole, fancy, half the pixels" in printed
    assert "nvJPEG: " in printed
    rate = result["ways"][0]["images_per_second"]
    assert key_figures.decode("", out) == f"{rate:,.0f} images/s (whole, fancy)"


def test_all_ways_of_a_cpu():
    assert [way.name for way in all_ways(False, rewritten=True)] == [
        *("whole, fancy", "region, fancy", "whole, plain", "region, plain"),
        *("whole, fancy, restart markers", "whole, fancy, half the pixels"),
    ]


def test_regions_are_decoded_and_compared(data):
    files = sorted(map(str, data.rglob("*.jpg")))
    job = {"files": files, "batch_size": 4, "threads": 2, "seconds": 0.05, "device": "cpu"}
    found = child.measure(job | {"way": asdict(DecodeWay(True, False, None))})
    assert (found["levels_from_cpu"], found["decoded_by"]["cpu"] >= 4 * child.LOGGED) == (0, True)


def test_a_window_has_several_batches_however_long_they_take():
    """Else a slow way's rate would hang on single batches."""

    class Pipeline:
        runs = 0

        def run(self):
            Pipeline.runs += 1

    rates, _ = throughput.time_decoding(Pipeline(), "cpu", 8, 1e-9)
    assert len(rates) == throughput.WINDOWS
    assert Pipeline.runs == throughput.AHEAD + 3 * throughput.WINDOWS


def test_after_the_time_given_no_way_is_begun(data, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert main(["decode", "--data", str(data), *SMALL, "--minutes", "1e-9", "--json", str(out)]) == 0
    assert len(json.loads(out.read_text())["left_out"]) == 4
    assert "not measured for want of time: whole, fancy; region, fancy" in capsys.readouterr().out


def test_on_a_gpu_all_shares_are_tried_the_default_first():
    found = all_ways(True)
    assert found[:4] == [DecodeWay(region, fancy, 0.65) for fancy in (True, False) for region in (False, True)]
    assert {(way.region, way.fancy, way.load) for way in found} == {
        (region, fancy, load) for region in (True, False) for fancy in (True, False) for load in LOADS
    }
    assert sorted(LOADS) == [0, 0.65, 0.8, 0.9, 1]
    rewritten = [way for way in all_ways(True, rewritten=True)[:16] if way.files != "as they are"]
    assert [(way.files, way.load) for way in rewritten] == [
        (files, load) for load in (0.65, 1.0) for files in ("restart markers", "half the pixels")
    ]
    assert [way.name for way in all_ways(True, ("region",), (1.0,), rewritten=True)] == [
        "region, fancy, 1",
        "region, plain, 1",
    ]


def answer(way, decoded_by, levels=0.4):
    measured = {"images_per_second": 4321.0, "min": 4000.0, "max": 4444.0, "core_ms_per_image": 0.25}
    return measured | {
        "decoded_by": dict(zip(("hardware", "cuda", "cpu"), decoded_by, strict=True)),
        "levels_from_cpu": levels,
        "engines": [7, 1],
        "nvjpeg": {"file": "nvidia/nvjpeg/lib/libnvjpeg.so.12", "version": "12.4.0"},
    }


def test_the_table_of_a_gpu_tells_who_decoded_and_what_to_doubt():
    settings = {"threads": 16, "images": 300, "mean_file_bytes": 85_000, "batch_size": 256}
    result = {"machine": {"gpu": "Some GPU", "cpu": ""}, "settings": settings}
    result |= {"nvjpeg": None, "engines": None, "ways": [], "left_out": []}
    for way, given in {
        DecodeWay(False, True, 0.65): answer(None, (650, 350, 0)),
        DecodeWay(True, True, 0.65): answer(None, (0, 100, 900), None),
        DecodeWay(False, False, 0.65): answer(None, (1000, 0, 0), 60.0),
    }.items():
        command._add(result, way, given)
    console = Console(width=140, file=io.StringIO())
    print_table(result, console)
    printed = console.file.getvalue()
    assert "Some GPU, 16 threads; 300 JPEGs of 85 kB on average" in printed
    assert "nvJPEG: 12.4.0 (nvidia/nvjpeg/lib/libnvjpeg.so.12); JPEG engines: 7, cores of each: 1" in printed
    assert re.search(r"whole, fancy, 0.65 .* 65% │ +35% │ +0% │ +0.40", printed)
    assert re.search(r"region, fancy, 0.65 .* 0% │ +10% │ +90% │ +other windows", printed)
    assert "whole, plain, 0.65: pixels are far from the CPU's, so its rate means nothing" in printed
    assert "Where the CPU decoded, nvJPEG had refused the images" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--loads", "0.5", "1.5"], "--loads 1.5 given; it is a share of the batch, from 0 to 1"),
        (["--limit", "0"], "--limit 0 given; it is how long a way may take, above 0"),
        (["--minutes", "-1"], "--minutes -1 given; it is how long to measure at most, 0 for no limit"),
        (["--seconds", "0"], "--seconds 0 given"),
        (["--batch-size", "0"], "--batch-size 0 given"),
        (["--batch-size", "25"], "--batch-size 25 given, but"),
        (["--threads", "-1"], "--threads -1 given"),
        (["--device", "cuda:99"], "--device cuda:99 given"),
    ],
)
def test_bad_input_is_refused(data, capsys, arguments, says):
    device = [] if "--device" in arguments else ["--device", "cpu"]
    batch = [] if "--batch-size" in arguments else ["--batch-size", "4"]
    assert main(["decode", "--data", str(data), *batch, *device, *arguments]) == 2
    assert says in capsys.readouterr().err
