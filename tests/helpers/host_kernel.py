"""The CUDA kernels run on the CPU: the GPU's own sources, built by the host's C++ compiler under a shim."""

import ctypes
import shutil
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from dali_cutmix.fused.cuda import kernel_source

SHIM = Path(__file__).with_name("cuda_shim.h")

PASTE = """
extern "C" void launch(unsigned grid_x, unsigned grid_y, unsigned block, const unsigned long long* pointers, int n,
                       int height, int width, int channels, uchar4 fill, unsigned char* out) {
    gridDim = {grid_x, grid_y, 1};
    blockDim = {block, 1, 1};
    for (blockIdx.y = 0; blockIdx.y < grid_y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < grid_x; ++blockIdx.x)
            for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x)
                paste(pointers, n, height, width, channels, fill, out);
}
"""

RESAMPLE = """
extern "C" void launch(unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block, const Sample* samples,
                       void* out, int size, int dtype, int channels_last, const float* scale, const float* shift) {
    host::run({grid_x, grid_y, grid_z}, block, [=] {
        resample_and_mix(samples, out, size, dtype, channels_last, scale[0], scale[1], scale[2], shift[0], shift[1],
                         shift[2]);
    });
}
"""


class Uchar4(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ubyte) for name in "xyzw"]


def compiler():
    """A C++ compiler of this machine, or None."""
    return next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)


def _build(folder, name, launch):
    program, library = folder / f"{name}_host.cpp", folder / f"{name}_host.so"
    program.write_text(f'#include "{SHIM}"\n{source(name)}\n{launch}')
    flags = ["-O1", "-std=c++17", "-fno-strict-aliasing", "-Wall", "-Werror"]
    flags += ["-Wno-unused-function", "-Wno-unknown-pragmas"]
    undefined = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    command = [compiler(), *flags, *undefined, "-shared", "-fPIC", str(program), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library)).launch


def source(name):
    """The kernel's source, ``paste`` or ``resample``."""
    return kernel_source() if name == "resample" else files("dali_cutmix.mixing").joinpath("paste.cu").read_text()


@cache
def compile_for_gpu(name, architecture, *macros):
    """The machine code of a kernel for a GPU, by NVRTC, which needs none; warnings are errors.

    Macros are names and their values: ``COLUMNS=128``.
    """
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")

    def call(function, *arguments):
        status, *values = function(*arguments)
        assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, (function.__name__, status)
        return values[0] if values else None

    program = call(nvrtc.nvrtcCreateProgram, source(name).encode(), f"{name}.cu".encode(), 0, [], [])
    options = [
        f"--gpu-architecture={architecture}",
        *(f"-D{macro}" for macro in macros),
    ]  # -Werror is not in all versions
    options = [option.encode() for option in options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    # NVRTC writes into these bytes: never one byte alone, which Python shares with everybody.
    log = bytes(call(nvrtc.nvrtcGetProgramLogSize, program) + 1)
    call(nvrtc.nvrtcGetProgramLog, program, log)
    assert status == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode()
    assert not log.strip(b"\0 \n"), log.decode()
    cubin = bytes(call(nvrtc.nvrtcGetCUBINSize, program) + 1)
    call(nvrtc.nvrtcGetCUBIN, program, cubin)
    return cubin


def build_paste(folder):
    """``launch(grid_x, grid_y, block, pointers, n, height, width, channels, fill, out)`` over the whole grid."""
    launch = _build(folder, "paste", PASTE)
    launch.restype = None
    launch.argtypes = [ctypes.c_uint] * 3 + [ctypes.c_void_p] + [ctypes.c_int] * 4 + [Uchar4, ctypes.c_void_p]
    return launch


def build_resample(folder):
    """``launch(grid_x, grid_y, grid_z, block, samples, out, size, dtype, channels_last, scale, shift)``."""
    launch = _build(folder, "resample", RESAMPLE)
    launch.restype = None
    launch.argtypes = [ctypes.c_uint] * 4 + [ctypes.c_void_p] * 2 + [ctypes.c_int] * 3 + [ctypes.c_void_p] * 2
    return launch
