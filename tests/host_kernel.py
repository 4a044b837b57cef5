"""Run ``paste.cu`` on the CPU: the very source of the GPU, built by the host's C++ compiler under a shim."""

import ctypes
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

SHIM = Path(__file__).with_name("cuda_shim.h")
SOURCE = files("dali_cutmix").joinpath("paste.cu")

LAUNCH = """
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


class Uchar4(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ubyte) for name in "xyzw"]


def compiler():
    """A C++ compiler of this machine, or None."""
    return next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)


def build(folder):
    """``launch(grid_x, grid_y, block, pointers, n, height, width, channels, fill, out)`` over the whole grid."""
    source = folder / "paste_host.cpp"
    source.write_text(f'#include "{SHIM}"\n{SOURCE.read_text()}\n{LAUNCH}')
    library = folder / "paste_host.so"
    flags = ["-O1", "-Wall", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    command = [compiler(), *flags, "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    launch = ctypes.CDLL(str(library)).launch
    launch.restype = None
    launch.argtypes = [ctypes.c_uint] * 3 + [ctypes.c_void_p] + [ctypes.c_int] * 4 + [Uchar4, ctypes.c_void_p]
    return launch
