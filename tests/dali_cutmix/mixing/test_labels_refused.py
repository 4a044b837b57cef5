"""Labels that mean no target, and images that cannot be mixed, are refused by name, with what is allowed."""

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers.mixed_labels import mix_labels, noise_images

ALLOWED = (
    r"allowed are class labels \(whole numbers 0 to 4, scalars or of shape \[1\]\) and dense labels of shape \[5\]"
)


def soft(*values):
    return np.array([[0, 0, 0, 0, 1], values], np.float32)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(2, np.float32), rf"float32 scalars given; {ALLOWED}.*fn\.cast\(labels, dtype=types\.INT64\)"),
        (np.zeros(2, np.bool_), rf"bool scalars given; {ALLOWED}.*fn\.cast"),
        (np.zeros((2, 1), np.float32), rf"float32 labels of shape \[1\] given; {ALLOWED}.*fn\.cast"),
        (np.zeros((2, 2), np.int64), rf"int64 labels of shape \[2\] given; {ALLOWED}.*num_classes=2"),
        (np.zeros((2, 2), np.float32), rf"float32 labels of shape \[2\] given; {ALLOWED}.*num_classes=2"),
        (np.zeros((2, 1, 5), np.float32), rf"float32 labels of shape \[1, 5\] given; {ALLOWED}.*axes=\[0\]"),
        (np.zeros((2, 5, 1), np.int32), rf"int32 labels of shape \[5, 1\] given; {ALLOWED}.*fn\.squeeze.*axes=\[1\]"),
        (np.zeros((2, 1, 1), np.int32), rf"int32 labels of shape \[1, 1\] given; {ALLOWED}.*fn\.squeeze.*axes=\[0\]"),
        (np.zeros((2, 0), np.int64), rf"int64 labels of shape \[0\] given; {ALLOWED}"),
        (noise_images(2), rf"uint8 labels of shape \[6, 6, 3\] given; {ALLOWED}.*dc\.mix\(images, labels\)"),
        ([np.zeros(2, np.int64), np.zeros(3, np.int64)], rf"labels of shapes \[2\] and \[3\] in one batch; {ALLOWED}"),
        (np.array([0, -1]), r"label -1 read with num_classes=5; labels are 0 to 4: .*num_classes"),
        (np.array([[5], [0]], np.uint8), r"label 5 read with num_classes=5; labels are 0 to 4"),
        (np.array([0, 2**63], np.uint64), r"label 9223372036854775808 read with num_classes=5; labels are 0 to 4"),
        (soft(0, 0.5, np.nan, 0, 0), r"dense labels with nan given; allowed are numbers from 0 to 1.*divide"),
        (soft(0, 0.5, np.inf, 0, 0), r"dense labels with inf given; allowed are numbers from 0 to 1"),
        (soft(0, 0.5, -0.5, 0, 0), r"dense labels with -0\.5 given; allowed are numbers from 0 to 1"),
        (soft(0, 1.5, 0, 0, 0), r"dense labels with 1\.5 given; allowed are numbers from 0 to 1"),
        (soft(0, 2, 0, 0, 0).astype(np.int64), r"dense labels with 2 given; allowed are 0 and 1.*fn\.one_hot"),
        (soft(0, -1, 0, 0, 0).astype(np.int8), r"dense labels with -1 given; allowed are 0 and 1"),
    ],
    ids=lambda given: "" if isinstance(given, str) else f"{np.asarray(given[0]).dtype}{np.shape(given[0])}",
)
def test_labels_that_mean_no_target_are_refused(fused, labels, message):
    with pytest.raises(ValueError if fused else RuntimeError, match=rf"mix: {message}"):
        mix_labels(labels, dc.CutMix(), 5, fused=fused)


