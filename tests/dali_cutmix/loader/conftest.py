"""Fixtures of the loader's tests."""

import pytest

import dali_cutmix as dc


@pytest.fixture(params=[False, True], ids=["dali", "fused"])
def fused(request):
    if request.param and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param
