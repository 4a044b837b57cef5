"""Decoding whole images instead of regions: the same batches, from the same state."""

import itertools
import json

import numpy as np
import pytest
import torch
from nvidia.dali import pipeline_def
from PIL import Image

import dali_cutmix as dc
from dali_cutmix._dali.pipeline_checkpoint import entries
from dali_cutmix.fused.cpu import is_compiled
from pipelines import imagenet
from tests.helpers import ROOT
from tests.helpers.edited_states import as_version_2
from tests.helpers.images import save
from tests.helpers.loaders import endless

POLICIES = {
    "cutmix": dc.CutMix(),
    "per_sample": dc.CutMix(probability=0.5, per_sample=True),
    "mixup": dc.Mixup(0.2),
    "cutout": dc.Cutout(per_sample=True),
    "one_of": dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None), (3, 2, 1, 1)),
    "none": None,
}
OLD_STATES = json.loads((ROOT / "tests" / "helpers" / "states_of_version_2.json").read_text())
"""Of loaders over ``photo_folder`` after three batches of 5, saved before windows were drawn apart from decoding."""


@pytest.fixture(scope="module")
def kinds_folder(tmp_path_factory, photos):
    """Every kind of image that decodes in its own way: turned by EXIF, progressive, gray, CMYK, PNG, tiny, long."""
    root = tmp_path_factory.mktemp("kinds")
    photo = Image.fromarray(photos[0]).resize((160, 110))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(photo, root / "a" / f"turned{orientation}.jpg", exif=exif.tobytes())
    for subsampling in range(3):
        save(photo, root / "b" / f"chroma{subsampling}.jpg", subsampling=subsampling)
        save(photo, root / "b" / f"progressive{subsampling}.jpg", subsampling=subsampling, progressive=True)
    save(photo.convert("L"), root / "c" / "gray.jpg")
    save(photo.convert("CMYK"), root / "c" / "cmyk.jpg")
    save(photo, root / "c" / "photo.png")
    save(photo.convert("L"), root / "c" / "gray.png")
    save(photo.resize((1, 1)), root / "d" / "pixel.jpg")
    save(photo.resize((900, 3)), root / "d" / "long.jpg")
    save(photo.resize((2, 700)), root / "d" / "high.jpg")
    save(photo.resize((17, 15)), root / "d" / "small.jpg")
    return root


def make(root, decode="auto", **options):
    options = {"batch_size": 5, "size": 40, "device": "cpu", "seed": 3} | options
    return imagenet.train(root, decode=decode, **options)


def take(loader, count):
    return [[tensor.clone() for tensor in batch] for batch in itertools.islice(endless(loader), count)]


def equal(one, other):
    return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_200_batches_and_their_states_are_the_same_however_images_are_decoded(photo_folder, policy):
    """Fused, where whole images reach the kernel and are not cropped before."""
    if not is_compiled():
        pytest.skip("dali_cutmix was built without a C++ compiler")
    region, whole = (make(photo_folder, way, mix=policy, size=24) for way in ("region", "whole"))
    for number, (one, other) in enumerate(zip(endless(region), endless(whole), strict=True)):
        assert all(map(torch.equal, one, other)), number
        if number % 50 == 0:
            assert region.state_dict() == whole.state_dict()
        if number == 199:
            break


def test_whole_images_reach_the_fused_pass_without_a_copy_of_the_window(photo_folder):
    if not is_compiled():
        pytest.skip("dali_cutmix was built without a C++ compiler")
    made = {fused: make(photo_folder, "whole", fused=fused)._producer for fused in (True, False)}
    operators = {
        fused: {name for name, _ in entries(producer.position.checkpoint) if name} for fused, producer in made.items()
    }
    assert not any("Slice" in name for name in operators[True])
    assert any("Slice" in name for name in operators[False]), "what the line above looks for"


def test_every_kind_of_image_gives_the_same_pixels(kinds_folder, fused):
    region, whole = (make(kinds_folder, way, fused=fused, batch_size=6, size=32) for way in ("region", "whole"))
    assert equal(take(region, 40), take(whole, 40))


def test_a_state_continues_where_images_are_decoded_in_the_other_way(photo_folder, fused):
    for saving, loading in [("region", "whole"), ("whole", "region")]:
        one, other = (make(photo_folder, way, fused=fused) for way in (saving, loading))
        take(one, 6)
        other.load_state_dict(json.loads(json.dumps(one.state_dict())))
        assert equal(take(one, 6), take(other, 6))


@pytest.mark.parametrize("way", ["region", "whole"])
@pytest.mark.parametrize("name", OLD_STATES)
def test_a_state_saved_before_windows_were_drawn_apart_continues(photo_folder, name, way):
    kind, policy = name.split("-")
    if kind == "fused" and not is_compiled():
        pytest.skip("dali_cutmix was built without a C++ compiler")
    options = {"mix": POLICIES[policy], "fused": kind == "fused"}
    expected = take(make(photo_folder, **options), 7)[3:]
    resumed = make(photo_folder, way, **options)
    resumed.load_state_dict(OLD_STATES[name])
    assert equal(take(resumed, 4), expected)


def test_the_pixels_are_those_of_dalis_own_random_crop(photo_folder):
    """The oracle: one operator that draws and decodes, with the same seed."""
    from nvidia.dali import fn, types

    def crops(random_crop):
        @pipeline_def(batch_size=8, num_threads=1, device_id=None, seed=7)
        def graph():
            return random_crop(dc.read_folder(photo_folder, shuffle=False)[0])

        pipeline = graph()
        return [np.array(crop) for _ in range(6) for crop in pipeline.run()[0]]

    def oracle(jpegs):
        options = {"random_area": [0.08, 1.0], "random_aspect_ratio": [3 / 4, 4 / 3], "num_attempts": 10}
        return fn.decoders.image_random_crop(jpegs, output_type=types.RGB, jpeg_fancy_upsampling=True, **options)

    expected = crops(oracle)
    for way in ("region", "whole"):
        assert all(map(np.array_equal, crops(lambda jpegs, way=way: dc.random_crop(jpegs, decode=way)), expected))


def test_a_damaged_state_is_refused(photo_folder):
    loader = make(photo_folder)
    good = loader.state_dict()
    for wrong in ("", "AAAA", "no base64", good["pipeline"][:40]):
        with pytest.raises(ValueError, match=r"the state is damaged .*cannot be continued exactly; load another one"):
            loader.load_state_dict(as_version_2(good, pipeline=wrong))


@pytest.mark.parametrize("function", [dc.random_crop, dc.random_resized_crop])
def test_an_unknown_way_is_refused(photo_folder, function):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        return function(dc.read_folder(photo_folder)[0], decode="half")

    with pytest.raises(ValueError, match=r"decode='half' given; allowed are 'auto', 'region' and 'whole'"):
        graph()


@pytest.mark.parametrize(("device", "way"), [("cpu", "region"), ("gpu", "whole")])
def test_by_default_a_cpu_decodes_regions_and_a_gpu_whole_images(photo_folder, monkeypatch, device, way):
    """There nvJPEG before 13.2 leaves regions of images with 4:2:0 chroma to the CPU."""
    found = {}

    @pipeline_def(batch_size=4, num_threads=1, device_id=None if device == "cpu" else 0)
    def graph(decode):
        crops = dc.random_crop(dc.read_folder(photo_folder)[0], decode=decode)
        found[decode] = crops.name.rpartition("_")[0]
        return crops

    for decode in ("auto", "region", "whole"):
        graph(decode)
    assert found["auto"] == found[way]
    assert found["region"] != found["whole"]
