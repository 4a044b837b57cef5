"""Fixtures of CIFAR's tests: each layout as a folder and an archive, and a cache of each test's own."""

import pytest

from tests.helpers.cifar_archives import FORMS, make_data, pack, write_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dali_cutmix"


@pytest.fixture(scope="session")
def forms(tmp_path_factory):
    """Of each form: its images and labels, its folder and its archive."""
    made = {}
    for name in FORMS:
        data = make_data(name)
        root = write_folder(tmp_path_factory.mktemp("cifar"), name, data)
        made[name] = (data, root, pack(root))
    return made


@pytest.fixture
def folder(tmp_path):
    """``folder(name)``: a form of one's own, to damage."""
    return lambda name, **options: write_folder(tmp_path / "own", name, make_data(name, **options))
