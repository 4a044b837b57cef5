"""Mixing in a graph of your own: what went wrong in well-known implementations, one test each.

The images are coded: every pixel says which image, column and row it came from. Nothing here looks at a plan.
"""

import functools

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from scipy import stats

import dali_cutmix as dc
from tests.helpers import oracle

UNLIKELY = 1e-3
HEIGHT, WIDTH = 40, 64


def mix_batches(
    policy,
    runs,
    *,
    batch=5,
    height=HEIGHT,
    width=WIDTH,
    labels=None,
    classes=None,
    targets="dense",
    flip=0.5,
    seed=1,
):
    """``runs`` batches of coded images, mixed: images (runs × N × H × W × 3) and each kind of target."""
    images = list(oracle.coded_images(batch, height, width))
    labels = np.arange(batch) if labels is None else labels

    @pipeline_def(batch_size=batch, num_threads=1, device_id=None, seed=seed)
    def graph():
        pixels = fn.external_source(source=lambda: images, layout="HWC", dtype=types.UINT8, ndim=3)
        own = fn.external_source(source=lambda: np.array(labels, np.int64), dtype=types.INT64, ndim=0)
        return dc.mix(pixels, own, policy, num_classes=classes or batch, targets=targets, flip=flip)

    pipe = graph()
    pipe.build()
    outputs = [[output.as_array() for output in pipe.run()] for _ in range(runs)]
    return [np.stack(output) for output in zip(*outputs, strict=True)]


@functools.cache
def cutmix_batches(per_sample=False):
    """400 batches of 5, and what each image says of itself."""
    images, targets = mix_batches(dc.CutMix(per_sample=per_sample), 400, seed=3)
    found = [[oracle.read_coded(image, own) for own, image in enumerate(batch)] for batch in images]
    return images, targets, found


def visible(found):
    """The box of each batch of which some image shows it, and the images that do."""
    for batch in found:
        shown = [i for i, image in enumerate(batch) if image.partner is not None]
        if shown:
            yield batch[shown[0]].box, [batch[i] for i in shown]


def all_boxes(found):
    return np.array([box for box, _ in visible(found)])


def test_images_mix_with_one_rectangle_for_the_whole_batch():
    _, _, found = cutmix_batches()
    boxes = list(visible(found))
    assert len(boxes) > 380
    for box, images in boxes:
        assert all(image.box == box for image in images)


def test_with_per_sample_every_image_has_a_rectangle_of_its_own():
    _, _, found = cutmix_batches(per_sample=True)
    distinct = [len({image.box for image in batch if image.partner is not None}) for batch in found]
    assert np.mean(np.array(distinct) >= 3) > 0.8


@pytest.mark.parametrize("per_sample", [False, True])
def test_lambda_is_the_share_of_the_own_image_and_neither_inverted_nor_left_unadjusted(per_sample):
    """Each image is a class of its own: its target counts the pixels of every image that are in it."""
    images, targets, _ = cutmix_batches(per_sample)
    for image, target in zip(images.reshape(-1, HEIGHT, WIDTH, 3), targets.reshape(-1, 5), strict=True):
        shares = np.bincount(image[..., 0].ravel(), minlength=5) / (HEIGHT * WIDTH)
        np.testing.assert_allclose(target, shares, rtol=0, atol=1e-6)
    assert abs(targets.sum(-1) - 1).max() < 1e-6
    clipped = [box for box in all_boxes(cutmix_batches(per_sample)[2]) if box[0] == 0 or box[2] == WIDTH]
    assert len(clipped) > 100, "clipped boxes, for which λ as drawn would be wrong, are among them"