def test_a_loader_says_it_and_takes_no_file_for_bad(photo_folder, fused):
    """With a reader of the library, whose files could be replaced."""
    finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(24))

    @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu"))
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        labels = fn.stack(labels, labels)
        if fused:
            return finish.inputs(dc.random_crop(jpegs), labels)
        return dc.mix(dc.random_resized_crop(jpegs, 24), labels)

    loader = dc.Loader(graph(), finish=finish if fused else None)
    with pytest.raises((ValueError, RuntimeError), match=r"mix: int64 labels of shape \[2\] given; allowed") as caught:
        next(iter(loader))
    assert not isinstance(caught.value, dc.DecodeError)


@pytest.mark.parametrize("labels", [np.eye(3, dtype=np.int64), np.eye(3, dtype=np.float32)], ids=["int", "float"])
def test_pairs_of_dense_labels_are_refused_with_the_form_to_use(fused, labels):
    message = r"mix: targets='pairs' given with dense labels of shape \[3\]; .*targets='dense'"
    with pytest.raises(ValueError if fused else RuntimeError, match=message):
        mix_labels(labels, dc.CutMix(), 3, fused=fused, targets="pairs")


def test_labels_on_the_gpu_are_refused_when_the_graph_is_built(fused):
    with pytest.raises(
        ValueError, match=r"mix: labels on the GPU given; .* on the CPU.*leave out labels\.gpu\(\).*labels\.cpu\(\)"
    ):
        mix_labels(np.zeros(2, np.int64), dc.CutMix(), 5, fused=fused, change=lambda labels: labels.gpu())


def test_no_labels_are_refused_with_what_to_do_instead(fused):
    with pytest.raises(ValueError, match=r"mix: labels=None given; .*\(path, label\).*fn\.flip"):
        mix_labels(np.zeros(2, np.int64), dc.CutMix(), 5, fused=fused, change=lambda labels: None)


def test_images_and_labels_swapped_are_named():
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        images = fn.external_source(source=lambda: noise_images(2), layout="HWC")
        labels = fn.external_source(source=lambda: [np.int64(0)] * 2)
        return dc.mix(labels, images, num_classes=2)

    pipe = graph()
    pipe.build()
    with pytest.raises(RuntimeError, match=r"mix: images of shape \(\) given; expected height×width×channels"):
        pipe.run()


@pytest.mark.parametrize("policy", [dc.CutMix(), dc.Mixup(), dc.Cutout(), None], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int16])
def test_images_that_are_not_uint8_are_refused_and_not_converted(fused, policy, dtype):
    images = [image.astype(dtype) for image in noise_images(2)]
    message = rf"images of {np.dtype(dtype)} given; expected uint8.* mix before dc\.normalize"
    if fused:
        message = rf"crops of {np.dtype(dtype)}.* given; expected .*uint8.*Resample normalizes"
    with pytest.raises(ValueError if fused else RuntimeError, match=message):
        mix_labels(np.zeros(2, np.int64), policy, 5, fused=fused, images=images)


@pytest.mark.parametrize("shape", [(6, 6, 4), (3, 6, 6), (6, 6)])
def test_images_with_other_channels_are_refused(fused, shape):
    images = [np.zeros(shape, np.uint8)] * 2
    message = r"images of shape .* given; expected height×width×channels, up to 3 channels.*RGB"
    if fused:
        message = r"crops of uint8 and shape .* given; expected .*height×width×3.*RGB"
    with pytest.raises(ValueError if fused else RuntimeError, match=message):
        mix_labels(np.zeros(2, np.int64), dc.CutMix(), 5, fused=fused, images=images)


@pytest.mark.parametrize(
    "images", [None, np.zeros((4, 4, 3), np.uint8), ("jpegs", "labels")], ids=["none", "array", "pair"]
)
def test_images_that_are_no_node_are_refused_when_the_graph_is_built(photo_folder, images):
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, labels = dc.read_folder(photo_folder)
        return dc.mix(images, labels)

    with pytest.raises(
        ValueError, match=r"(?s)mix: images=.* given; expected a node of the graph: what a crop returns"
    ):
        graph()
