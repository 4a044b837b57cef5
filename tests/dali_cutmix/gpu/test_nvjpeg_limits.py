"""Images that the nvJPEG at hand will not decode are named before training starts, with the reason."""

import subprocess
import sys

import pytest

from dali_cutmix.gpu import nvjpeg_limits
from dali_cutmix.gpu.nvjpeg_limits import Nvjpeg, not_on_gpu
from tests.helpers import ROOT
from tests.helpers.encoded import OF_CUDA_12, OF_CUDA_13, picture


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