def test_height_and_width_are_not_swapped():
    _, _, found = cutmix_batches()
    boxes = all_boxes(found)
    inside = boxes[(boxes[:, :2] > 0).all(1) & (boxes[:, 2:] < [WIDTH, HEIGHT]).all(1)]
    assert len(inside) > 40
    widths, heights = inside[:, 2] - inside[:, 0], inside[:, 3] - inside[:, 1]
    assert abs(widths / WIDTH - heights / HEIGHT).max() <= 1 / WIDTH + 1 / HEIGHT, "the box has the image's shape"
    assert boxes[:, 2].max() == WIDTH
    assert boxes[:, 3].max() == HEIGHT


def test_boxes_are_not_biased_away_from_the_border():
    """From boxes whole in y, and small: the side is known, so the centre in x is, even where it is cut."""
    boxes = np.concatenate([all_boxes(cutmix_batches()[2]), all_boxes(cutmix_batches(per_sample=True)[2])])
    for low, high, other, size, other_size in ((0, 2, 1, WIDTH, HEIGHT), (1, 3, 0, HEIGHT, WIDTH)):
        side = boxes[:, other + 2] - boxes[:, other]
        whole = (boxes[:, other] > 0) & (boxes[:, other + 2] < other_size) & (side < other_size / 2)
        half = side[whole] / other_size * size / 2
        left, right = boxes[whole, low], boxes[whole, high]
        centre = np.where(left == 0, right - half, np.where(right == size, left + half, (left + right) / 2))
        assert len(centre) > 80
        assert stats.kstest(centre / size, "uniform").pvalue > UNLIKELY
        assert centre.min() < 0.06 * size
        assert centre.max() > 0.94 * size


@pytest.mark.parametrize("per_sample", [False, True])
def test_the_partner_does_not_depend_on_the_position(per_sample):
    _, targets, found = cutmix_batches(per_sample)
    table = np.zeros((5, 5))
    for batch in found:
        for position, image in enumerate(batch):
            if image.partner is not None:
                table[position, image.partner] += 1
    others = table[~np.eye(5, dtype=bool)]
    assert stats.chisquare(others).pvalue > UNLIKELY
    # One fifth of all partners are the image itself: its target stays whole, but for empty boxes
    itself = int((targets.max(-1) > 1 - 1e-6).sum())
    assert stats.binomtest(itself, 2000, 0.2 + 0.8 * 0.004).pvalue > UNLIKELY


def test_the_box_does_not_depend_on_the_position():
    _, _, found = cutmix_batches(per_sample=True)
    areas = [[batch[i].box.area for batch in found if batch[i].partner is not None] for i in range(5)]
    assert stats.kruskal(*areas).pvalue > UNLIKELY


def test_partners_are_a_permutation():
    _, _, found = cutmix_batches()
    complete = [
        [image.partner if image.partner is not None else own for own, image in enumerate(batch)]
        for batch in found
        if sum(image.partner is not None for image in batch) > 0
    ]
    assert all(sorted(partners) == list(range(5)) for partners in complete)
    assert len({tuple(partners) for partners in complete}) > 100, "of 120 permutations"


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup])
def test_probability_is_applied_once(policy, per_sample):
    _, labels, lam = mix_batches(
        policy(probability=0.5, per_sample=per_sample), 400, batch=3, height=100, width=100, targets="pairs"
    )
    mixed = (lam < 1) if per_sample else (lam[:, :1] < 1)
    assert stats.binomtest(int(mixed.sum()), mixed.size, 0.5).pvalue > UNLIKELY
    assert labels.shape == (400, 3, 2)


def test_what_is_mixed_at_all_is_mixed_with_a_full_lambda():
    """A probability that also scaled the box or λ would show in the areas of what is mixed."""
    _, _, always = mix_batches(dc.CutMix(per_sample=True), 200, batch=3, targets="pairs")
    _, _, half = mix_batches(dc.CutMix(probability=0.5, per_sample=True), 400, batch=3, targets="pairs", seed=2)
    assert stats.ks_2samp(always[always < 1], half[half < 1]).pvalue > UNLIKELY


