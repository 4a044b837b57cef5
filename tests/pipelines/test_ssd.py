"""SSD's batches: boxes stay with what they show, evaluation is in order, a resumed run goes on exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest
from torchvision.transforms import v2

from dali_cutmix.detection import Entry, Object, annotate
from pipelines import ssd
from tests.helpers.annotated_images import CLASSES, check_objects, one_object_each, order, painted, see, turned
from tests.helpers.images import save

LEVELS = {"mean": (0, 0, 0), "std": (1, 1, 1)}
CPU = {"device": "cpu", "num_threads": 1}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    return painted(tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory, photos):
    """Photographs of several shapes, one object each."""
    root = tmp_path_factory.mktemp("photos")
    entries = []
    for number, (height, width) in enumerate([(300, 500), (427, 640), (90, 40), (64, 64), (200, 123), (37, 333)]):
        path = root / f"{number}.png"
        save(photos[number % 2][:height, :width], path)
        objects = [Object("", "", number % 2, (1.0, 2.0, 20.0, 30.0), False)]
        entries.append(Entry("", path, (height, width), objects))
    return annotate(("church", "flower"), entries)


def epochs(annotated, count, batch_size=24, seed=0, **options):
    """Images in levels, boxes and labels of each sample, and the number of its image."""
    loader = ssd.train(annotated, batch_size=batch_size, seed=seed, **CPU, **LEVELS, **options)
    numbers = iter(order(annotated.for_training(), batch_size, count, seed))
    for _ in range(count):
        for batch in loader:
            yield from zip(*(part.numpy() for part in batch), numbers, strict=False)


# Boxes and what they show


@pytest.mark.parametrize(
    "chances",
    [
        {"zoom_out": 0, "flip": 0},
        {"zoom_out": 0, "flip": 1},
        {"zoom_out": 1, "flip": 0},
        {"zoom_out": 0.5, "flip": 0.5},
    ],
)
def test_boxes_and_labels_are_those_of_what_the_pixels_show(annotated, chances):
    samples = epochs(annotated, 4, size=160, distort=0, **chances)
    seen = [check_objects(*sample, annotated, number) for *sample, number in samples]
    assert len(seen) == 4 * 48
    assert np.mean([of_one.error for of_one in seen]) < 0.1
    mirrored = [of_one.slope[0] < 0 for of_one in seen]
    assert binomtest(sum(mirrored), len(mirrored), chances["flip"] or 1e-9).pvalue > 0.01


def test_in_colours_that_are_distorted_boxes_are_the_same(annotated):
    """The draws of each operator are its own."""
    plain, distorted = (list(epochs(annotated, 1, size=64, distort=chance)) for chance in (0, 1))
    for one, other in zip(plain, distorted, strict=True):
        assert np.array_equal(one[1], other[1])
        assert np.array_equal(one[2], other[2])
        assert not np.array_equal(one[0], other[0])


def test_around_a_zoomed_out_image_is_the_mean(photo):
    mean = (123.675, 116.28, 103.53)
    loader = ssd.train(photo, batch_size=6, size=80, distort=0, zoom_out=1, mean=mean, std=(1, 1, 1), **CPU)
    images = torch.cat([images for _ in range(8) for images, *_ in loader])
    corners = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert 0.5 < (corners.abs().amax(1) <= 0.5).float().mean() < 1


def test_objects_on_the_border_keep_within_it_in_every_draw(tmp_path):
    """Boxes of the whole image and along its borders: none reaches out by a rounding, which would end the run."""
    entries = []
    for number, (height, width) in enumerate([(97, 101), (33, 71), (61, 59), (113, 7)]):
        path = tmp_path / f"{number}.png"
        save(np.full((height, width, 3), 99, np.uint8), path)
        boxes = [(0, 0, width, height), (width - 1, 0, width, 1), (0, height - 1, 1, height), (0, 0, width, 1)]
        objects = [Object("", "", label, tuple(map(float, box)), False) for label, box in enumerate(boxes)]
        entries.append(Entry("", path, (height, width), objects))
    for _, boxes, labels, _ in epochs(annotate(("a", "b", "c", "d"), entries), 60, batch_size=4, size=50):
        real = boxes[labels >= 0]
        assert len(real)
        assert (real[:, :2] < real[:, 2:]).all()
        assert real.min() >= 0
        assert real.max() <= 50


# What is trained on


def test_difficult_objects_and_images_without_others_are_left_out(tmp_path):
    everything = painted(tmp_path, 30, difficult=0.6)
    easy = everything.for_training()
    assert 0 < len(easy) < 30
    assert sum(map(len, easy.labels)) == sum((~difficult).sum() for difficult in everything.difficult)
    loader = ssd.train(everything, batch_size=len(easy), size=32, **CPU)
    assert loader.num_samples == len(easy)
    for *sample, number in epochs(everything, 2, batch_size=len(easy), size=160, distort=0):
        check_objects(*sample, easy, number)


def test_batches_have_the_documented_form(annotated):
    loader = ssd.train(annotated, batch_size=8, size=64, **CPU)
    assert (loader.classes, loader.num_classes, len(loader)) == (CLASSES, 7, 6)
    widths = set()
    for images, boxes, labels in loader:
        assert (images.shape, images.dtype) == ((8, 3, 64, 64), torch.float32)
        widths.add(labels.shape[1])
        assert (boxes.shape, boxes.dtype) == ((8, labels.shape[1], 4), torch.float32)
        assert labels.dtype == torch.int64
        assert (labels >= 0).sum(1).max() == labels.shape[1]
    assert len(widths) > 1


def test_images_are_of_the_type_and_memory_format_that_is_asked(annotated):
    asked = {"dtype": torch.bfloat16, "channels_last": True}
    plain, other = (next(iter(ssd.train(annotated, batch_size=8, size=32, **CPU, **o))) for o in ({}, asked))
    assert other[0].dtype == torch.bfloat16
    assert other[0].is_contiguous(memory_format=torch.channels_last)
    assert other[0].float().allclose(plain[0], rtol=0.01)
    assert other[1].equal(plain[1])


def test_an_image_turned_by_exif_is_seen_as_its_annotation_sees_it(tmp_path):
    annotated = turned(painted(tmp_path / "plain", 12), tmp_path / "turned")
    for *sample, number in epochs(annotated, 2, batch_size=12, size=160, distort=0):
        check_objects(*sample, annotated, number)
    for images, numbers, _ in ssd.val(annotated, batch_size=12, size=64, **CPU, **LEVELS):
        for image in images.numpy():
            assert see(image, annotated.sizes[0]).slope.min() > 0
        assert numbers.tolist() == list(range(12))


def test_a_bad_file_is_replaced_with_the_objects_of_what_comes_instead(tmp_path):
    annotated = painted(tmp_path, 12)
    annotated.paths[5].write_bytes(b"no image")
    loader = ssd.train(
        *(annotated,), batch_size=12, size=160, distort=0, on_error="replace", max_bad=0.5,
        bad_log=tmp_path / "bad.jsonl", **CPU, **LEVELS,
    )  # fmt: skip
    numbers = [6 if number == 5 else int(number) for number in order(annotated, 12, 1)]
    for *sample, number in zip(*(part.numpy() for part in next(iter(loader))), numbers, strict=True):
        check_objects(*sample, annotated, number)


def test_the_shards_of_an_epoch_are_disjoint_and_together_hold_every_image(tmp_path):
    annotated = one_object_each(tmp_path, 12)
    halves = [ssd.train(annotated, batch_size=3, size=32, shard=(rank, 2), **CPU) for rank in (0, 1)]
    for _ in range(2):
        numbers = [[n for _, _, labels in half for n in labels[labels >= 0].tolist()] for half in halves]
        assert [len(half) for half in numbers] == [6, 6]
        assert sorted([*numbers[0], *numbers[1]]) == list(range(12))


# Going on


def test_a_resumed_loader_goes_on_with_the_same_batches(annotated):
    one, other = (ssd.train(annotated, batch_size=8, size=48, seed=3, **CPU) for _ in range(2))
    list(one)
    batches = iter(one)
    for _ in range(2):
        next(batches)
    other.load_state_dict(one.state_dict())
    left = list(batches)
    for batch, again in zip([*left, *one], [*other, *other], strict=True):
        assert all(part.equal(same) for part, same in zip(batch, again, strict=True))


@pytest.mark.parametrize("options", [{"num_threads": 2}, {"num_threads": 1, "prefetch": 4}])
def test_the_same_seed_gives_the_same_batches(annotated, options):
    one = ssd.train(annotated, batch_size=16, size=48, seed=3, **CPU)
    other = ssd.train(annotated, batch_size=16, size=48, seed=3, device="cpu", **options)
    for batch, same in zip([*one, *one], [*other, *other], strict=True):
        assert all(part.equal(again) for part, again in zip(batch, same, strict=True))


def test_another_seed_gives_another_augmentation(tmp_path):
    """Of the same image, since there is but one."""
    alone = painted(tmp_path, 1)
    one, other = (list(ssd.train(alone, batch_size=1, size=48, seed=seed, **CPU)) for seed in (3, 4))
    assert not one[0][0].equal(other[0][0])


@pytest.mark.parametrize(
    ("change", "named"),
    [({"flip": 0.0}, "flip"), ({"zoom_out": 0.0}, "zoom_out"), ({"distort": 1.0}, "distort"), ({"size": 50}, "size")],
)
def test_a_state_of_other_augmentation_is_refused(annotated, change, named):
    saved = ssd.train(annotated, batch_size=16, size=48, **CPU).state_dict()
    other = ssd.train(annotated, **{"batch_size": 16, "size": 48} | CPU | change)
    with pytest.raises(ValueError, match=rf"{named}: .* saved, .* here"):
        other.load_state_dict(saved)


def test_a_state_of_the_same_chance_as_a_whole_number_is_continued(annotated):
    one, other = (
        ssd.train(annotated, batch_size=16, size=48, distort=chance, zoom_out=chance, flip=chance, **CPU)
        for chance in (0, 0.0)
    )
    batches = iter(one)
    next(batches)
    other.load_state_dict(one.state_dict())
    assert next(batches)[0].equal(next(iter(other))[0])


def test_a_state_of_the_same_images_with_other_objects_is_refused(tmp_path):
    annotated = painted(tmp_path, 8)
    saved = ssd.train(annotated, batch_size=8, size=48, **CPU).state_dict()
    boxes = [box.copy() for box in annotated.boxes]
    boxes[3][0, 2] -= 1
    other = replace(annotated, boxes=tuple(boxes))
    with pytest.raises(ValueError, match="annotations: .* saved, .* here"):
        ssd.train(other, batch_size=8, size=48, **CPU).load_state_dict(saved)


# Evaluation


def test_evaluation_gives_every_image_once_in_order(tmp_path):
    annotated = painted(tmp_path, 13, difficult=0.9)
    loader = ssd.val(annotated, batch_size=5, size=40, **CPU)
    assert loader.classes == CLASSES
    for _ in range(2):
        images, numbers, sizes = zip(*loader, strict=True)
        assert [len(batch) for batch in images] == [5, 5, 3]
        assert torch.cat(numbers).tolist() == list(range(13))
        assert (torch.cat(numbers).dtype, torch.cat(sizes).dtype) == (torch.int64, torch.int64)
        assert torch.cat(sizes).tolist() == [[40, 40]] * 13
    halves = [ssd.val(annotated, batch_size=5, size=40, shard=(rank, 2), **CPU) for rank in (0, 1)]
    assert [int(n) for half in halves for _, ns, _ in half for n in ns] == list(range(13))


@pytest.mark.parametrize("size", [300, 65])
def test_evaluation_resizes_as_torchvision_does(photo, size):
    resize = v2.Resize([size, size], antialias=True)
    for images, numbers, _ in ssd.val(photo, batch_size=4, size=size, **CPU, **LEVELS):
        for image, number in zip(images, numbers.tolist(), strict=True):
            theirs = np.asarray(resize(Image.open(photo.paths[number]))).astype(float)
            assert np.abs(image.permute(1, 2, 0).numpy() - theirs).mean() < 0.5


# Wrong values, and a GPU


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size=0 given; it is a number of pixels"),
        ({"flip": 1.5}, "flip=1.5 given; it is a chance, 0 to 1"),
        ({"distort": -1}, "distort=-1 given; it is a chance"),
        ({"zoom_out": "yes"}, "zoom_out='yes' given; it is a chance"),
        ({"max_pixels": 0}, "max_pixels=0 given"),
        ({"dtype": "int8"}, "dtype='int8' given"),
        ({"batch_size": 49}, "batch_size=49 given, but the smallest shard holds 48 samples"),
    ],
)
def test_wrong_values_are_refused(annotated, options, message):
    with pytest.raises(ValueError, match=message):
        ssd.train(annotated, **{"batch_size": 8, "size": 48} | CPU | options)


def test_evaluation_refuses_a_wrong_size(annotated):
    with pytest.raises(ValueError, match="size=0.5 given; it is a number of pixels"):
        ssd.val(annotated, size=0.5, **CPU)


@without_gpu
@pytest.mark.parametrize("function", [ssd.train, ssd.val])
@pytest.mark.parametrize("options", [{}, {"dtype": "bfloat16", "channels_last": True}])
def test_the_graph_for_a_gpu_is_wired_right(annotated, monkeypatch, function, options):
    """It is made and checked up to where CUDA itself is asked for."""
    for name, answer in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        function(annotated, batch_size=4, size=16, device="cuda:0", **options)


@pytest.mark.gpu
def test_a_gpu_makes_the_draws_of_a_cpu_and_nearly_its_pixels(annotated):
    one, other = (ssd.train(annotated, batch_size=24, size=96, device=device) for device in ("cpu", "cuda:0"))
    for on_cpu, on_gpu in zip(one, other, strict=True):
        assert all(part.is_cuda for part in on_gpu)
        assert on_cpu[1].allclose(on_gpu[1].cpu(), atol=1e-4)
        assert on_cpu[2].equal(on_gpu[2].cpu())
        assert (on_cpu[0] - on_gpu[0].cpu()).abs().mean() < 0.05
