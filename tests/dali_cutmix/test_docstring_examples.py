"""Every public function and class has an example in its docstring, and each example runs as it stands."""

import doctest
import inspect

import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from tests.helpers.example_data import write_example_data
from tests.helpers.records import write_recordio, write_tfrecord, write_webdataset

PUBLIC = {name: getattr(dc, name) for name in dc.__all__}
WITH_EXAMPLE = [name for name, value in PUBLIC.items() if inspect.isfunction(value) or inspect.isclass(value)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the examples: photos/cat and photos/dog, eight JPEGs each, and the same as record files."""
    root = write_example_data(tmp_path_factory.mktemp("examples"))
    photos = sorted((root / "photos").glob("*/*.jpg"))
    samples = [(path.read_bytes(), ("cat", "dog").index(path.parent.name)) for path in photos]
    for number, tar in enumerate(write_webdataset(root / "records", samples, 8, index=False)):
        tar.rename(root / f"photos-{number}.tar")
    write_tfrecord(root / "records", samples, 16, index=False)[0].rename(root / "photos.tfrecord")
    write_recordio(root / "records", samples, index=False).rename(root / "photos.rec")
    (root / "not_an_image.jpg").write_text("hello")
    return root


def examples_of(docstring: str, name: str) -> doctest.DocTest:
    """The examples below ``Example:``, with the names that the package's docstring says they assume."""
    _, _, text = docstring.partition("Example:\n")
    names = {"dc": dc, "torch": torch, "pipeline_def": pipeline_def}
    return doctest.DocTestParser().get_doctest(text, names, name, None, None)


def failures(test: doctest.DocTest) -> str:
    said: list[str] = []
    doctest.DocTestRunner().run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_example_of_a_docstring_runs(name, folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    test = examples_of(PUBLIC[name].__doc__ or "", name)
    assert any(f"{name}" in example.source for example in test.examples), f"{name} has no example that uses it"
    assert not failures(test)


def test_only_types_and_constants_have_none():
    others = set(PUBLIC) - set(WITH_EXAMPLE)
    assert others == {
        "detection",
        "Decode",
        "IMAGENET_MEAN",
        "IMAGENET_STD",
        "FORMATS",
        "MAX_BYTES",
        "MAX_PIXELS",
        "Policy",
        "Targets",
        "__version__",
    }


def test_an_example_that_gives_something_else_fails():
    wrong = "What it does.\n\nExample:\n    >>> dc.CutMix(alpha=0.5).alpha\n    1.0\n"
    assert "Expected:\n    1.0\nGot:\n    0.5" in failures(examples_of(wrong, "wrong"))
