"""Faster R-CNN's images: the ratio is kept, boxes stay with what they show, zeros around, the same after a resume."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def
from PIL import Image
from torchvision.transforms import v2

from dali_cutmix.detection import Entry, Object, annotate
from pipelines import faster_rcnn
from pipelines.faster_rcnn import fitted
from tests.helpers.annotated_images import CLASSES, check_objects, one_object_each, order, painted, see, turned
from tests.helpers.images import save

LEVELS = {"mean": (0, 0, 0), "std": (1, 1, 1)}
SMALL = {"short_side": 120, "long_side": 200, "device": "cpu", "num_threads": 1}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    return painted(tmp_path_factory.mktemp("painted"))


def expected(height, width, short_side, long_side):
    """The documented formula, in whole numbers."""
    wanted, given = short_side, min(height, width)
    if max(height, width) * short_side > given * long_side:
        wanted, given = long_side, max(height, width)
    return [max(math.floor((2 * side * wanted + given) / (2 * given)), 1) for side in (height, width)]


@pytest.mark.parametrize("flip", [0, 1, 0.5])
def test_boxes_and_labels_are_those_of_what_the_pixels_show(annotated, flip):
    loader = faster_rcnn.train(annotated, batch_size=8, flip=flip, **SMALL, **LEVELS)
    numbers = iter(order(annotated, 8, 3))
    looked = []
    for _ in range(3):
        for batch in loader:
            for image, boxes, labels, size, number in zip(*(part.numpy() for part in batch), numbers, strict=False):
                height, width = size.tolist()
                assert [height, width] == expected(*annotated.sizes[number].tolist(), 120, 200)
                assert not image[:, height:].any()
                assert not image[:, :, width:].any()
                looked.append(check_objects(image[:, :height, :width], boxes, labels, annotated, number))
                assert (labels >= 0).sum() == len(annotated.labels[number])
    assert len(looked) == 144
    assert np.mean([seen.error for seen in looked]) < 0.1
    assert np.mean([seen.slope[0] < 0 for seen in looked]) == pytest.approx(flip, abs=0.13 if flip == 0.5 else 0)


def test_batches_have_the_documented_form(annotated):
    loader = faster_rcnn.train(annotated, batch_size=6, **SMALL)
    assert (loader.classes, loader.num_classes, len(loader)) == (CLASSES, 7, 8)
    shapes = set()
    for images, boxes, labels, sizes in loader:
        assert images.shape == (6, 3, *sizes.amax(0).tolist())
        assert (images.dtype, boxes.dtype, labels.dtype, sizes.dtype) == (*[torch.float32] * 2, *[torch.int64] * 2)
        assert boxes.shape == (*labels.shape, 4)
        shapes.add(images.shape)
    assert len(shapes) > 1


def test_zeros_around_an_image_are_zeros_after_normalization(annotated):
    images, *_, sizes = next(iter(faster_rcnn.train(annotated, batch_size=24, channels_last=True, **SMALL)))
    assert images.is_contiguous(memory_format=torch.channels_last)
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()
        assert image[:, :height, :width].abs().min() > 0


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=8, max_size=8))
def test_sizes_follow_the_formula_exactly(sizes):
    @pipeline_def(batch_size=8, num_threads=1, device_id=None)
    def graph():
        return fitted(fn.external_source(source=[[np.array(size) for size in sizes]]), 600, 1000)

    (found,) = graph().run()
    for (height, width), sides in zip(sizes, found.as_array().tolist(), strict=True):
        assert sides == expected(height, width, 600, 1000)
        scale = min(600 / min(height, width), 1000 / max(height, width))
        assert sides == pytest.approx([max(height * scale, 1), max(width * scale, 1)], abs=0.5 + 1e-9)


@pytest.mark.parametrize(
    ("size", "becomes"), [((375, 500), (600, 800)), ((333, 500), (600, 901)), ((200, 500), (400, 1000))]
)
def test_known_sizes(size, becomes):
    assert expected(*size, 600, 1000) == list(becomes)


def test_evaluation_gives_every_image_once_in_order_as_torchvision_resizes_it(tmp_path, photos):
    entries = []
    for number, (height, width) in enumerate([(300, 500), (427, 640), (90, 40), (64, 64), (37, 333)]):
        path = tmp_path / f"{number}.png"
        save(photos[number % 2][:height, :width], path)
        entries.append(Entry("", path, None, []))
    annotated = annotate(("nothing",), entries)
    numbers, heights = [], []
    for images, found, sizes in faster_rcnn.val(annotated, batch_size=2, **SMALL, **LEVELS):
        numbers += found.tolist()
        heights.append(images.shape[2])
        for image, number, size in zip(images, found.tolist(), sizes.tolist(), strict=True):
            height, width = size
            assert not image[:, height:].any()
            theirs = np.asarray(v2.Resize(size, antialias=True)(Image.open(annotated.paths[number]))).astype(float)
            assert np.abs(image[:, :height, :width].permute(1, 2, 0).numpy() - theirs).mean() < 0.5
    assert numbers == [0, 1, 2, 3, 4]
    assert len(heights) == 3


def test_difficult_objects_and_images_without_others_are_left_out(tmp_path):
    everything = painted(tmp_path, 30, difficult=0.6)
    easy = everything.for_training()
    loader = faster_rcnn.train(everything, batch_size=len(easy), **SMALL, **LEVELS)
    ((images, boxes, labels, sizes),) = loader
    for image, *objects, size, number in zip(
        images.numpy(), boxes.numpy(), labels.numpy(), sizes.tolist(), order(easy, len(easy), 1), strict=True
    ):
        check_objects(image[:, : size[0], : size[1]], *objects, easy, number)


def test_an_image_turned_by_exif_is_seen_as_its_annotation_sees_it(tmp_path):
    annotated = turned(painted(tmp_path / "plain", 12), tmp_path / "turned")
    ((images, boxes, labels, sizes),) = faster_rcnn.train(annotated, batch_size=12, **SMALL, **LEVELS)
    for image, *objects, size, number in zip(
        images.numpy(), boxes.numpy(), labels.numpy(), sizes.tolist(), order(annotated, 12, 1), strict=True
    ):
        assert size == expected(*annotated.sizes[number].tolist(), 120, 200)
        check_objects(image[:, : size[0], : size[1]], *objects, annotated, number)


def test_evaluation_keeps_images_without_objects(tmp_path):
    annotated = painted(tmp_path, 6, difficult=1)
    assert sum(len(numbers) for _, numbers, _ in faster_rcnn.val(annotated, batch_size=4, **SMALL)) == 6
    with pytest.raises(ValueError, match="none of 6 images has an object that is not difficult"):
        faster_rcnn.train(annotated, **SMALL)


def test_the_shards_of_an_epoch_are_disjoint_and_together_hold_every_image(tmp_path):
    annotated = one_object_each(tmp_path, 12)
    halves = [faster_rcnn.train(annotated, batch_size=3, shard=(rank, 2), **SMALL) for rank in (0, 1)]
    for _ in range(2):
        numbers = [[n for _, _, labels, _ in half for n in labels[:, 0].tolist()] for half in halves]
        assert [len(half) for half in numbers] == [6, 6]
        assert sorted([*numbers[0], *numbers[1]]) == list(range(12))


def test_a_bad_file_is_replaced_with_the_objects_of_what_comes_instead(tmp_path):
    annotated = painted(tmp_path, 12)
    annotated.paths[5].write_bytes(b"no image")
    replace = {"on_error": "replace", "max_bad": 0.5, "bad_log": tmp_path / "bad.jsonl"}
    ((images, boxes, labels, sizes),) = faster_rcnn.train(annotated, batch_size=12, **replace, **SMALL, **LEVELS)
    numbers = [6 if number == 5 else int(number) for number in order(annotated, 12, 1)]
    for image, *objects, size, number in zip(
        images.numpy(), boxes.numpy(), labels.numpy(), sizes.tolist(), numbers, strict=True
    ):
        assert size == expected(*annotated.sizes[number].tolist(), 120, 200)
        check_objects(image[:, : size[0], : size[1]], *objects, annotated, number)


def test_a_resumed_loader_goes_on_with_the_same_batches_on_any_number_of_threads(annotated):
    one, other = (
        faster_rcnn.train(annotated, batch_size=8, seed=3, **SMALL | {"num_threads": threads}) for threads in (1, 2)
    )
    list(one)
    batches = iter(one)
    for _ in range(2):
        next(batches)
    other.load_state_dict(one.state_dict())
    for batch, again in zip([*batches, *one], [*other, *other], strict=True):
        assert all(part.equal(same) for part, same in zip(batch, again, strict=True))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"flip": 0.0}, "flip"), ({"short_side": 96}, "short_side"), ({"long_side": 180}, "long_side")],
)
def test_a_state_of_other_sizes_or_flips_is_refused(annotated, change, named):
    saved = faster_rcnn.train(annotated, batch_size=8, **SMALL).state_dict()
    with pytest.raises(ValueError, match=rf"{named}: .* saved, .* here"):
        faster_rcnn.train(annotated, **{"batch_size": 8} | SMALL | change).load_state_dict(saved)


def test_a_state_of_the_same_flip_as_a_whole_number_is_continued(annotated):
    one, other = (faster_rcnn.train(annotated, batch_size=8, flip=flip, **SMALL) for flip in (1, 1.0))
    batches = iter(one)
    next(batches)
    other.load_state_dict(one.state_dict())
    assert next(batches)[0].equal(next(iter(other))[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 0}, "short_side=0 given; it is a number of pixels"),
        ({"long_side": 2.5}, "long_side=2.5 given; it is a number of pixels"),
        ({"long_side": 100}, "short_side=120 given with long_side=100; long_side must be at least short_side"),
    ],
)
def test_wrong_values_are_refused(annotated, options, message):
    for function in (faster_rcnn.train, faster_rcnn.val):
        with pytest.raises(ValueError, match=message):
            function(annotated, **SMALL | options)
    with pytest.raises(ValueError, match="flip=2 given; it is a chance, 0 to 1"):
        faster_rcnn.train(annotated, flip=2, **SMALL)


@without_gpu
@pytest.mark.parametrize("function", [faster_rcnn.train, faster_rcnn.val])
@pytest.mark.parametrize("options", [{}, {"dtype": "float16", "channels_last": True}])
def test_the_graph_for_a_gpu_is_wired_right(annotated, monkeypatch, function, options):
    """It is made and checked up to where CUDA itself is asked for."""
    for name, answer in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        function(annotated, batch_size=4, **SMALL | options | {"device": "cuda:0"})


@pytest.mark.gpu
def test_a_gpu_makes_the_draws_of_a_cpu_and_nearly_its_pixels(annotated):
    one, other = (faster_rcnn.train(annotated, batch_size=8, **SMALL | {"device": d}) for d in ("cpu", "cuda:0"))
    for on_cpu, on_gpu in zip(one, other, strict=True):
        assert all(part.is_cuda for part in on_gpu)
        for part, same in zip(on_cpu[1:], on_gpu[1:], strict=True):
            assert part.allclose(same.cpu(), atol=1e-4)
        assert (on_cpu[0] - on_gpu[0].cpu()).abs().mean() < 0.05


def test_a_number_of_the_smallest_images(tmp_path):
    """Of one pixel, or one row: they have a size, and the object its place."""
    entries = []
    for number, (height, width) in enumerate([(1, 1), (1, 400), (500, 2)]):
        path = tmp_path / f"{number}.png"
        save(np.full((height, width, 3), 100, np.uint8), path)
        entries.append(Entry("", path, None, [Object("", "", 0, (0.0, 0.0, float(width), float(height)), False)]))
    ((_, boxes, labels, sizes),) = faster_rcnn.train(annotate(("all",), entries), batch_size=3, **SMALL)
    assert sorted(sizes.tolist()) == [[1, 200], [120, 120], [200, 1]]
    assert boxes[:, 0].tolist() == [[0, 0, width, height] for height, width in sizes.tolist()]
    assert labels.tolist() == [[0]] * 3


def test_a_flip_shows_the_mirror_image(annotated):
    plain, mirrored = (
        next(iter(faster_rcnn.train(annotated, batch_size=4, flip=f, **SMALL, **LEVELS))) for f in (0, 1)
    )
    for one, other, size in zip(plain[0], mirrored[0], plain[3].tolist(), strict=True):
        assert one[:, : size[0], : size[1]].flip(2).equal(other[:, : size[0], : size[1]])
    assert see(mirrored[0][0].numpy(), annotated.sizes[0]).slope[0] < 0