def test_sample_and_partner_are_flipped_on_their_own_before_the_paste():
    _, _, found = cutmix_batches()
    pairs = [image for batch in found for image in batch if None not in (image.flipped, image.partner_flipped)]
    counts = [sum((image.flipped, image.partner_flipped) == both for image in pairs) for both in np.ndindex(2, 2)]
    assert len(pairs) > 1000
    assert stats.chisquare(counts).pvalue > UNLIKELY
    # and the partner brings the flip that it has in its own image
    for batch in found:
        for image in batch:
            if image.partner is not None and None not in (
                image.partner_flipped,
                batch[image.partner].flipped,
            ):
                assert image.partner_flipped == batch[image.partner].flipped


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flip_0_mirrors_nothing_and_1_mirrors_all(flip):
    images, _ = mix_batches(dc.CutMix(), 20, flip=flip)
    columns = np.arange(WIDTH)[::-1] if flip else np.arange(WIDTH)
    assert (images[..., 1] == columns).all()


@pytest.mark.parametrize("policy", [dc.CutMix(), dc.Mixup(), dc.CutMix(per_sample=True)], ids=repr)
@pytest.mark.parametrize("batch", [1, 3, 7])
def test_rows_of_equal_labels_add_up_to_exactly_1(policy, batch):
    """An assignment instead of an addition leaves 1 − λ where both labels are the same."""
    _, targets = mix_batches(policy, 30, batch=batch, labels=np.full(batch, 2), classes=4)
    expected = np.zeros((30, batch, 4))
    expected[..., 2] = 1
    np.testing.assert_allclose(targets, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_odd_batches_and_a_batch_of_one_work(batch):
    images, targets = mix_batches(dc.CutMix(), 20, batch=batch)
    assert images.shape == (20, batch, HEIGHT, WIDTH, 3)
    assert abs(targets.sum(-1) - 1).max() < 1e-6
    if batch == 1:
        assert (targets == 1).all()


@pytest.mark.parametrize(
    "policy",
    [
        dc.CutMix(),
        dc.CutMix(per_sample=True),
        dc.CutMix(probability=0.5),
        dc.Mixup(0.4),
        dc.Cutout(),
        dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None)),
        None,
    ],
    ids=repr,
)
def test_pairs_and_dense_targets_are_the_same_for_the_same_seed(policy):
    labels = [2, 0, 2, 1, 1]
    images, dense = mix_batches(policy, 40, labels=labels, classes=3)
    same_images, pairs, lam = mix_batches(policy, 40, labels=labels, classes=3, targets="pairs")
    np.testing.assert_array_equal(images, same_images)
    assert (pairs[..., 0] == labels).all()
    assert pairs.dtype == np.int64
    assert lam.dtype == dense.dtype == np.float32
    expected = oracle.dense_targets(pairs[..., 0].ravel(), pairs[..., 1].ravel(), lam.ravel(), 3)
    np.testing.assert_allclose(dense.reshape(-1, 3), expected, rtol=0, atol=1e-6)
    assert (np.sort(pairs[..., 1]) == np.sort(labels)).all(), "partners are a permutation"


def test_mixup_is_the_float_blend_within_rounding():
    pixels = oracle.coded_images(5, HEIGHT, WIDTH).astype(np.float64)
    images, labels, lam = mix_batches(dc.Mixup(per_sample=True), 60, flip=0, targets="pairs")
    for image, pair, share in zip(
        images.reshape(-1, HEIGHT, WIDTH, 3), labels.reshape(-1, 2), lam.ravel(), strict=True
    ):
        blend = share.astype(np.float64) * pixels[pair[0]] + (1 - share.astype(np.float64)) * pixels[pair[1]]
        assert abs(image - blend).max() <= 0.5 + 1e-9
    assert lam.min() < 0.1
    assert lam.max() > 0.9


def test_no_policy_gives_the_own_image_and_a_hard_target():
    images, targets = mix_batches(None, 10, flip=0)
    assert (images == oracle.coded_images(5, HEIGHT, WIDTH)).all()
    assert (targets == np.eye(5)).all()


