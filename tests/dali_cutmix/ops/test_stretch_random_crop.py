"""Stretch and crop at random: torchvision's pixels, every place equally likely, the same after a resume."""

import numpy as np
import pytest
from nvidia.dali import Pipeline, pipeline_def
from PIL import Image
from scipy.stats import chisquare
from torchvision.transforms import v2

import dali_cutmix as dc
from tests.helpers.images import save


def loader(root, batch_size, device_id=None, seed=3, **options):
    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=device_id, seed=seed)
    def graph():
        jpegs, labels = dc.read_folder(root, seed=seed)
        return dc.stretch_random_crop(jpegs, **options), labels

    return dc.Loader(graph())


@pytest.fixture(scope="module")
def photo(tmp_path_factory, photos):
    root = tmp_path_factory.mktemp("photo")
    for number in range(8):
        save(photos[0][:300, :500], root / "a" / f"{number}.jpg", quality=95)
    return root


def test_it_is_torchvisions_resize_and_crop(photo):
    """Within a level, at one of the places that torchvision's RandomCrop has; 0.14 levels on average."""
    whole = np.asarray(v2.Resize([64, 64], antialias=True)(Image.open(photo / "a" / "0.jpg"))).astype(float)
    images, _ = next(iter(loader(photo, 8, size=48, resize=64)))
    for image in images.permute(0, 2, 3, 1).numpy():
        places = [(y, x) for y in range(17) for x in range(17)]
        differences = [np.abs(whole[y : y + 48, x : x + 48] - image).mean() for y, x in places]
        assert min(differences) < 0.3
        assert sorted(differences)[1] > 1


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with one lossless image of 20×40 whose colours tell the place once it is stretched to 20×20."""
    root = tmp_path_factory.mktemp("places")
    image = np.zeros((20, 40, 3), np.uint8)
    image[..., 0] = np.repeat(np.arange(20), 2) * 10
    image[..., 1] = np.arange(20)[:, None] * 10
    for number in range(50):
        save(image, root / "a" / f"{number:02d}.png")
    return root


def test_all_places_are_equally_likely(places):
    crops = loader(places, 50, size=16, resize=20, antialias=False)
    corners = [image[:2, 2, 2].tolist() for _ in range(60) for images, _ in crops for image in images]
    found = np.array(corners) / 10 - 2  # colours at the third pixel, which no border touches
    x, y = np.round(found).astype(int).T
    assert (x.min(), x.max(), y.min(), y.max()) == (0, 4, 0, 4)
    assert chisquare(np.bincount(5 * y + x, minlength=25)).pvalue > 0.01


def test_a_crop_of_the_whole_is_the_stretched_image(photo):
    whole = np.asarray(v2.Resize([48, 48], antialias=True)(Image.open(photo / "a" / "0.jpg"))).astype(float)
    images, _ = next(iter(loader(photo, 1, size=48, resize=48)))
    assert np.abs(images[0].permute(1, 2, 0).numpy() - whole).mean() < 0.3


def test_a_resumed_loader_goes_on_with_the_same_crops(places):
    one, other = (loader(places, 8, size=16, resize=20) for _ in range(2))
    batches = iter(one)
    for _ in range(3):
        next(batches)
    other.load_state_dict(one.state_dict())
    for _ in range(2):
        assert next(batches)[0].equal(next(iter(other))[0])


def test_on_a_gpu_nvjpeg_decodes(photo):
    """The graph, which needs no GPU to be made."""
    pipeline = Pipeline(batch_size=2, num_threads=1, device_id=0)
    with pipeline:
        jpegs, _ = dc.read_folder(photo)
        assert dc.stretch_random_crop(jpegs).device == "gpu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size=0 given; it is a number of pixels"),
        ({"resize": 2.5}, "resize=2.5 given; it is a number of pixels"),
        (
            {"size": 224, "resize": 200},
            "resize=200 given with size=224; the stretched side must be at least the crop's",
        ),
        ({"hw_decoder_load": 2}, "hw_decoder_load=2 given; it is a fraction of the batch"),
        ({"max_pixels": 0}, "max_pixels=0 given"),
    ],
)
def test_wrong_values_are_refused(photo, options, message):
    with pytest.raises(ValueError, match=message):
        loader(photo, 1, **options)


def test_a_stretched_centre_crop_larger_than_the_image_is_refused(photo):
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        return dc.resize_center_crop(dc.read_folder(photo)[0], 48, resize=40, stretch=True)

    with pytest.raises(ValueError, match="resize=40 given with size=48; the stretched side must be at least the crop"):
        graph()


@pytest.mark.parametrize("size", [(300, 500), (90, 40), (64, 64)])
def test_the_stretched_centre_crop_is_torchvisions(tmp_path, photos, size):
    height, width = size
    save(photos[1][:height, :width], tmp_path / "a" / "1.jpg")

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        jpegs, labels = dc.read_folder(tmp_path, shuffle=False)
        return dc.resize_center_crop(jpegs, 48, resize=65, stretch=True), labels

    ((image, _),) = dc.Loader(graph())
    transform = v2.Compose([v2.Resize([65, 65], antialias=True), v2.CenterCrop(48)])
    theirs = np.asarray(transform(Image.open(tmp_path / "a" / "1.jpg"))).astype(float)
    assert np.abs(image[0].permute(1, 2, 0).numpy() - theirs).mean() < 0.5
