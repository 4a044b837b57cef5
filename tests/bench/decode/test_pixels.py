"""The decoded batches: shapes and pixels are checked, and the graph for a GPU is wired right."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench.__main__ import main
from bench.decode import child, throughput
from bench.decode.rewritten_files import rewrite
from bench.decode.ways import DecodeWay, all_ways

pytestmark = pytest.mark.usefixtures("small_cache")


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