def test_cutout_leaves_target_and_all_other_pixels_alone():
    images, targets = mix_batches(dc.Cutout(0.5), 100, flip=0)
    assert (targets == np.eye(5)).all()
    hole = (images != oracle.coded_images(5, HEIGHT, WIDTH)).any(-1)
    boxes = []
    for batch in hole:
        box = oracle.bounding_box(batch.any(0))
        boxes.append(box)
        assert all(oracle.is_box(mask) and oracle.bounding_box(mask) == box for mask in batch)
        assert 10 * 10 * 0.9 <= box.area <= 21 * 21, "side 20, at least a corner's quarter"
    assert len(set(boxes)) > 50


# Bad input


def in_graph(function):
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        images = fn.external_source(source=lambda: [np.zeros((4, 4, 3), np.uint8)] * 2, layout="HWC")
        labels = fn.external_source(source=lambda: [np.int64(0)] * 2)
        return function(images, labels)

    return graph()


@pytest.mark.parametrize("policy", ["cutmix", 1.0, dc.CutMix, (dc.CutMix(), dc.Mixup())], ids=str)
def test_what_is_no_policy_is_refused(policy):
    with pytest.raises(ValueError, match=r"mix=.* given; allowed are dc.CutMix.*dc.Mixup.*dc.Cutout.*dc.OneOf.*None"):
        in_graph(lambda images, labels: dc.mix(images, labels, policy, num_classes=2))


@pytest.mark.parametrize("targets", ["onehot", None, "Dense"])
def test_unknown_targets_are_refused(targets):
    with pytest.raises(ValueError, match=rf"targets={targets!r} given; allowed are 'dense' .* and 'pairs'"):
        in_graph(lambda images, labels: dc.mix(images, labels, num_classes=2, targets=targets))


@pytest.mark.parametrize("flip", [-0.1, 1.5, float("nan"), "often"])
def test_a_flip_that_is_no_chance_is_refused(flip):
    with pytest.raises(ValueError, match=rf"flip={flip!r} given; .*0 to 1"):
        in_graph(lambda images, labels: dc.mix(images, labels, num_classes=2, flip=flip))


def test_a_reader_of_ones_own_needs_num_classes():
    with pytest.raises(ValueError, match=r"num_classes=None given, and the data does not say it; give the number"):
        in_graph(lambda images, labels: dc.mix(images, labels))


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "10"])
def test_a_num_classes_that_is_no_number_of_classes_is_refused(num_classes):
    with pytest.raises(ValueError, match=rf"num_classes={num_classes!r} given"):
        in_graph(lambda images, labels: dc.mix(images, labels, num_classes=num_classes))


def test_images_of_different_sizes_are_refused_with_words_that_help():
    sizes = [np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        images = fn.external_source(source=lambda: sizes, layout="HWC")
        labels = fn.external_source(source=lambda: [np.int64(0)] * 2)
        return dc.mix(images, labels, num_classes=2)

    pipe = graph()
    pipe.build()
    with pytest.raises(RuntimeError, match="different shapes in one batch .*resize or crop before dc.mix"):
        pipe.run()


def test_a_verb_outside_a_graph_says_where_it_belongs():
    for verb in (
        lambda: dc.mix(None, None, num_classes=2),
        lambda: dc.normalize(None),
        lambda: dc.random_resized_crop(None),
        lambda: dc.resize_center_crop(None),
    ):
        with pytest.raises(RuntimeError, match=r"call them inside a function decorated with @nvidia.dali.pipeline_def"):
            verb()


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_label_outside_num_classes_is_refused_with_a_reader_of_ones_own(wrong):
    with pytest.raises(RuntimeError, match=rf"label {wrong} read with num_classes=3; labels are 0 to 2"):
        mix_batches(dc.CutMix(), 1, labels=[0, 1, wrong], classes=3, batch=3)
