"""Decode and crop: pixels as torchvision's, regions as asked for."""

import numpy as np
import pytest
from nvidia.dali import pipeline_def
from PIL import Image
from torchvision.transforms import v2

import dali_cutmix as dc
from tests.helpers.edited_states import as_version_2
from tests.helpers.images import save


def run(root, function, batches=1, batch_size=1, **options):
    """``function(jpegs)`` over a folder in sorted order: a list of arrays."""

    @pipeline_def(batch_size=batch_size, num_threads=2, device_id=None, seed=1, **options)
    def graph():
        jpegs, _ = dc.read_folder(root, shuffle=False)
        return function(jpegs)

    pipe = graph()
    pipe.build()
    return [np.array(output.at(i)) for _ in range(batches) for (output,) in [pipe.run()] for i in range(batch_size)]


# Evaluation


SIZES = [
    (427, 640),
    (375, 500),
    (500, 333),
    (256, 256),
    (257, 400),
    (600, 256),
    (300, 300),
    (180, 240),
    (427, 257),
]


@pytest.fixture(scope="module")
def many_sizes(tmp_path_factory, photos):
    """Real photographs of many sizes as JPEGs with the usual chroma subsampling, in the order of SIZES, twice."""
    root = tmp_path_factory.mktemp("sizes")
    for i, photo in enumerate(photos):
        for j, (height, width) in enumerate(SIZES):
            image = Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS)
            save(image, root / "a" / f"{i}{j:02d}.jpg", quality=90)
    return root


def torchvisions(path, size, resize):
    transform = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size)])
    return np.asarray(transform(Image.open(path).convert("RGB")))


@pytest.mark.parametrize(("size", "resize"), [(224, 256), (64, 64), (160, 182)])
def test_the_centre_crop_is_torchvisions_within_half_a_level(many_sizes, size, resize, record_property):
    """Decode + resize of the short side + centre crop, against PIL with antialiasing, on 18 photographs."""
    paths = sorted((many_sizes / "a").iterdir())
    ours = run(many_sizes, lambda jpegs: dc.resize_center_crop(jpegs, size, resize=resize), len(paths))
    differences = []
    for path, mine in zip(paths, ours, strict=True):
        theirs = torchvisions(path, size, resize)
        assert mine.shape == theirs.shape == (size, size, 3)
        assert mine.dtype == np.uint8
        differences.append(np.abs(mine.astype(float) - theirs).mean())
    record_property("mean", float(np.mean(differences)))
    record_property("max", float(np.max(differences)))
    print(f"size {size}, resize {resize}: mean {np.mean(differences):.3f}, worst photograph {np.max(differences):.3f}")
    assert np.mean(differences) < 0.5
    assert np.max(differences) < 1.0


def test_without_antialiasing_it_would_not_be(many_sizes):
    paths = sorted((many_sizes / "a").iterdir())
    ours = run(many_sizes, lambda jpegs: dc.resize_center_crop(jpegs, 64, resize=64, antialias=False), len(paths))
    pairs = zip(paths, ours, strict=True)
    assert np.mean([np.abs(mine - torchvisions(path, 64, 64).astype(float)).mean() for path, mine in pairs]) > 2


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "jpeg"), ("RGB", "jpeg"), ("CMYK", "jpeg"), ("L", "png"), ("RGB", "png")]
)
def test_gray_and_cmyk_and_png_become_rgb(tmp_path, mode, kind):
    colour = {"L": 90, "RGB": (200, 60, 30), "CMYK": (0, 128, 200, 20)}[mode]
    save(Image.new(mode, (40, 30), colour), tmp_path / "a" / f"1.{kind}")
    (image,) = run(tmp_path, lambda jpegs: dc.resize_center_crop(jpegs, 16, resize=16))
    expected = np.array(Image.open(tmp_path / "a" / f"1.{kind}").convert("RGB"))[0, 0]
    assert image.shape == (16, 16, 3)
    assert abs(image.astype(int) - expected).max() <= (3 if mode != "CMYK" else 40), "CMYK has no one RGB"


