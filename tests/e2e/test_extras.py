"""What `pip install 'dali_cutmix[cuda12]'` brings, on a machine that has a driver only."""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.helpers import ROOT

# CuPy needs a GPU only to ask for its architecture: the options, NVRTC and the call are CuPy's own.
COMPILE = """
import importlib.util, pathlib, sys
from cupy._core import core
from cupy.cuda import compiler

compiler._get_arch_for_options_for_nvrtc = lambda arch: (f"-arch=compute_{arch}", "ptx")
folder = pathlib.Path(importlib.util.find_spec("dali_cutmix").submodule_search_locations[0])
options = core.assemble_cupy_compiler_options(())
print(options[-1])
ptx, _ = compiler.compile_using_nvrtc((folder / sys.argv[1]).read_text(), options, arch="90")
print(ptx.decode())
with open("/proc/self/maps") as maps:
    print(*{line.split()[-1] for line in maps if "/libnvrtc.so" in line})
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def run(*command):
    """The command's output, in an environment that names no CUDA toolkit."""
    elsewhere = {"CUDA_PATH", "CUDA_HOME", "CONDA_PREFIX", "LD_LIBRARY_PATH", "PYTHONPATH"}
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def extra_of(wheel, extra):
    """The requirements that an extra adds."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name))
    wanted = map(Requirement, metadata.get_all("Requires-Dist"))
    return [f"{r.name}{r.specifier}" for r in wanted if r.marker and r.marker.evaluate({"extra": extra})]


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["cuda12", "cuda13"])
def test_the_kernels_compile_with_what_an_extra_brings(wheel, extra):
    # Without PyTorch, whose CUDA builds happen to bring NVRTC along and whose CPU build does not.
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
        run(python, "-m", "pip", "install", "--quiet", *extra_of(wheel, extra))
        for source, entry in [("fused/resample.cu", "resample_and_mix"), ("mixing/paste.cu", "paste")]:
            said = run(python, "-c", COMPILE, source)
            assert f".visible .entry {entry}(" in said
            headers, nvrtc = said.splitlines()[0].removeprefix("-I"), said.splitlines()[-1]
            assert Path(headers).is_relative_to(folder), "the CUDA headers of the machine, not of the extra"
            assert Path(nvrtc).is_relative_to(folder), "the NVRTC of the machine, not of the extra"
