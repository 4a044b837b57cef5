"""Fixtures of the benchmarks' tests: a folder of small JPEGs, and a cache folder of each file's own."""

import pytest

from bench.common.photos import packed_photos, photo_folder
from tests.helpers.images import write_photos


@pytest.fixture(scope="module")
def small_cache(tmp_path_factory):
    """Long epochs are short ones, in a folder of this test module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for module in (photo_folder, packed_photos):
            patch.setattr(module, "EPOCH", 48)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of 24 images."""
    return write_photos(tmp_path_factory.mktemp("photos"))
