"""Fixtures of the tests of data sources."""

import shutil

import pytest

import dali_cutmix as dc


@pytest.fixture
def copy(packed, photo_folder, tmp_path):
    """Shards of the photo folder for a test to spoil."""
    return shutil.copytree(packed(photo_folder), tmp_path / "copy")


@pytest.fixture(params=["val", "train", "fused"])
def kind(request):
    if request.param == "fused" and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param
