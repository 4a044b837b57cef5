"""Fixtures of the fused pass's tests."""

import pytest

from tests.helpers import host_kernel


@pytest.fixture(scope="session")
def launch(tmp_path_factory):
    if host_kernel.compiler() is None:
        pytest.skip("needs a C++ compiler (g++ or clang++) to run resample.cu on the CPU")
    return host_kernel.build_resample(tmp_path_factory.mktemp("resample_cu"))
