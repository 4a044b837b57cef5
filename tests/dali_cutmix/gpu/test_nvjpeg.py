"""Which nvJPEG decodes, which images it will not decode, and what a JPEG file's header says."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.gpu.nvjpeg_limits import Nvjpeg, chroma, library, not_on_gpu
from tests.helpers import ROOT
from tests.helpers.host_kernel import compiler

OF_CUDA_12 = Nvjpeg("/site-packages/nvidia/nvjpeg/lib/libnvjpeg.so.12", (12, 4, 0))
OF_CUDA_13 = Nvjpeg("/site-packages/nvidia/cu13/lib/libnvjpeg.so.13", (13, 3, 2))
NEEDS_A_COMPILER = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here to build a library with")


def picture(mode="RGB", kind="JPEG", **options):
    rng = np.random.default_rng(0)
    bands = len(mode)
    image = Image.frombytes(mode, (48, 40), rng.integers(0, 256, 48 * 40 * bands, np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_factors(encoded, factors):
    """The file with other sampling factors written in its header."""
    at = encoded.index(b"\xff\xc0")
    changed = bytearray(encoded)
    for number, factor in enumerate(factors):
        changed[at + 11 + 3 * number] = factor
    return bytes(changed)


def with_segment(encoded, segment):
    return encoded[:2] + segment + encoded[2:]


# --- chroma


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("name", ["4:4:4", "4:2:2", "4:2:0"])
def test_chroma_of_what_pillow_writes(name, progressive):
    assert chroma(picture(subsampling=name, progressive=progressive)) == name


def test_chroma_without_three_components():
    assert chroma(picture("L")) == "gray"
    assert chroma(picture("CMYK")) == "CMYK"


def test_chroma_of_an_array():
    encoded = np.frombuffer(picture(subsampling="4:2:0"), np.uint8)
    assert chroma(encoded) == "4:2:0"
    encoded.flags.writeable = False
    assert chroma(encoded) == "4:2:0"


def test_chroma_is_not_that_of_a_thumbnail():
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    thumbnail = picture(subsampling="4:2:0")
    content = exif.tobytes() + thumbnail
    encoded = picture(subsampling="4:4:4", exif=content)
    assert thumbnail in encoded
    assert chroma(encoded) == "4:4:4"


def test_chroma_after_fill_bytes_and_long_segments():
    encoded = picture(subsampling="4:2:2")
    assert chroma(with_segment(encoded, b"\xff" * 7)) == "4:2:2"
    assert chroma(with_segment(encoded, b"\xff\xe2\xff\xff" + b"\xff\xc0\x00\x11" * 16383 + b"\0")) == "4:2:2"


def test_chroma_without_a_name_is_its_factors():
    assert chroma(with_factors(picture(), (0x31, 0x11, 0x11))) == "3x1/1x1/1x1"
    assert chroma(with_factors(picture(), (0x22, 0x21, 0x11))) == "2x2/2x1/1x1"


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00" * 100,
        b"not a picture at all",
        picture(kind="PNG"),
        picture(kind="WebP"),
        with_factors(picture(), (0x00, 0x11, 0x11)),
        with_factors(picture(), (0x11, 0x01, 0x01)),
    ],
)
def test_no_chroma_where_there_is_no_whole_header(encoded):
    assert chroma(encoded) is None


def test_a_header_that_is_cut_off_anywhere_has_no_chroma():
    encoded = picture(subsampling="4:2:0", exif=Image.Exif())
    end = encoded.index(b"\xff\xc0") + 2 + 17
    assert chroma(encoded[:end]) == "4:2:0"
    assert {chroma(encoded[:length]) for length in range(end)} == {None}


@given(
    st.lists(st.integers(1, 4).flatmap(lambda a: st.integers(1, 4).map(lambda d: 16 * a + d)), min_size=3, max_size=3)
)
@example([0x22, 0x21, 0x21])
@example([0x44, 0x22, 0x22])
def test_chroma_is_what_dalis_decoder_takes_it_for(factors):
    nvimgcodec = pytest.importorskip("nvidia.nvimgcodec")
    encoded = with_factors(picture(), factors)
    known = {int(value): name for name, value in nvimgcodec.ChromaSubsampling.__members__.items()}
    theirs = known.get(int(nvimgcodec.CodeStream(encoded).chroma_subsampling))
    ours = chroma(encoded)
    assert ours == (
        "/".join(f"{f >> 4}x{f & 15}" for f in factors) if theirs is None else ":".join(theirs[4:7]) + theirs[7:]
    )


def damaged(encoded):
    """Changed, cut, doubled and inserted bytes within and behind the header."""
    place = st.integers(0, len(encoded) - 1)
    return st.one_of(
        st.lists(st.tuples(place, st.integers(0, 255)), max_size=30).map(lambda edits: changed(encoded, edits)),
        place.map(lambda length: encoded[:length]),
        st.tuples(place, st.binary(max_size=40)).map(lambda a: encoded[: a[0]] + a[1] + encoded[a[0] :]),
        st.binary(max_size=200).map(lambda tail: b"\xff\xd8\xff" + tail),
    )


def changed(encoded, edits):
    encoded = bytearray(encoded)
    for place, value in edits:
        encoded[place] = value
    return bytes(encoded)


@given(damaged(picture(subsampling="4:2:0", progressive=True)))
def test_damaged_headers_never_raise_and_never_loop(encoded):
    assert chroma(encoded) is None or isinstance(chroma(encoded), str)
    not_on_gpu([encoded], regions=True, fancy_upsampling=True, nvjpeg=OF_CUDA_12)


# --- not_on_gpu


def said(images, library=OF_CUDA_12, regions=True, fancy_upsampling=True):
    line = not_on_gpu(images, regions=regions, fancy_upsampling=fancy_upsampling, nvjpeg=library)
    assert line is None or "\n" not in line
    return line


def test_an_old_nvjpeg_decodes_no_regions_of_subsampled_images():
    images = [picture(subsampling="4:2:0")] * 12 + [picture(subsampling="4:4:4")] * 3 + [picture("L")]
    assert said(images) == (
        "The CPU, not the GPU, will decode 12 of 16 images looked at. 12 are 4:2:0: with fancy upsampling, a GPU "
        "decodes regions of these with nvJPEG 13.2 or newer only, not with nvJPEG 12.4.0 "
        "(/site-packages/nvidia/nvjpeg/lib/libnvjpeg.so.12). "
        "Pass decode=\"whole\", or install 'dali_cutmix[cuda13]' in place of [cuda12] (driver for CUDA 13)."
    )


def test_shares_are_named_for_each_kind():
    images = [picture(subsampling="4:2:2"), picture(subsampling="4:2:0"), picture(subsampling="4:2:0"), picture("CMYK")]
    assert "decode 4 of 4 images looked at. 2 are 4:2:0, 1 is 4:2:2, 1 is CMYK: with" in said(images)


def test_nothing_to_say():
    subsampled = [picture(subsampling="4:2:0")]
    assert said(subsampled, OF_CUDA_13) is None
    assert said(subsampled, Nvjpeg("/lib/libnvjpeg.so.13", (13, 2, 0))) is None
    assert said(subsampled, regions=False) is None
    assert said(subsampled, fancy_upsampling=False) is None
    assert said([picture(subsampling="4:4:4"), picture("L")]) is None
    assert said([b"damaged"]) is None
    assert said([]) is None


def test_without_an_nvjpeg_the_cpu_decodes():
    assert said([picture()], None, regions=False) == (
        "The CPU, not the GPU, will decode all images: no nvJPEG library was found. "
        "pip install 'dali_cutmix[cuda12]' or 'dali_cutmix[cuda13]' brings one."
    )


def test_a_too_old_nvjpeg_is_not_used_at_all():
    assert said([picture(subsampling="4:4:4")], Nvjpeg("/opt/libnvjpeg.so.12", (12, 0, 1)), regions=False) == (
        "The CPU, not the GPU, will decode all images: nvJPEG 12.0.1 (/opt/libnvjpeg.so.12) is older than 12.1, the "
        "oldest that DALI's decoder works with. To fix it, pip install --upgrade nvidia-nvjpeg-cu12."
    )


def test_formats_that_only_the_cpu_decodes():
    images = [picture(kind="PNG"), picture(kind="PNG"), picture(kind="WebP"), picture(kind="BMP"), picture()]
    assert said(images, OF_CUDA_13, regions=False) == (
        "The CPU, not the GPU, will decode 4 of 5 images looked at. 2 are PNG, 1 is WebP, 1 is BMP, which a GPU does "
        "not decode: convert them to JPEG."
    )


def test_both_reasons_in_one_line():
    line = said([picture(kind="PNG"), picture(subsampling="4:2:0"), picture(subsampling="4:4:4")])
    assert line.startswith("The CPU, not the GPU, will decode 2 of 3 images looked at. 1 is 4:2:0: with fancy")
    assert line.endswith(" 1 is PNG, which a GPU does not decode: convert them to JPEG.")


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("{folder}/libnvjpeg.so.13", "unset LD_LIBRARY_PATH, which brings this one"),
        (
            "/site-packages/torchvision.libs/libnvjpeg.36e11081.so.13",
            "import dali_cutmix before torchvision, which brings this one",
        ),
        ("/site-packages/nvidia/cu13/lib/libnvjpeg.so.13", "pip install --upgrade nvidia-nvjpeg"),
    ],
)
def test_where_the_library_comes_from_decides_what_to_do(path, remedy, tmp_path, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    monkeypatch.setattr(nvjpeg_limits, "library_path", lambda: ["/nowhere", str(link)])
    older = Nvjpeg(path.format(folder=tmp_path), (13, 0, 1))
    assert said([picture(subsampling="4:2:0")], older).endswith(f' Pass decode="whole", or {remedy}.')


# --- library


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


REGION = """
import sys
import numpy as np
from nvidia.dali import fn, pipeline_def

@pipeline_def(batch_size=4, num_threads=2, device_id=0)
def graph():
    encoded = np.fromfile(sys.argv[1], np.uint8)
    encoded = fn.external_source(source=lambda: [encoded] * 4, batch=True)
    return fn.decoders.image_random_crop(encoded, device="mixed", jpeg_fancy_upsampling=True)

pipe = graph()
pipe.build()
pipe.run()[0].as_cpu()
from dali_cutmix.gpu.nvjpeg_limits import library, not_on_gpu
print(not_on_gpu([np.fromfile(sys.argv[1], np.uint8)], regions=True, fancy_upsampling=True, nvjpeg=library()))
"""


@pytest.mark.gpu
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_on_a_gpu_the_decoder_refuses_what_is_foretold(subsampling, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture(subsampling=subsampling))
    done = subprocess.run([sys.executable, "-c", REGION, photo], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused = "ROI decode with fancy upsampling" in done.stdout + done.stderr
    assert refused == (done.stdout.splitlines()[-1] != "None"), done.stdout + done.stderr
