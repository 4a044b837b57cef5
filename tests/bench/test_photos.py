"""The photographs that the benchmarks create, and long epochs that repeat them."""

import hashlib
from collections import Counter

import pytest
from PIL import Image

from bench.common.photos import photo_folder, sample_photos
from bench.loaders.comparison.settings import settings_for, shared_settings


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dali_cutmix"


def test_sample_photos_are_the_same_files_every_time(tmp_path):
    one, two = (sample_photos.make_sample_photos(tmp_path / name, images=12) for name in ("one", "two"))
    assert digest(one) == digest(two)
    assert len(digest(one)) == 12
    assert len({content for _, content in digest(one)}) == 12


def test_sample_photos_have_sizes_of_imagenet(tmp_path):
    for path in sample_photos.make_sample_photos(tmp_path / "photos", images=12).rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.size in sample_photos.SIZES
        assert path.stat().st_size > 20_000


def chroma(path):
    with Image.open(path) as image:
        if image.mode == "L":
            return "gray"
        return {(1, 1): "4:4:4", (2, 2): "4:2:0"}[image.layer[0][1:3]]


def shares(root):
    return Counter(chroma(path) for path in root.rglob("*.jpg"))


def test_for_a_gpu_the_sample_photos_have_mixed_chroma_in_a_folder_of_their_own(monkeypatch):
    monkeypatch.setattr(sample_photos, "SIZES", ((48, 32), (32, 48)))  # written in no time, and in the same way
    monkeypatch.setattr(sample_photos.make_sample_photos, "__defaults__", (None, 50, False))
    on_cpu, on_gpu = photo_folder.open_photos(None, "cpu"), photo_folder.open_photos(None, "cuda:0")
    assert (on_cpu.chroma, on_gpu.chroma) == ("4:2:0", "mixed")
    assert on_cpu.root != on_gpu.root
    assert shares(on_cpu.root) == {"4:2:0": 50}
    assert shares(on_gpu.root) == {"4:2:0": 39, "4:4:4": 10, "gray": 1}
    settings = settings_for(on_gpu, size=8, batch_size=2, threads=1, device="cpu")
    assert shared_settings(settings, on_gpu, 1.0, 1)["chroma"] == "mixed"


def test_of_a_folder_of_the_users_the_chroma_is_not_claimed(tmp_path):
    folder = sample_photos.make_sample_photos(tmp_path / "photos", images=4)
    assert photo_folder.open_photos(folder, "cuda:0").chroma is None
    assert photo_folder.open_photos(folder, "cuda:0").root == folder.resolve()


def test_sample_photos_are_made_once(tmp_path):
    folder = sample_photos.make_sample_photos(tmp_path / "photos", images=4)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert {
        path: path.stat().st_mtime_ns for path in sample_photos.make_sample_photos(folder, images=4).rglob("*.jpg")
    } == before


def test_a_long_epoch_repeats_every_image_equally_often(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(photo_folder, "EPOCH", 10)
    folder = photo_folder.open_photos(sample_photos.make_sample_photos(tmp_path / "photos", images=4))
    root, images = photo_folder.long_epoch(folder)
    assert images == 12
    assert root.parent == cache
    links = list(root.rglob("*.jpg"))
    assert len(links) == 12
    assert {link.resolve() for link in links} == set((tmp_path / "photos").resolve().rglob("*.jpg"))
    assert all(link.parent.name == link.resolve().parent.name for link in links)
    assert photo_folder.long_epoch(folder) == (root, 12)


def test_a_long_epoch_holds_nested_images_in_their_class(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(photo_folder, "EPOCH", 6)
    photos = sample_photos.make_sample_photos(tmp_path / "photos", images=2)
    first = min(photos.rglob("*.jpg"))
    (first.parent / "deep" / "er").mkdir(parents=True)
    first.rename(first.parent / "deep" / "er" / "1.jpg")
    root, images = photo_folder.long_epoch(photo_folder.open_photos(photos))
    assert images == 6
    links = sorted(root.glob(f"{first.parent.name}/*"))
    assert [link.name for link in links if "deep" in link.name] == [f"0000{n}-deep-er-1.jpg" for n in range(3)]
    assert len({link.resolve() for link in root.rglob("*.jpg")}) == 2


def test_a_folder_that_is_long_enough_is_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(photo_folder, "EPOCH", 4)
    folder = photo_folder.open_photos(sample_photos.make_sample_photos(tmp_path / "photos", images=4))
    assert photo_folder.long_epoch(folder) == (folder.root, 4)
