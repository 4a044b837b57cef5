"""Formats: what a training graph does not decode is named as not supported, and never reaches a decoder."""

import json

import pytest

from dali_cutmix.check import main
from pipelines import imagenet
from tests.helpers import tally
from tests.helpers.bad_files import BAD, GOOD
from tests.helpers.checking import named
from tests.helpers.crafted_images import bmp, crashing_png, png, saved

FILES = {
    "animated.png": crashing_png(),
    "gray.tif": saved("TIFF", "L"),
    "of 32 bits.tif": saved("TIFF", "I"),
    "cut off.jp2": saved("JPEG2000")[:-40],
    "RLE8.bmp": bmp(8, [b"\1\0" * 9] * 13, bytes(1024), compression=1),
    "good.jp2": saved("JPEG2000"),
    "good.png": png(),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "data"
    (root / "a").mkdir(parents=True)
    for name, content in FILES.items():
        (root / "a" / f"{name}.png").write_bytes(content)  # the name does not matter
    return root


@pytest.mark.parametrize(
    ("options", "not_supported", "damaged"),
    [
        ([], {"animated.png", "gray.tif", "of 32 bits.tif", "cut off.jp2", "RLE8.bmp", "good.jp2"}, set()),
        (
            ["--formats=png,tiff,jpeg2000,bmp"],
            {"animated.png", "of 32 bits.tif", "RLE8.bmp"},
            {"cut off.jp2"},
        ),
        (["--formats=tiff"], {*FILES} - {"gray.tif"}, set()),
    ],
    ids=["default", "most", "one"],
)
def test_what_is_not_decoded_is_not_called_damaged(folder, capfd, options, not_supported, damaged):
    assert main([str(folder), *options]) == 1
    out = capfd.readouterr().out
    bad = not_supported | damaged
    assert set(named(out)) == {f"{folder}/a/{name}.png" for name in bad}
    assert "crashes" not in out
    counts = f"{len(damaged)} damaged, " * bool(damaged) + f"{len(not_supported)} not supported"
    assert out.endswith(f"7 images checked, {len(bad)} of them bad: {counts}\n")
    tally.count("bad", len(bad))


def replaced(make, folder, log, **options):
    """Path and kind of every file that a loader replaced in one epoch."""
    loader = make(folder, batch_size=1, size=16, device="cpu", on_error="replace", max_bad=1.0, bad_log=log, **options)
    for _ in loader:
        pass
    return {entry["path"] for entry in map(json.loads, log.read_text().splitlines())}


def test_the_verdict_is_that_of_loaders(folder, tmp_path, capfd):
    for what, write in (BAD | GOOD).items():
        write(folder / "a" / f"{what}.jpg")
    assert main([str(folder), f"--json={tmp_path / 'bad.json'}"]) == 1
    found = {entry["path"]: entry["kind"] for entry in json.loads((tmp_path / "bad.json").read_bytes())["bad"]}
    assert replaced(imagenet.val, folder, tmp_path / "val", resize=16) == set(found)
    in_training = replaced(imagenet.train, folder, tmp_path / "train", mix=None)
    assert in_training <= set(found)
    assert in_training >= {path for path, kind in found.items() if kind != "damaged"}
