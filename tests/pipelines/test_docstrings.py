"""The examples in the docstrings of pipelines/ and dc.detection run as they stand."""

import doctest
import importlib
from pathlib import Path

import pytest
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers import ROOT
from tests.helpers.example_data import write_example_data

PIPELINES = [f"pipelines.{path.stem}" for path in sorted((ROOT / "pipelines").glob("*.py")) if path.stem != "__init__"]
LIBRARY = ["dali_cutmix.detection.annotations", "dali_cutmix.detection.ops"]
"""The rest of the library is in tests/dali_cutmix/test_docstring_examples.py."""
SEE_ANOTHER = {"dali_cutmix.detection.ops.in_pixels"}
INSIDE = {  # parts of a graph, tested by themselves, and plain records
    *("pipelines.ssd.zoom_and_crop", "pipelines.ssd.zoom", "pipelines.ssd.crop", "pipelines.ssd.cut"),
    *("pipelines.ssd.distort_colours", "pipelines.faster_rcnn.fitted", "pipelines.captions.Sentences"),
    *("pipelines.cub.Bird", "pipelines.cub.Cub"),
    *("dali_cutmix.detection.annotations.Object", "dali_cutmix.detection.annotations.Entry"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_example_data(tmp_path_factory.mktemp("examples"))


def annotated_photos():
    """Two photos: one with a cat, one with a dog and a cat."""
    boxes = [[(0, (8, 4, 60, 50))], [(1, (20, 10, 90, 80)), (0, (0, 0, 30, 30))]]
    entries = [
        dc.detection.Entry("", path, None, [dc.detection.Object("", "", label, box, False) for label, box in objects])
        for path, objects in zip((Path("photos/cat/0.jpg"), Path("photos/dog/0.jpg")), boxes, strict=True)
    ]
    return dc.detection.annotate(("cat", "dog"), entries)


def examples(name):
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("name", PIPELINES + LIBRARY)
def test_the_examples_of_a_module_run(folder, monkeypatch, tmp_path, capsys, name):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = {"dc": dc, "fn": fn, "pipeline_def": pipeline_def, "Path": Path, "annotated": annotated_photos()}
    runner = doctest.DocTestRunner()
    for test in examples(name):
        test.globs.update(given)
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", PIPELINES + LIBRARY)
def test_whatever_is_public_has_an_example(name):
    module = importlib.import_module(name)
    public = {
        f"{name}.{part}"
        for part, value in vars(module).items()
        if not part.startswith("_") and getattr(value, "__module__", None) == name and callable(value)
    }
    assert public - INSIDE - SEE_ANOTHER == {test.name for test in examples(name)}
