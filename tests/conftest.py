"""Fixtures that all tests share: small folders of images, made once for each run; GPU tests are skipped without one."""

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.images import save

settings.register_profile("here", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("here")


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU; torch.cuda.is_available() is False"))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # one of pytest-xdist's processes
        session.config.workeroutput["tally"] = dict(tally.COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    tally.COUNTS.update(getattr(node, "workeroutput", {}).get("tally", {}))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(tally.summary())


@pytest.fixture(scope="session")
def colours():
    """One colour for each of 12 classes, in levels; any two differ by 127 or more in some channel."""
    cube = [(r, g, b) for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)]
    return np.array(cube[::2][:12], np.uint8)


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory, colours):
    """50 JPEGs of plain colours, 12 classes with 4 or 5 images each, of several sizes and shapes."""
    root = tmp_path_factory.mktemp("colours")
    for i in range(50):
        label = i % len(colours)
        image = Image.new("RGB", (40 + i, 90 - i), tuple(map(int, colours[label])))
        save(image, root / f"class{label:02d}" / f"{i:02d}.jpg")
    return root


@pytest.fixture(scope="session")
def numbered_folder(tmp_path_factory):
    """``folder(n)``: n tiny gray JPEGs, each a class of its own, so that a label names the sample."""
    made = {}

    def folder(n):
        if n not in made:
            made[n] = tmp_path_factory.mktemp(f"numbered{n}")
            for i in range(n):
                save(Image.new("L", (8, 8), i * 255 // n), made[n] / f"{i:04d}" / "a.jpg")
        return made[n]

    return folder


@pytest.fixture(scope="session")
def photos():
    """Two real photographs, 427×640×3 uint8."""
    from sklearn.datasets import load_sample_images

    return load_sample_images().images


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory, photos):
    """24 crops of the two photographs in 4 classes, JPEGs of about 100×140 pixels."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(24):
        height, width = rng.integers(90, 130), rng.integers(100, 180)
        y, x = rng.integers(0, 427 - height), rng.integers(0, 640 - width)
        save(photos[i % 2][y : y + height, x : x + width], root / "abcd"[i % 4] / f"{i:02d}.jpg")
    return root


@pytest.fixture(params=[False, True], ids=["dali", "fused"])
def fused(request):
    """Both ways to mix: DALI's operators, and the fused pass where it is built."""
    if request.param and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param


@pytest.fixture(params=["val", "train", "fused"])
def kind(request):
    """Each kind of loader: evaluation, training by DALI's operators, training by the fused pass."""
    if request.param == "fused" and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param
