"""A loader for a GPU warns before it starts where the CPU will decode; no GPU is needed to see it."""

import warnings

import pytest
import torch
from PIL import Image

from dali_cutmix.gpu import decode_warning, nvjpeg_limits
from pipelines import imagenet
from tests.helpers.images import save

OLD, NEW = (nvjpeg_limits.Nvjpeg("/lib/libnvjpeg.so", version) for version in ((12, 4, 0), (13, 3, 0)))


@pytest.fixture(autouse=True)
def on_a_gpu(monkeypatch):
    """As if there were a GPU, up to the point where CUDA is asked for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    decode_warning._warn.cache_clear()


@pytest.fixture(scope="module")
def folders(tmp_path_factory, photos):
    root = tmp_path_factory.mktemp("folders")
    photo = Image.fromarray(photos[0]).resize((80, 60))
    for kind, subsampling in {"4:2:0": 2, "4:4:4": 0}.items():
        for number in range(20):
            save(photo, root / kind / "a" / f"{number}.jpg", subsampling=subsampling)
    for number in range(20):
        save(photo, root / "png" / "a" / f"{number}.png")
    return root


def said(folder, make=imagenet.train, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(RuntimeError, match="CUDA is not available"):
            make(folder, batch_size=4, size=16, device="cuda:0", **options)
    return [str(warning.message) for warning in caught if "not the GPU" in str(warning.message)]


without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so the loader would start")


@without_gpu
@pytest.mark.parametrize("fused", [True, False])
def test_regions_of_subsampled_images_are_told_once_in_one_line(folders, monkeypatch, fused):
    monkeypatch.setattr(nvjpeg_limits, "library", lambda: OLD)
    (line,) = said(folders / "4:2:0", decode="region", fused=fused)
    assert "16 of 16 images looked at" in line
    assert "16 are 4:2:0" in line
    assert "nvJPEG 12.4.0" in line
    assert 'decode="whole"' in line
    assert "dali_cutmix[cuda13]" in line
    assert "\n" not in line
    assert said(folders / "4:2:0", decode="region", fused=fused) == [], "once"


@without_gpu
@pytest.mark.parametrize(
    ("kind", "library", "options"),
    [
        ("4:2:0", OLD, {}),  # whole images are the default
        ("4:2:0", NEW, {"decode": "region"}),
        ("4:4:4", OLD, {"decode": "region"}),
    ],
    ids=str,
)
def test_nothing_is_said_where_the_gpu_decodes(folders, monkeypatch, kind, library, options):
    monkeypatch.setattr(nvjpeg_limits, "library", lambda: library)
    assert said(folders / kind, **options) == []


@without_gpu
def test_evaluation_says_it_too(folders, monkeypatch):
    monkeypatch.setattr(nvjpeg_limits, "library", lambda: NEW)
    (line,) = said(folders / "png", imagenet.val)
    assert "16 are PNG" in line


@without_gpu
def test_images_that_cannot_be_read_are_not_looked_at(folders, monkeypatch, tmp_path):
    for number in range(16):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / f"{number:02d}.jpg").symlink_to(folders / "4:2:0" / "a" / f"{number}.jpg")
    (tmp_path / "a" / "03.jpg").unlink()
    (tmp_path / "a" / "03.jpg").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(nvjpeg_limits, "library", lambda: OLD)
    (line,) = said(tmp_path, decode="region")
    assert "15 of 15 images looked at" in line
