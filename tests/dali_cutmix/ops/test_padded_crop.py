"""Zero-padded random crop: torchvision's windows, every one of them equally often."""

import json

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def
from scipy import stats
from torchvision.transforms import v2

import dali_cutmix as dc
from tests.helpers.images import save

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


def numbered(height, width):
    """An image whose red tells the column and whose green tells the row; no pixel of it is black."""
    image = np.full((height, width, 3), 200, np.uint8)
    image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``folder(height, width)``: one lossless numbered image of that size."""

    def make(height, width):
        root = tmp_path_factory.mktemp("numbered")
        save(numbered(height, width), root / "a" / "1.png")
        return root

    return make


def crops(root, count, batch_size=100, seed=1, **options):
    """So many crops, N×size×size×3."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=seed)
    def graph():
        return dc.padded_crop(dc.read_folder(root, shuffle=False)[0], **options)

    pipe = graph()
    pipe.build()
    return np.concatenate([np.array(pipe.run()[0].as_tensor()) for _ in range(-(-count // batch_size))])[:count]


def windows(image, size, padding):
    """All that torchvision's RandomCrop(size, padding=padding, pad_if_needed=True) may give: bytes to position."""
    lacks = [max(size - side - 2 * padding, 0) for side in image.shape[:2]]
    wide = np.pad(image, [*((padding + lack, padding + lack) for lack in lacks), (0, 0)])
    rows, columns = (side - size + 1 for side in wide.shape[:2])
    places = [(y, x) for y in range(rows) for x in range(columns)]
    return {wide[y : y + size, x : x + size].tobytes(): (y, x) for y, x in places}


SHAPES = [(32, 32, 32, 4), (32, 32, 32, 0), (8, 8, 8, 2), (40, 33, 32, 1), (20, 50, 32, 4), (3, 5, 16, 2), (1, 1, 4, 0)]


@pytest.mark.parametrize(("height", "width", "size", "padding"), SHAPES)
def test_every_crop_is_a_window_of_the_zero_padded_image(folder, height, width, size, padding):
    wanted = windows(numbered(height, width), size, padding)
    found = crops(folder(height, width), 200, size=size, padding=padding)
    assert found.shape == (200, size, size, 3)
    assert found.dtype == np.uint8
    assert {crop.tobytes() for crop in found} <= wanted.keys()


@pytest.mark.parametrize(("height", "width", "size", "padding"), [(8, 8, 8, 1), (5, 9, 8, 1), (2, 3, 4, 0)])
def test_the_windows_are_those_of_torchvision(folder, height, width, size, padding):
    transform = v2.RandomCrop(size, padding=padding, pad_if_needed=True)
    image = torch.from_numpy(numbered(height, width)).permute(2, 0, 1)
    theirs = {transform(image).permute(1, 2, 0).numpy().tobytes() for _ in range(300)}
    ours = {crop.tobytes() for crop in crops(folder(height, width), 300, size=size, padding=padding)}
    assert ours == theirs == windows(numbered(height, width), size, padding).keys()


@pytest.mark.parametrize(("size", "padding", "draws"), [(32, 4, 81 * 100), (6, 1, 9 * 2000)])
def test_all_places_are_equally_likely(folder, size, padding, draws):
    places = windows(numbered(size, size), size, padding)
    counts = np.zeros((2 * padding + 1, 2 * padding + 1), int)
    for crop in crops(folder(size, size), draws, batch_size=900, size=size, padding=padding):
        counts[places[crop.tobytes()]] += 1
    assert len(places) == counts.size
    assert (counts > 0).all()
    for found in (counts.ravel(), counts.sum(0), counts.sum(1)):
        assert stats.chisquare(found).pvalue > 0.01


def test_samples_of_a_batch_are_cropped_each_on_its_own(folder):
    assert len({crop.tobytes() for crop in crops(folder(32, 32), 32, batch_size=32)}) > 16


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_the_ends_of_the_draw_are_the_corners(folder, monkeypatch, draw):
    """A draw of 1, which rounding in float32 can bring about, goes no further than the last place."""
    monkeypatch.setattr(fn.random, "uniform", lambda **_: fn.constant(fdata=[draw, draw]))
    (crop,) = crops(folder(32, 32), 1, batch_size=1)
    corner = int(draw * 8)
    np.testing.assert_array_equal(crop, np.pad(numbered(32, 32), ((4, 4), (4, 4), (0, 0)))[corner:, corner:][:32, :32])


def loader_of(root, **options):
    options = {"size": 8, "padding": 2} | options

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=5)
    def graph():
        jpegs, labels = dc.read_folder(root, seed=3)
        return dc.padded_crop(jpegs, **options), labels

    return dc.Loader(graph())


def test_it_goes_on_bit_for_bit_from_the_middle_of_an_epoch(photo_folder):
    reference = iter(loader := loader_of(photo_folder))
    for _ in range(3):
        next(reference)
    saved = json.dumps(loader.state_dict())
    expected = [[tensor.numpy().tobytes() for tensor in batch] for batch in (*reference, *loader)]
    resumed = loader_of(photo_folder)
    resumed.load_state_dict(json.loads(saved))
    assert [[tensor.numpy().tobytes() for tensor in batch] for _ in range(2) for batch in resumed] == expected


def test_a_state_of_another_crop_is_refused(photo_folder):
    saved = loader_of(photo_folder).state_dict()
    with pytest.raises(ValueError, match="padding: '2' saved, '3' here"):
        loader_of(photo_folder, padding=3).load_state_dict(saved)


@without_gpu
def test_on_a_gpu_the_crops_are_on_the_gpu(folder):
    devices = []

    @pipeline_def(batch_size=4, num_threads=1, device_id=0)
    def graph():
        jpegs, labels = dc.read_folder(folder(32, 32))
        images = dc.padded_crop(jpegs)
        mixed, _ = dc.mix(images, labels)
        devices.extend([images.device, mixed.device])
        return dc.normalize(mixed)

    pipe = graph()
    pipe.start_py_workers()
    assert devices == ["gpu", "gpu"]
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        pipe.build()


@pytest.mark.parametrize("size", [0, -1, 2.5, "32", None])
def test_a_size_is_a_number_of_pixels(photo_folder, size):
    with pytest.raises(ValueError, match=rf"size={size!r} given; .*whole number of at least 1"):
        crops(photo_folder, 1, size=size)


@pytest.mark.parametrize("padding", [-1, 0.5, "4", None, 32, 40])
def test_a_padding_that_could_hide_the_image_or_is_none_is_refused(photo_folder, padding):
    told = rf"padding={padding!r} given with size=32; it is a whole number of pixels, 0 to 31"
    with pytest.raises(ValueError, match=told):
        crops(photo_folder, 1, padding=padding)


def test_an_image_with_too_many_pixels_is_a_bad_file(folder):
    with pytest.raises(RuntimeError):
        crops(folder(32, 33), 1, max_pixels=32 * 32)
    with pytest.raises(ValueError, match=r"max_pixels=0 given; it is width × height"):
        crops(folder(32, 33), 1, max_pixels=0)
