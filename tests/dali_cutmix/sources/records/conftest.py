"""Fixtures of the tests of record files."""

import pytest


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def samples(photo_folder):
    """Encoded bytes and labels of 24 photographs in 4 classes."""
    return [(path.read_bytes(), "abcd".index(path.parent.name)) for path in sorted(photo_folder.rglob("*.jpg"))]


@pytest.fixture(params=[True, False], ids=["index", "no index"])
def index(request):
    return request.param
