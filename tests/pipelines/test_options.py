"""Common options: every graph takes the same ones, with the same defaults, and refuses all others by name."""

import inspect
from functools import partial

import pytest
import torch

import dali_cutmix as dc
from pipelines import captions, cifar, cub, faster_rcnn, imagenet, ssd
from tests.helpers.images import save

SMALL = {"batch_size": 2, "device": "cpu", "num_threads": 1}


def graphs(paths):
    """Calls each graph with the same images: ``graphs(paths)["ssd.train"](**options)``."""
    cat = dc.detection.Object("", "", 0, (8, 4, 60, 50), False)
    annotated = dc.detection.annotate(("cat",), [dc.detection.Entry("", path, (96, 128), [cat]) for path in paths])
    captioned = dc.detection.Captioned(tuple(paths), (("a",),) * len(paths))
    folder = partial(dc.read_files, [(path, 0) for path in [*paths, *paths]])
    return {
        "cifar.train": partial(cifar.train, folder),
        "cub.train": partial(cub.train, folder),
        "ssd.train": partial(ssd.train, annotated),
        "ssd.val": partial(ssd.val, annotated),
        "faster_rcnn.train": partial(faster_rcnn.train, annotated),
        "faster_rcnn.val": partial(faster_rcnn.val, annotated),
        "captions.train": partial(captions.train, captioned, lambda sentence: [1]),
        "captions.val": partial(captions.val, captioned),
    }


@pytest.fixture(scope="module")
def photo(tmp_path_factory, photos):
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    save(photos[0][:96, :128], path)
    return path


@pytest.fixture(scope="module")
def data(photo):
    return graphs([photo] * 40)


GRAPHS = {
    "cifar.train": 64, "cub.train": 32, "ssd.train": 32, "ssd.val": 32, "faster_rcnn.train": 8, "faster_rcnn.val": 8,
    "captions.train": 20, "captions.val": 20,
}  # fmt: skip
"""The default batch size of each."""
EXPLICIT = inspect.signature(imagenet.val).parameters


@pytest.mark.parametrize("name", GRAPHS)
def test_each_graph_has_its_own_batch_size(data, name):
    assert data[name](device="cpu").state_dict()["binding"]["batch_size"] == GRAPHS[name]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("option", ["pading", "batchsize", "size_", "fused"])
def test_an_unknown_option_is_refused_by_name_with_those_that_are_allowed(data, name, option):
    allowed = ", ".join(dc.CommonOptions.__annotations__)
    told = rf"unexpected keyword argument '{option}'; allowed, besides the function's own, are {allowed}\.$"
    with pytest.raises(TypeError, match=told):
        data[name](**SMALL, **{option: 1})


@pytest.mark.parametrize("name", [name for name in GRAPHS if name.endswith(".val")])
@pytest.mark.parametrize("option", ["seed", "flip"])
def test_evaluation_draws_nothing_and_takes_no_seed(data, name, option):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        data[name](**SMALL, **{option: 0})


@pytest.mark.parametrize("name", GRAPHS)
def test_every_common_option_reaches_its_place(data, name):
    """Each with a value that only its place can refuse."""
    wrong = {
        "batch_size": (0, "batch_size=0 given"),
        "device": ("tpu", "device='tpu' given"),
        "shard": ((1, 1), r"shard=\(1, 1\) given"),
        "num_threads": (0, "num_threads=0 given"),
        "prefetch": (0, "prefetch=0 given"),
        "dtype": ("int8", "dtype='int8' given"),
        "max_pixels": (0, "max_pixels=0 given"),
        "formats": ("jpeg", "formats='jpeg' given"),
        "on_error": ("ignore", "on_error='ignore' given"),
        "max_bad": (2, "max_bad=2 given"),
        "retry": (-1, "retry=-1 given"),
        "after_break": ("stop", "after_break='stop' given"),
        "steps_per_epoch": (0, "steps_per_epoch=0 given"),
    }
    for option, (value, told) in wrong.items():
        with pytest.raises(ValueError, match=told):
            data[name](**SMALL | {option: value})
    one, other = (
        next(iter(data[name](**SMALL, mean=(0, 0, 0), std=std, channels_last=last)))[0]
        for std, last in (((1, 1, 1), False), ((2, 2, 2), True))
    )
    assert other.is_contiguous(memory_format=torch.channels_last)
    assert other.mul(2).allclose(one, atol=1e-3)
    assert set(wrong) | {"bad_log", "mean", "std", "channels_last"} == set(dc.CommonOptions.__annotations__)


@pytest.mark.parametrize("name", GRAPHS)
def test_bad_files_are_replaced_and_logged_as_asked(photo, name, tmp_path):
    bad, log = tmp_path / "bad.jpg", tmp_path / "log.jsonl"
    bad.write_bytes(b"no image")
    make = graphs([bad, *[photo] * 7])[name]
    assert len(list(make(**SMALL, on_error="replace", max_bad=0.125, bad_log=log))) in (4, 8)
    assert str(bad) in log.read_text()
    with pytest.raises(RuntimeError, match="max_bad"):
        list(make(**SMALL, on_error="replace", max_bad=0.1, bad_log=log))
    with pytest.raises(dc.DecodeError, match=r"bad\.jpg"):
        list(make(**SMALL))


def test_common_options_are_those_that_imagenet_writes_out():
    """With the same types, and with the defaults of the functions that they are handed to."""
    own = {"root", "size", "resize", "stretch", "num_classes"}
    assert {name: EXPLICIT[name].annotation for name in EXPLICIT if name not in own | {"batch_size"}} | {
        "batch_size": int
    } == dict(dc.CommonOptions.__annotations__)
    takers = (dc.pipeline_options, dc.normalize, dc.Loader, dc.padded_crop, dc.stretch_random_crop, dc.detection.decode)
    defaults = [inspect.signature(taker).parameters for taker in takers]
    for name in EXPLICIT.keys() - own - {"batch_size"}:
        given = {repr(parameters[name].default) for parameters in defaults if name in parameters}
        assert given == {repr(EXPLICIT[name].default)}, name


def test_what_is_given_comes_before_the_graphs_own_defaults():
    groups = dc.split_options({"mean": (1.0,)}, seed=3, batch_size=4, device="cpu", mean=(2.0,), std=(5.0,))
    assert groups.normalize == {"mean": (1.0,), "std": (5.0,)}
    assert (groups.crop, groups.loader, groups.shard) == ({}, {}, (0, 1))
    assert groups.pipeline == dc.pipeline_options(4, device="cpu", seed=3)


def test_ssd_fills_its_canvas_with_the_mean_that_is_given(data):
    black = data["ssd.train"](**SMALL, mean=(0, 0, 0), std=(1, 1, 1), zoom_out=1, distort=0)
    grey = data["ssd.train"](**SMALL, mean=(90, 90, 90), std=(1, 1, 1), zoom_out=1, distort=0)
    for (one, *_), (other, *_) in zip(black, grey, strict=True):
        filled = one == 0
        assert filled.any()
        assert (other[filled] == 0).float().mean() > 0.95
