"""Builds the one compiled file, a plain shared library without Python's ABI; all else is in pyproject.toml."""

from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext


class BuildLibrary(build_ext):
    """Name the library without a tag of the Python version: ctypes loads it."""

    def get_ext_filename(self, fullname: str) -> str:  # noqa: D102
        return fullname.replace(".", "/") + ".so"


class AnyPython(bdist_wheel):
    """One wheel for every Python 3 of a platform."""

    def get_tag(self) -> Any:  # noqa: D102
        return ("py3", "none", super().get_tag()[2])


setup(
    ext_modules=[
        Extension(
            "dali_cutmix.fused.libresample",
            ["dali_cutmix/fused/resample.cpp"],
            language="c++",
            depends=["dali_cutmix/fused/resample_any.h", "dali_cutmix/fused/resample_avx512.h"],
            # No warnings of vectors that are passed to inlined functions only, nor of GCC's own headers.
            extra_compile_args=["-O3", "-std=c++17", "-Wno-psabi", "-Wno-uninitialized", "-Wno-maybe-uninitialized"],
            optional=True,  # without a compiler the library works all the same, through DALI's own operators
        )
    ],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": AnyPython},
)
