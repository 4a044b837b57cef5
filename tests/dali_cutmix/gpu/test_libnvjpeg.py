"""The nvJPEG library that DALI loads, found without loading it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dali_cutmix.gpu.nvjpeg_limits import library
from tests.helpers import ROOT
from tests.helpers.host_kernel import compiler

NEEDS_A_COMPILER = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here to build a library with")


def python(code, **environment):
    """What a new process says."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"} | environment
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def name_of_the_library():
    return Path(library().path).name


def stand_in(folder, file, version, soname=None):
    """A library of the same name that knows its version and nothing else."""
    program = folder / "nvjpeg.cpp"
    cases = "".join(f"if (which == {number}) *value = {part};" for number, part in enumerate(version))
    program.write_text(f'extern "C" int nvjpegGetProperty(int which, int* value) {{ {cases} return 0; }}')
    name = soname or file
    built = [compiler(), "-shared", "-fPIC", f"-Wl,-soname,{name}", program, "-o", folder / file]
    subprocess.run(list(map(str, built)), check=True)
    return folder / file


BEFORE_AND_AFTER = """
import io
from PIL import Image
from nvidia.dali import fn, pipeline_def
import numpy as np
# The module alone: the package loads the library when it is imported.
library = __import__("runpy").run_path("dali_cutmix/_dali/libnvjpeg.py")["library"]

def maps():
    with open("/proc/self/maps") as lines:
        return {line.split()[-1] for line in lines if "libnvjpeg.so" in line}

print(library(), maps())
file = io.BytesIO()
Image.new("RGB", (64, 48)).save(file, "JPEG")

@pipeline_def(batch_size=1, num_threads=1, device_id=None)
def graph():
    encoded = np.frombuffer(file.getvalue(), np.uint8)
    return fn.decoders.image(fn.external_source(source=lambda: [encoded], batch=True))

pipe = graph()
pipe.build()
pipe.run()
print(library(), maps())
"""


def test_the_library_is_the_one_that_dali_loads_and_is_not_loaded_by_asking():
    before, after = python(BEFORE_AND_AFTER)
    found = library()
    assert found.version >= (12, 1, 0)
    assert before == f"{found} set()"
    assert after == f"{found} {{{found.path!r}}}"


@NEEDS_A_COMPILER
def test_ld_library_path_comes_first(tmp_path):
    path = stand_in(tmp_path, name_of_the_library(), (12, 0, 7))
    before, after = python(BEFORE_AND_AFTER, LD_LIBRARY_PATH=f"/nowhere:{tmp_path}")
    assert before == f"nvJPEG 12.0.7 ({path}) set()"
    assert after == f"nvJPEG 12.0.7 ({path}) {{{str(path)!r}}}"


@NEEDS_A_COMPILER
def test_dalis_decoder_refuses_an_nvjpeg_that_is_too_old(tmp_path):
    stand_in(tmp_path, name_of_the_library(), (12, 0, 7))
    lines = python("import os; os.dup2(1, 2); import nvidia.nvimgcodec", LD_LIBRARY_PATH=str(tmp_path))
    assert any("12.0.7 is older than minimum required version 12.1" in line for line in lines), lines


@NEEDS_A_COMPILER
def test_a_change_of_ld_library_path_while_running_is_nothing_to_the_loader(tmp_path):
    stand_in(tmp_path, name_of_the_library(), (12, 0, 7))
    code = f"import os; os.environ['LD_LIBRARY_PATH'] = {str(tmp_path)!r}\n{BEFORE_AND_AFTER}"
    before, after = python(code)
    assert before == f"{library()} set()"
    assert after.startswith(str(library()))


ANOTHER_FIRST = """
import ctypes
{first}
library = __import__("runpy").run_path("dali_cutmix/_dali/libnvjpeg.py")["library"]
ctypes.CDLL({path!r})
print(library())
from nvidia import nvimgcodec
print(library())
"""


@NEEDS_A_COMPILER
def test_another_packages_copy_takes_its_place_unless_dali_cutmix_is_imported_first(tmp_path):
    """torchvision brings one with the same SONAME."""
    path = stand_in(tmp_path, "libnvjpeg.36e11081.so", (12, 3, 9), name_of_the_library())
    assert python(ANOTHER_FIRST.format(first="", path=str(path))) == [f"nvJPEG 12.3.9 ({path})"] * 2
    assert python(ANOTHER_FIRST.format(first="import dali_cutmix", path=str(path))) == [str(library())] * 2


ANOTHER_INSTALLATION = """
import nvidia
library = __import__("runpy").run_path("dali_cutmix/_dali/libnvjpeg.py")["library"]
nvidia.__path__ = [{folder!r} + "/nvidia"]
print(library())
"""


def install(folder, content):
    """A package in the place of the installed decoder, with no more than a dynamic section has of names and folders."""
    extension = folder / "nvidia" / "nvimgcodec" / "extensions" / "libnvjpeg_ext.so.0.9.0"
    extension.parent.mkdir(parents=True)
    extension.write_bytes(content)
    (folder / "nvidia" / "nvimgcodec" / "__init__.py").touch()


@NEEDS_A_COMPILER
def test_names_and_folders_are_those_of_the_installed_decoder(tmp_path):
    install(tmp_path, b"\0libnvjpeg.so\0libnvjpeg.so.98\0$ORIGIN:$ORIGIN/../../cu98/lib:/usr/local/cuda/lib64\0")
    folder = tmp_path / "nvidia" / "cu98" / "lib"
    folder.mkdir(parents=True)
    path = stand_in(folder, "libnvjpeg.so.98", (98, 1, 2))
    assert python(ANOTHER_INSTALLATION.format(folder=str(tmp_path))) == [f"nvJPEG 98.1.2 ({path})"]


def test_no_library_where_there_is_none(tmp_path):
    install(tmp_path, b"\0libnvjpeg.so.98\0$ORIGIN\0")
    assert python(ANOTHER_INSTALLATION.format(folder=str(tmp_path))) == ["None"]
