"""Labels in a graph of one's own: class labels and dense labels of every type become the targets that they mean."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused.cpu import is_compiled
from tests.helpers import tally
from tests.helpers.loaders import take
from tests.helpers.mixed_labels import mix_labels

WAYS = [False, True] if is_compiled() else [False]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
FLOATS = [np.float16, np.float32, np.float64]
POLICIES = [
    dc.CutMix(),
    dc.CutMix(per_sample=True),
    dc.Mixup(0.4),
    dc.Mixup(per_sample=True),
    dc.Cutout(),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)),
    None,
]


@st.composite
def labelled(draw):
    """A form and type of labels, K, the labels as a graph gets them, and the same ones as float64, N×K."""
    form = draw(st.sampled_from(["scalars", "shape [1]", "one-hot", "multi-label", "soft"]))
    dtypes = {"soft": FLOATS, "one-hot": [*INTEGERS, np.bool_, *FLOATS], "multi-label": [*INTEGERS, np.bool_, *FLOATS]}
    dtype = draw(st.sampled_from(dtypes.get(form, INTEGERS)))
    n, rng = draw(st.sampled_from([1, 2, 3, 7, 64])), np.random.default_rng(draw(st.integers(0, 999)))
    k = draw(st.sampled_from([2, 5, n + 1]))  # integer labels of shape [1] are class labels, whatever K is
    classes = rng.integers(0, k, n)
    match form:
        case "scalars":
            return form, k, classes.astype(dtype), np.eye(k)[classes]
        case "shape [1]":
            return form, k, classes.astype(dtype)[:, None], np.eye(k)[classes]
        case "one-hot":
            return form, k, np.eye(k)[classes].astype(dtype), np.eye(k)[classes]
        case "multi-label":
            dense = rng.integers(0, 2, (n, k))
            return form, k, dense.astype(dtype), dense.astype(np.float64)
        case _:
            soft = rng.random((n, k)).astype(dtype)
            return form, k, soft, soft.astype(np.float64)


@given(labelled(), st.sampled_from(POLICIES))
def test_targets_are_lam_y_plus_1_minus_lam_times_the_partners_y(made, policy):
    form, k, labels, dense = made
    n = len(labels)
    pairs, lam = mix_labels(np.arange(n), policy, n, fused=False, targets="pairs")
    lam = lam.astype(np.float64)[:, None]
    expected = lam * dense + (1 - lam) * dense[pairs[:, 1]]
    found = [mix_labels(labels, policy, k, fused=fused)[0] for fused in WAYS]
    assert found[0].dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-6)
    assert all(np.array_equal(found[0], other) for other in found), "fused and unfused agree to the bit"
    if form in ("scalars", "shape [1]", "one-hot"):
        assert abs(found[0].sum(1) - 1).max() < 1e-6


@given(labelled().filter(lambda made: made[0] in ("scalars", "shape [1]")), st.sampled_from(POLICIES))
def test_pairs_of_class_labels_of_any_type_are_n_by_2_int64(made, policy):
    _, k, labels, dense = made
    _, partner = mix_labels(np.arange(len(labels)), policy, len(labels), fused=False, targets="pairs")[0].T
    for fused in WAYS:
        pairs, lam = mix_labels(labels, policy, k, fused=fused, targets="pairs")
        classes = dense.argmax(1)
        np.testing.assert_array_equal(pairs, np.stack([classes, classes[partner]], 1))
        assert (pairs.dtype, lam.dtype, lam.shape) == (np.int64, np.float32, (len(labels),))


def test_one_hot_labels_of_as_many_samples_as_classes_are_not_taken_for_class_labels(fused):
    (targets,) = mix_labels(np.eye(4, dtype=np.int64), None, 4, fused=fused)
    np.testing.assert_array_equal(targets, np.eye(4))


def test_with_one_class_integers_are_class_labels_and_floats_are_dense(fused):
    (of_integers,) = mix_labels(np.zeros((3, 1), np.int64), None, 1, fused=fused)
    (of_floats,) = mix_labels(np.array([[0], [1], [0.25]], np.float32), None, 1, fused=fused)
    assert of_integers.tolist() == [[1], [1], [1]]
    assert of_floats.tolist() == [[0], [1], [0.25]]


def test_cutout_leaves_dense_labels_to_the_bit(fused):
    soft = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    (targets,) = mix_labels(soft, dc.Cutout(), 3, fused=fused)
    np.testing.assert_array_equal(targets, soft)


def loader_of_dalis_reader(folder, *, fused, one_hot, targets="dense"):
    finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(24), num_classes=4, targets=targets)

    @pipeline_def(**dc.pipeline_options(batch_size=4, device="cpu", seed=2))
    def graph():
        jpegs, labels = fn.readers.file(file_root=str(folder), pad_last_batch=True, name="mine")
        labels = fn.one_hot(labels, num_classes=4) if one_hot else labels
        if fused:
            return finish.inputs(dc.random_crop(jpegs), labels)
        images = dc.random_resized_crop(jpegs, 24)
        images, *mixed = dc.mix(images, labels, dc.CutMix(), num_classes=4, targets=targets)
        return dc.normalize(images), *mixed

    return dc.Loader(graph(), finish=finish if fused else None)


def test_labels_of_dalis_own_reader_become_targets_that_sum_to_1(photo_folder, fused):
    batches = list(loader_of_dalis_reader(photo_folder, fused=fused, one_hot=False))
    assert [tuple(targets.shape) for _, targets in batches] == [(4, 4)] * 6
    assert all(torch.allclose(targets.sum(1), torch.ones(4)) for _, targets in batches)
    pairs = next(iter(loader_of_dalis_reader(photo_folder, fused=fused, one_hot=False, targets="pairs")))[1]
    assert (pairs.shape, pairs.dtype) == ((4, 2), torch.int64)


def test_dense_labels_train_as_the_class_labels_that_they_encode_and_resume(photo_folder, fused):
    by_class = loader_of_dalis_reader(photo_folder, fused=fused, one_hot=False)
    dense = loader_of_dalis_reader(photo_folder, fused=fused, one_hot=True)
    whole = take(dense, 8)
    assert take(by_class, 8) == whole
    stopped, resumed = (loader_of_dalis_reader(photo_folder, fused=fused, one_hot=True) for _ in range(2))
    assert take(stopped, 2) == whole[:2]
    resumed.load_state_dict(stopped.state_dict())
    assert take(resumed, 6) == whole[2:]
    tally.count("resumes")
