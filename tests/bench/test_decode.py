"""python -m bench decode: rates of each way, who decoded, which library; what fails ends its way alone."""

import io
import json
import os
import re
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from bench.__main__ import main
from bench.decode import child, command, decode_process, throughput
from bench.decode.decoder_log import DecoderCounts, count_images, engines
from bench.decode.report import print_table
from bench.decode.rewritten_files import rewrite
from bench.decode.ways import LOADS, DecodeWay, all_ways
from bench.gpu import key_figures
from dali_cutmix._dali.libnvjpeg import library
from tests.helpers.bench_fixtures import cache_fixture, data_fixture, is_running  # noqa: F401

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


CHILD = """
import json, os, signal, sys, time
print("ready", flush=True)
open(f"{os.getpid()}.pid", "w")
job = json.loads(sys.stdin.readline())
region, fancy = job["way"]["region"], job["way"]["fancy"]
if region and fancy:
    os.kill(os.getpid(), signal.SIGSEGV)
if region:
    time.sleep(60)
if not fancy:
    print("no such symbol", file=sys.stderr)
    sys.exit(3)
answer = {"images_per_second": 9.0, "min": 8.0, "max": 10.0, "core_ms_per_image": 1.0, "levels_from_cpu": 0.0}
print(json.dumps(answer | {"decoded_by": {"hardware": 0, "cuda": 0, "cpu": 8}}))
"""