def test_an_image_as_small_as_a_pixel_and_a_very_long_one_are_cropped(tmp_path):
    save(Image.new("RGB", (1, 1), (200, 60, 30)), tmp_path / "a" / "1.png")
    save(Image.new("RGB", (500, 10), (200, 60, 30)), tmp_path / "a" / "2.png")
    images = run(tmp_path, lambda jpegs: dc.resize_center_crop(jpegs, 16, resize=20), 2)
    assert all((image == [200, 60, 30]).all() and image.shape == (16, 16, 3) for image in images)


@pytest.mark.parametrize("value", [0, -1, 2.5, "224", None])
@pytest.mark.parametrize("name", ["size", "resize"])
def test_a_size_is_a_number_of_pixels(colour_folder, name, value):
    with pytest.raises(ValueError, match=rf"{name}={value!r} given; .*whole number of at least 1"):
        run(colour_folder, lambda jpegs: dc.resize_center_crop(jpegs, **{name: value}))


def test_a_crop_larger_than_the_resized_image_is_refused(colour_folder):
    with pytest.raises(
        ValueError, match=r"resize=256 given with size=300; the shorter side must be at least the crop's"
    ):
        run(colour_folder, lambda jpegs: dc.resize_center_crop(jpegs, 300))


def evaluated(root, **options):
    @pipeline_def(batch_size=8, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_folder(root, shuffle=False)
        return dc.resize_center_crop(jpegs, 16, resize=20, **options), labels

    return dc.Loader(graph())


def test_a_state_that_does_not_say_whether_images_were_stretched_is_of_such_as_were_not(colour_folder):
    loader = evaluated(colour_folder)
    batches = iter(loader)
    next(batches)
    saved = as_version_2(loader.state_dict())
    del saved["binding"]["stretch"]
    resumed = evaluated(colour_folder)
    resumed.load_state_dict(saved)
    assert next(batches)[0].equal(next(iter(resumed))[0])
    with pytest.raises(ValueError, match="stretch: 'False' saved, 'True' here"):
        evaluated(colour_folder, stretch=True).load_state_dict(saved)


def test_a_state_of_stretched_images_is_none_of_others(colour_folder):
    saved = evaluated(colour_folder, stretch=True).state_dict()
    evaluated(colour_folder, stretch=True).load_state_dict(saved)
    with pytest.raises(ValueError, match="stretch: 'True' saved, 'False' here"):
        evaluated(colour_folder).load_state_dict(saved)


# Training


@pytest.fixture(scope="module")
def gradient_folder(tmp_path_factory):
    """One lossless image of 200×160 whose red tells the column and whose green tells the row."""
    root = tmp_path_factory.mktemp("gradient")
    image = np.zeros((160, 200, 3), np.uint8)
    image[..., 0] = np.arange(200)
    image[..., 1] = np.arange(160)[:, None]
    save(image, root / "a" / "1.png")
    return root


def regions(root, batches, size, **options):
    """Left, top, width and height of random crops, from the colours at their edges."""
    images = run(root, lambda jpegs: dc.random_resized_crop(jpegs, size, **options), batches, batch_size=8)
    x, y = (np.array([image[..., c].astype(float) for image in images]) for c in (0, 1))
    assert all(image.shape == (size, size, 3) for image in images)
    step_x, step_y = np.diff(x, axis=2)[:, :, 8:-8].mean((1, 2)), np.diff(y, axis=1)[:, 8:-8].mean((1, 2))
    return x[:, 0, 0] - step_x / 2, y[:, 0, 0] - step_y / 2, step_x * size, step_y * size


@pytest.mark.parametrize(
    ("scale", "ratio"), [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.3, 0.4), (1.0, 1.0)), ((0.2, 0.5), (0.5, 0.8))]
)
def test_random_regions_have_the_asked_area_and_shape(gradient_folder, scale, ratio):
    left, top, width, height = regions(gradient_folder, 40, 48, scale=scale, ratio=ratio)
    area, shape = width * height / (200 * 160), width / height
    slack = 1.08  # regions are whole pixels, and the edges are blurred
    assert (area > scale[0] / slack).all()
    assert (area < scale[1] * slack).all()
    assert (shape > ratio[0] / slack).all()
    assert (shape < ratio[1] * slack).all()
    assert area.max() - area.min() > 0.8 * (min(scale[1], 0.95) - scale[0])
    assert (left > -2).all()
    assert (top > -2).all()
    assert (left + width < 202).all()
    assert (top + height < 162).all()
    assert left.std() > 10, "regions lie all over the image"
    assert top.std() > 10