def test_a_crash_or_a_hang_is_that_ways_result(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", CHILD))
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "r.json"
    assert main(["decode", "--data", str(data), *SMALL, "--limit", "1", "--json", str(out)]) == 1
    found = {entry["name"]: entry["failure"] for entry in json.loads(out.read_text())["ways"]}
    assert found == {
        "whole, fancy": None,
        "region, fancy": "SIGSEGV",
        "whole, plain": "exit status 3: no such symbol",
        "region, plain": "did not end within 1 s",
    }
    printed = capsys.readouterr().out
    assert "failed: region, fancy: SIGSEGV" in printed
    assert "8 to 10" in printed
    assert "nvJPEG: none loaded" in printed
    pids = [file.stem for file in tmp_path.glob("*.pid")]
    assert len(pids) == 4
    assert not any(Path("/proc", pid).exists() for pid in pids)


def test_a_process_that_cannot_start_is_told_by_its_last_words(data, monkeypatch, capsys):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", "import no_such_module"))
    assert main(["decode", "--data", str(data), *SMALL, "--only", "whole"]) == 1
    assert "exit status 1: ModuleNotFoundError: No module named 'no_such_module'" in capsys.readouterr().out


def test_a_process_that_ends_without_an_answer_has_failed(data, monkeypatch, capsys):
    code = "import sys; print('ready', flush=True); sys.stdin.readline(); print('gave up', file=sys.stderr)"
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", code))
    assert main(["decode", "--data", str(data), *SMALL, "--only", "whole"]) == 1
    assert "failed: whole, fancy: ended without an answer: gave up" in capsys.readouterr().out


def test_a_process_that_cannot_be_ended_is_left(monkeypatch):
    monkeypatch.setattr(decode_process, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(decode_process, "KILLED", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda *_: None)
        stuck = decode_process.DecodeProcess()
        start = time.monotonic()
        stuck.close()
        assert time.monotonic() - start < 2
    pid = stuck._process.pid
    assert is_running(pid)
    os.killpg(pid, signal.SIGKILL)


def test_what_does_not_decode_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "all_ways", lambda *_: [DecodeWay(False, True, None)])
    (tmp_path / "class").mkdir()
    Image.effect_noise((64, 64), 50).save(tmp_path / "class" / "a.jpg")
    whole = (tmp_path / "class" / "a.jpg").read_bytes()
    (tmp_path / "class" / "b.jpg").write_bytes(whole[: len(whole) // 2])
    options = ["--batch-size", "2", "--device", "cpu", "--only", "whole"]
    assert main(["decode", "--data", str(tmp_path), *options]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(r"failed: whole, fancy: .*ecode.*b\.jpg", printed)


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


ON_A_CPU = """\
\x1b[0;32m[INFO] \x1b[0m[nvjpeg-ext] nvJPEG version: 12.4.0 (CUDA version is 12.0)
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] create libjpeg_turbo_decoder load_hint 1 load_hint_policy 2
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] ImageGenericDecoder::decode num_samples=4
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] decode num_samples=4
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] 1: opencv_png_decoder process #3
\x1b[0;32m[INFO] \x1b[0m[nvimgcodec] 1: libjpeg_turbo_decoder process #0
\x1b[0;32m[INFO] \x1b[0;32m[INFO] \x1b[0m\x1b[0m[[nvimgcodec] nvimgcodec] 1: libjpeg_turbo_decoder process #1
0: libjpeg_turbo_decoder process #2
"""
"""Recorded: nvImageCodec 0.9.0, DALI 2.4.0; the last two lines as two threads may write them."""
ON_A_GPU = """\
[INFO] [nvjpeg_hw_decoder] HW decoder available num_hw_engines=7 num_cores_per_hw_engine=1
[WARNING] [nvjpeg_cuda_decoder] ROI decode with fancy upsampling may produce wrong results on image edge
[INFO] [nvimgcodec] ImageGenericDecoder::decode num_samples=8
[INFO] [nvimgcodec] decode num_samples=8
[INFO] [nvimgcodec] 3: nvjpeg_cuda_decoder process #5
[INFO] [nvimgcodec] 4: libjpeg_turbo_decoder process #6
[INFO] [nvimgcodec] 5: nvjpeg_hw_decoder process #2
[INFO] [nvimgcodec] nvjpeg_hw_decoder failed #1. Trying next: nvjpeg_cuda_decoder
[INFO] [nvimgcodec] 4: nvjpeg_cuda_decoder process #1
"""
"""Put together from nvImageCodec's messages: nobody has seen one yet."""


def test_images_are_counted_by_who_decoded_them():
    assert count_images(ON_A_CPU) == DecoderCounts(hardware=0, cuda=0, cpu=4)
    assert count_images(ON_A_GPU) == DecoderCounts(hardware=5, cuda=2, cpu=1)
    assert count_images("") == DecoderCounts(0, 0, 0)
    assert (engines(ON_A_GPU), engines(ON_A_CPU)) == ((7, 1), None)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_rewritten_files_hold_markers_or_half_of_the_pixels(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    image = Image.fromarray(pixels).resize((192, 128), Image.Resampling.BICUBIC).convert(mode)
    image.save(tmp_path / "a.jpg", quality=90)
    (marked,) = rewrite([tmp_path / "a.jpg"], tmp_path, "restart markers", 1)
    content = marked.read_bytes()
    assert content[content.index(b"\xff\xdd") + 4 :][:2] == b"\x00\x02"
    assert content.count(b"\xff\xd0") >= 2
    again = np.asarray(Image.open(marked), np.int16)
    assert np.abs(again - np.asarray(Image.open(tmp_path / "a.jpg"), np.int16)).mean() < 1
    (half,) = rewrite([tmp_path / "a.jpg"], tmp_path, "half the pixels", 1)
    assert Image.open(half).size == (136, 91)
    assert Image.open(half).mode == mode


def first_batch(data, way):
    files = sorted(map(str, data.rglob("*.jpg")))[:2]
    job = {"files": files, "batch_size": 2, "threads": 1}
    return job, child._images(child._graph(job, way, "cpu").run()[0])


@pytest.mark.parametrize(
    ("shape", "region"), [((80, 95, 3), False), ((96, 80, 3), False), ((80, 96, 1), True), ((81, 10, 3), True)]
)
def test_images_of_wrong_shapes_are_refused(data, shape, region):
    way = DecodeWay(region, True, None)
    job, images = first_batch(data, way)
    assert child._levels(images, job, way) == 0
    images[1] = np.zeros(shape, np.uint8)
    said = rf"image 1 of 80×96 was decoded to \({shape[0]}, {shape[1]}, {shape[2]}\); the CPU decodes"
    with pytest.raises(RuntimeError, match=said):
        child._levels(images, job, way)


def test_pixels_are_compared_where_the_windows_are_the_same(data):
    black, small = np.zeros((80, 96, 3), np.uint8), np.zeros((3, 3, 3), np.uint8)
    way = DecodeWay(False, True, None)
    job, images = first_batch(data, way)
    assert child._levels([images[0], black], job, way) == pytest.approx(images[1].mean(), abs=1e-3)
    assert child._levels([small, small], job, DecodeWay(True, True, None)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows where CUDA is asked for")
@pytest.mark.parametrize("way", all_ways(True), ids=lambda way: way.name)
def test_graphs_for_a_gpu_are_wired_right(data, way):
    job = {"files": sorted(map(str, data.rglob("*.jpg"))), "batch_size": 2, "threads": 1}
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        child._graph(job, way, "cuda:0")


def test_the_consumer_takes_batches_on_its_stream_and_stays_near_the_gpu(monkeypatch):
    """As with a GPU that does nothing until it is waited for."""
    open_events, most, streams = [], [0], []

    class Event:
        def __init__(self, blocking):
            assert blocking, "else waiting would count as CPU time"

        def record(self, stream):
            streams.append(stream)
            open_events.append(self)
            most[0] = max(most[0], len(open_events))

        def synchronize(self):
            assert open_events.pop(0) is self

    class Pipeline:
        def run(self, stream):
            streams.append(stream)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    take = throughput.consumer(Pipeline(), "cuda:0")
    for _ in range(10):
        take()
    assert streams == ["stream of cuda:0"] * 20
    assert most[0] == throughput.LAG + 1


def test_of_dalis_messages_the_line_that_tells_is_kept():
    message = (
        "Critical error in pipeline:\nError in MIXED operator `x`,\nencountered:\n\nnvJPEG error\n[/a.cpp:3] more\n"
    )
    assert child.reason(message) == "nvJPEG error"
    assert child.reason("CUDA out of memory") == "CUDA out of memory"


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


@pytest.mark.gpu
def test_whole_images_are_decoded_on_the_gpu(data, tmp_path):
    out = tmp_path / "r.json"
    options = ["--only", "whole", "--loads", "0.65", "--seconds", "0.1", "--batch-size", "8", "--json", str(out)]
    assert main(["decode", "--data", str(data), *options]) == 0
    result = json.loads(out.read_text())
    assert result["nvjpeg"] is not None
    for entry in result["ways"]:
        assert entry["decoded_by"]["cpu"] == 0
        assert entry["levels_from_cpu"] < (3 if entry["fancy"] else 10)