def test_a_whole_square_image_is_itself(tmp_path, photos):
    """scale and ratio of 1 on a square leave nothing to chance; resampled it is torchvision's image."""
    save(photos[0][:400, :400], tmp_path / "a" / "1.png")
    (image,) = run(tmp_path, lambda jpegs: dc.random_resized_crop(jpegs, 100, scale=(1, 1), ratio=(1, 1)))
    theirs = v2.functional.resize(Image.open(tmp_path / "a" / "1.png"), [100, 100], antialias=True)
    assert np.abs(image - np.asarray(theirs).astype(float)).mean() < 0.5


@pytest.mark.parametrize(
    "scale",
    [(0, 1), (0.5, 0.1), (0.1, 1.1), (-1, 1), (float("nan"), 1), 0.5, (0.5,), ("a", 1), None],
    ids=str,
)
def test_a_scale_that_is_no_share_is_refused(colour_folder, scale):
    with pytest.raises(ValueError, match=r"scale=.* given; .*fraction of the area, above 0 and at most 1") as caught:
        run(colour_folder, lambda jpegs: dc.random_resized_crop(jpegs, 8, scale=scale))
    assert repr(scale) in str(caught.value)


@pytest.mark.parametrize("ratio", [(0, 1), (2, 1), (-1, 1), (1, float("inf")), (float("nan"), 1), 1.0, ()], ids=str)
def test_a_ratio_that_is_none_is_refused(colour_folder, ratio):
    with pytest.raises(ValueError, match=r"ratio=.* given; .*width:height, both above 0") as caught:
        run(colour_folder, lambda jpegs: dc.random_resized_crop(jpegs, 8, ratio=ratio))
    assert repr(ratio) in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, 2.5, "224", None])
def test_a_training_size_is_a_number_of_pixels(colour_folder, size):
    with pytest.raises(ValueError, match=rf"size={size!r} given; .*whole number of at least 1"):
        run(colour_folder, lambda jpegs: dc.random_resized_crop(jpegs, size))


@pytest.mark.parametrize("function", [dc.random_crop, dc.random_resized_crop, dc.resize_center_crop])
@pytest.mark.parametrize("load", [-0.1, 1.5, "all"])
def test_a_wrong_load_of_the_hardware_decoder_is_named(colour_folder, function, load):
    with pytest.raises(ValueError, match=r"hw_decoder_load=.* given; it is a fraction of the batch, 0 to 1") as caught:
        run(colour_folder, lambda jpegs: function(jpegs, hw_decoder_load=load))
    assert repr(load) in str(caught.value)


@pytest.mark.parametrize("size", [500, (500,), (-1, 400), (500.0, 400)])
def test_a_wrong_size_to_preallocate_is_named(colour_folder, size):
    with pytest.raises(ValueError, match=r"preallocate=.* given; it is \(width, height\) in pixels") as caught:
        run(colour_folder, lambda jpegs: dc.random_crop(jpegs, preallocate=size))
    assert repr(size) in str(caught.value)


def test_the_gpus_decoder_options_mean_nothing_on_a_cpu(colour_folder):
    plain = run(colour_folder, lambda jpegs: dc.random_resized_crop(jpegs, 8))
    same = run(colour_folder, lambda jpegs: dc.random_resized_crop(jpegs, 8, hw_decoder_load=1, preallocate=(90, 90)))
    np.testing.assert_array_equal(same, plain)
