"""What the tests of torchvision, timm, kornia and Composer assert of CutMix and Mixup, asserted of this library.

Image i is a JPEG of one gray level, i: a pixel names the sample that it came from, and the pixels of an image say what
its target has to be. Each docstring names the projects and the property; statements and oracles are our own.
"""

import itertools

import numpy as np
import pytest
import timm.data.mixup
import timm.loss
import torch
from nvidia.dali import fn, pipeline_def
from PIL import Image
from scipy import stats
from torch.nn import functional as F
from torchvision.transforms import v2

import dali_cutmix as dc
from tests.helpers import oracle
from tests.helpers.images import save
from tests.helpers.loaders import endless

LEVELS = 256
BATCH_SIZES = [1, 2, 3, 7, 33, 256]
UNLIKELY = 1e-3  # the seeds are fixed: a test that passes once passes always
MIXES = [dc.CutMix(), dc.CutMix(per_sample=True), dc.Mixup(), dc.Mixup(per_sample=True)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("levels")
    for level in range(LEVELS):
        save(Image.new("L", (12, 10), level), root / f"{level}.jpg")
    return [root / f"{level}.jpg" for level in range(LEVELS)]


def loader_over(files, policy, n, *, classes=LEVELS, targets="dense", shape=(9, 9), fused=False, labels=None, **output):
    """A training loader over the gray images; image i has the label i % classes unless ``labels`` are given."""
    labels = [i % classes for i in range(LEVELS)] if labels is None else labels
    samples = list(zip(files, labels, strict=True))
    mixing = {"num_classes": classes, "targets": targets}
    finish = dc.FusedMix(policy, resample=dc.Resample(shape[0], **output), **mixing) if fused else None

    @pipeline_def(**dc.pipeline_options(n, device="cpu", num_threads=1, seed=3))
    def graph():
        jpegs, own = dc.read_files(samples, seed=3)
        if finish:
            return finish.inputs(dc.random_crop(jpegs), own)
        images = fn.resize(fn.decoders.image(jpegs), size=list(shape))
        images, *made = dc.mix(images, own, policy, **mixing)
        return dc.normalize(images, **output), *made

    return dc.Loader(graph(), finish=finish)


def levels_of(images):
    """Levels of 0 to 255, N×H×W, of normalized gray images."""
    channels = [image * s + m for image, s, m in zip(images.unbind(1), dc.IMAGENET_STD, dc.IMAGENET_MEAN, strict=True)]
    assert max((channel - channels[0]).abs().max() for channel in channels) < 1e-3, "gray stays gray"
    return channels[0].numpy()


def take(loader, count=4):
    """The next batches: levels and targets."""
    batches = itertools.islice(endless(loader), count)
    return [(levels_of(images), *(part.numpy() for part in targets)) for images, *targets in batches]


def shares(levels, classes):
    """The share of each image's pixels that came from images of each class, N×classes."""
    origin = np.rint(levels).astype(int)
    assert abs(levels - origin).max() < 1e-3, "a pixel comes from one image"
    return np.array([np.bincount(image.ravel() % classes, minlength=classes) / image.size for image in origin])


# Shapes, types, targets


@pytest.mark.parametrize("mix", MIXES, ids=repr)
@pytest.mark.parametrize("n", BATCH_SIZES)
def test_images_keep_their_shape_and_targets_have_a_row_of_sum_1_for_each(files, fused, n, mix):
    """torchvision: images keep shape, targets are N×K, rows sum to 1 and hold two labels. timm: but for odd batches."""
    loader = loader_over(files, mix, n, fused=fused)
    for images, targets in itertools.islice(endless(loader), 3):
        assert (images.shape, images.dtype, images.device.type) == ((n, 3, 9, 9), torch.float32, "cpu")
        assert (targets.shape, targets.dtype, targets.device.type) == ((n, LEVELS), torch.float32, "cpu")
        torch.testing.assert_close(targets.sum(1), torch.ones(n))
        assert targets.min() >= 0
        labels = (targets != 0).sum(1)
        assert set(labels.tolist()) <= {1, 2}
        if n == 256 and not isinstance(mix, dc.CutMix):
            assert (labels == 2).float().mean() > 0.95, "a partner is another sample, but for a few"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 3])
def test_images_have_the_type_asked_for_and_targets_stay_float32(files, fused, n, dtype):
    """kornia and Composer: the result has the type of the input, for each floating type."""
    images, targets = next(iter(loader_over(files, dc.CutMix(), n, fused=fused, dtype=dtype)))
    assert images.dtype == dtype
    assert targets.dtype == torch.float32


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize(("n", "classes"), [(1, 1), (1, 1000), (2, 2), (3, 10), (7, 2), (33, 1), (33, 10), (256, 1000)])
def test_a_target_of_cutmix_counts_the_pixels_of_each_class(files, fused, n, classes, per_sample):
    """torchvision, timm (correct_lam), kornia (use_correct_lambda), Composer: λ is the exact share of the area."""
    loader = loader_over(files, dc.CutMix(per_sample=per_sample), n, classes=classes, fused=fused)
    for levels, targets in take(loader):
        assert targets.shape == (n, classes)
        np.testing.assert_allclose(targets, shares(levels, classes), rtol=0, atol=1e-6)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("n", BATCH_SIZES)
def test_mixup_weighs_pixels_and_labels_with_one_number(files, fused, n, per_sample):
    """kornia, Composer, torchvision: x = λ·x + (1−λ)·x_partner and the same λ in the target: the label is the level."""
    for levels, targets in take(loader_over(files, dc.Mixup(per_sample=per_sample), n, fused=fused)):
        assert np.ptp(levels, axis=(1, 2)).max() < 1e-3, "the blend is the same everywhere"
        expected = targets.astype(float) @ np.arange(LEVELS)
        assert abs(levels[:, 0, 0] - expected).max() <= (0.01 if fused else 0.5 + 1e-3)  # unfused: whole levels


@pytest.mark.parametrize("mix", MIXES, ids=repr)
@pytest.mark.parametrize("n", [1, 7, 256])
def test_what_all_samples_share_stays_whole(files, fused, n, mix):
    """timm: a label that a sample and its partner have in common keeps the weight 1."""
    for _, targets in take(loader_over(files, mix, n, classes=4, fused=fused, labels=[2] * LEVELS), 2):
        np.testing.assert_allclose(targets, [[0, 0, 1, 0]] * n, rtol=0, atol=1e-6)


# Boxes and partners


@pytest.mark.parametrize(("n", "alpha"), [(1, 1.0), (2, 0.2), (3, 1.0), (7, 0.2), (33, 1.0)])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (14, 9), (16, 16)], ids=str)
def test_pixels_in_the_box_are_the_partners_and_all_others_the_samples_own(files, fused, n, shape, alpha):
    """Composer: every pixel, in odd batches of odd and oblong images and in one image of one pixel; λ is adjusted."""
    height, width = shape = (shape[0], shape[0]) if fused else shape  # the fused pass makes square images
    for levels, labels, lam in take(loader_over(files, dc.CutMix(alpha), n, targets="pairs", shape=shape, fused=fused)):
        own, partner = labels.T
        assert sorted(own) == sorted(partner), "partners are a permutation of the batch"
        origin = np.rint(levels).astype(int)
        foreign = origin != own[:, None, None]
        box = oracle.bounding_box(foreign.any(0))
        inside = np.zeros(shape, bool)
        inside[box.y1 : box.y2, box.x1 : box.x2] = True
        np.testing.assert_array_equal(origin, np.where(inside, partner[:, None, None], own[:, None, None]))
        assert (lam == lam[0]).all()
        if (own != partner).any():
            assert lam[0] == pytest.approx(1 - box.area / (height * width), abs=1e-6)


@pytest.mark.parametrize("n", [2, 7, 33])
def test_a_batch_shares_one_draw_and_per_sample_draws_for_each(files, fused, n):
    """kornia (same_on_batch), timm (modes batch and elem): one λ and one box for all, or one for each sample."""
    for policy in (dc.CutMix, dc.Mixup):
        for _, _, lam in take(loader_over(files, policy(), n, targets="pairs", fused=fused)):
            assert (lam == lam[0]).all()
    drawn = [lam for _, _, lam in take(loader_over(files, dc.Mixup(per_sample=True), n, targets="pairs", fused=fused))]
    assert all(len(np.unique(lam)) > 0.9 * n for lam in drawn)


@pytest.mark.parametrize("length", [0.25, 0.5, 23 / 32])
@pytest.mark.parametrize(("n", "shape"), [(1, (16, 16)), (4, (32, 71)), (3, (64, 32))])
def test_cutout_makes_one_filled_square_and_keeps_all_else(files, n, shape, length):
    """Composer: the hole is a contiguous box, a square where no border cuts it, in square and oblong images."""
    loader = loader_over(files, dc.Cutout(length, per_sample=True), n, shape=shape)
    side = length * min(shape)
    for images, targets in itertools.islice(loader, 4):
        own = targets.argmax(1)
        assert (targets == F.one_hot(own, LEVELS)).all()
        for image, label in zip(images, own, strict=True):
            hole = (image == 0).all(0)
            box = oracle.bounding_box(hole.numpy())
            assert box.area == hole.sum() > 0
            red = image[0] * dc.IMAGENET_STD[0] + dc.IMAGENET_MEAN[0]
            torch.testing.assert_close(red[~hole], torch.full_like(red[~hole], label), rtol=0, atol=1e-3)
            for low, high, size in ((box.x1, box.x2, shape[1]), (box.y1, box.y2, shape[0])):
                is_cut = low == 0 or high == size
                assert high - low <= side + 1 if is_cut else abs(high - low - side) <= 1


# Never, always, extremes


@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup], ids=["CutMix", "Mixup"])
@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("n", [1, 33])
def test_with_probability_0_images_and_labels_are_the_samples_own(files, fused, n, policy, per_sample):
    """kornia (p=0), timm (prob=0): the images as they are, the weight of the own label 1."""
    for levels, targets in take(loader_over(files, policy(probability=0.0, per_sample=per_sample), n, fused=fused)):
        own = targets.argmax(1)
        assert (targets == np.eye(LEVELS)[own]).all()
        assert abs(levels - own[:, None, None]).max() < 1e-3


@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_a_batch_is_mixed_with_its_probability(files, fused, probability):
    """kornia (p), timm (prob): 1 leaves no batch out, and a half is not a quarter."""
    loader = loader_over(files, dc.Mixup(probability=probability), 3, targets="pairs", fused=fused)
    mixed = sum(bool(lam[0] < 1) for _, _, lam in take(loader, 85))
    assert stats.binomtest(mixed, 85, probability).pvalue > UNLIKELY


@pytest.mark.parametrize("mix", MIXES, ids=repr)
def test_mixup_enabled_turns_mixing_off_and_on(files, fused, mix):
    """timm: with ``mixup_enabled = False`` batches are as they were read, and their targets are hard."""
    loader = loader_over(files, mix, 33, fused=fused)
    loader.mixup_enabled = False
    for levels, targets in take(loader, 2):
        assert (targets == np.eye(LEVELS)[targets.argmax(1)]).all()
        assert abs(levels - targets.argmax(1)[:, None, None]).max() < 1e-3
    loader.mixup_enabled = True
    assert any((targets.max(1) < 1).any() for _, targets in take(loader, 4))


@pytest.mark.parametrize("alpha", [1e-3, 100.0])
def test_an_extreme_alpha_gives_finite_numbers_that_still_add_up(files, fused, alpha):
    """kornia (beta near 0), and its opposite: λ is nearly always 0 or 1, or nearly always a half."""
    [(levels, labels, lam)] = take(
        loader_over(files, dc.Mixup(alpha, per_sample=True), 256, targets="pairs", fused=fused), 1
    )
    blend = lam * labels[:, 0] + (1 - lam) * labels[:, 1]
    assert abs(levels[:, 0, 0] - blend).max() <= 0.51
    near = np.minimum(lam, 1 - lam) < 0.01 if alpha < 1 else abs(lam - 0.5) < 0.2
    assert near.mean() > 0.95
    assert 0.4 < lam.mean() < 0.6
    for levels, targets in take(loader_over(files, dc.CutMix(alpha, per_sample=True), 256, fused=fused), 2):
        np.testing.assert_allclose(targets, shares(levels, LEVELS), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("switch", "share"), [(0.0, 0.0), (1.0, 1.0), (0.5, 0.5)])
def test_one_of_switches_between_mixup_and_cutmix(files, fused, switch, share):
    """timm (switch_prob): the chance that a batch gets CutMix instead of Mixup."""
    mix = dc.OneOf((dc.Mixup(), dc.CutMix()), (1 - switch, switch))
    batches = take(loader_over(files, mix, 7, fused=fused), 108)
    is_blend = [bool((np.ptp(levels, axis=(1, 2)) < 1e-3).all() and (t.max(1) < 1).any()) for levels, t in batches]
    assert stats.binomtest(len(batches) - sum(is_blend), len(batches), share).pvalue > UNLIKELY


# Losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("n", [1, 7])
def test_the_loss_smooths_labels_as_timm_and_composer_smooth_targets(files, n, classes, smoothing):
    """timm: mixed smoothed one-hot rows. Composer: targets·(1−α) + α/K. Both give our losses with label_smoothing."""
    _, labels, lam = next(iter(loader_over(files, dc.CutMix(per_sample=True), n, classes=classes, targets="pairs")))
    logits = 3 * torch.randn(n, classes, generator=torch.Generator().manual_seed(0))
    off = smoothing / classes
    own, partner = (timm.data.mixup.one_hot(part, classes, 1 - smoothing + off, off) for part in labels.T)
    timms = timm.loss.SoftTargetCrossEntropy()(logits, own * lam[:, None] + partner * (1 - lam[:, None]))
    dense = lam[:, None] * F.one_hot(labels[:, 0], classes) + (1 - lam[:, None]) * F.one_hot(labels[:, 1], classes)
    composers = F.cross_entropy(logits, dense * (1 - smoothing) + smoothing / classes)
    for loss in (
        dc.soft_cross_entropy(logits, dense, smoothing),
        dc.pair_cross_entropy(logits, labels, lam, smoothing),
    ):
        torch.testing.assert_close(loss, timms)
        torch.testing.assert_close(loss, composers)


@pytest.mark.parametrize("policy", [dc.CutMix(0.2), dc.CutMix(), dc.Mixup(0.2), dc.Mixup()], ids=repr)
@pytest.mark.parametrize(("n", "classes"), [(1, 1), (3, 2), (7, 10), (256, 1000)])
def test_the_pair_loss_is_the_weighted_sum_of_two_losses(files, fused, policy, n, classes):
    """Composer (interpolate_loss): λ·loss(y) + (1−λ)·loss(y_partner) is the loss of the interpolated targets."""
    pairs, dense = (
        next(iter(loader_over(files, policy, n, classes=classes, targets=form, fused=fused)))
        for form in ("pairs", "dense")
    )
    _, labels, lam = pairs
    logits = 3 * torch.randn(n, classes, generator=torch.Generator().manual_seed(0))
    two = lam[0] * F.cross_entropy(logits, labels[:, 0]) + (1 - lam[0]) * F.cross_entropy(logits, labels[:, 1])
    torch.testing.assert_close(dc.pair_cross_entropy(logits, labels, lam), two)
    torch.testing.assert_close(dc.soft_cross_entropy(logits, dense[1]), two)


@pytest.mark.parametrize("classes", [2, 10])
def test_without_mixing_the_soft_loss_is_that_of_the_labels(files, classes):
    """Composer: soft cross entropy gives one value for labels as indices and as one-hot rows."""
    _, targets = next(iter(loader_over(files, None, 64, classes=classes)))
    logits = torch.randn(64, classes, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(dc.soft_cross_entropy(logits, targets), F.cross_entropy(logits, targets.argmax(1)))


# Refusals


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("classes", "wrong"), [(1, 1), (10, 10), (10, 999)])
def test_labels_beyond_num_classes_are_refused_before_anything_is_read(files, fused, classes, wrong):
    """torchvision: a label that has no column is an error, never a wrong row."""
    with pytest.raises(ValueError, match=rf"num_classes={classes} given.*{wrong + 1}"):
        loader_over(files, dc.CutMix(), 2, classes=classes, fused=fused, labels=[0] * (LEVELS - 1) + [wrong])


# What the installed packages draw


SHAPE, DRAWS = (100, 160), 768


def cut(image, own):
    """Sides of the box and its area, from the image that it was pasted into."""
    box = oracle.bounding_box(np.asarray(image) != own)
    return *box, box.area


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_boxes_and_lambda_are_distributed_as_the_installed_packages_draw_them(files, alpha):
    """timm and torchvision: λ, sides and area of CutMix's box, drawn with fixed seeds (Kolmogorov–Smirnov)."""
    mine = []
    loader = loader_over(files, dc.CutMix(alpha, per_sample=True), 256, targets="pairs", shape=SHAPE)
    for levels, pairs, lam in take(loader, DRAWS // 256):
        mixed = zip(np.rint(levels), pairs, lam, strict=True)
        mine += [(*cut(image, own), share) for image, (own, partner), share in mixed if own != partner]
    np.random.seed(0)  # timm draws from NumPy's global generator
    torch.manual_seed(0)
    labels = torch.tensor([0, 1])
    images = labels.to(torch.uint8).view(2, 1, 1, 1).repeat(1, 1, *SHAPE)
    for mix in (
        timm.data.mixup.Mixup(mixup_alpha=0, cutmix_alpha=alpha, label_smoothing=0, num_classes=2),
        v2.CutMix(alpha=alpha, num_classes=2),
    ):
        drawn = (mix(images.clone(), labels) for _ in range(DRAWS))
        theirs = [(*cut(mixed[0, 0], 0), targets[0, 0].item()) for mixed, targets in drawn]
        for column, their_column in zip(np.array(mine).T, np.array(theirs).T, strict=True):
            assert stats.ks_2samp(column, their_column).pvalue > UNLIKELY


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_lambda_of_mixup_is_distributed_as_the_installed_packages_draw_it(files, alpha):
    """timm and torchvision: λ of Mixup, drawn with fixed seeds (Kolmogorov–Smirnov)."""
    loader = loader_over(files, dc.Mixup(alpha, per_sample=True), 256, targets="pairs", shape=(1, 1))
    mine = np.concatenate([lam for _, _, lam in take(loader, DRAWS // 256)])
    np.random.seed(0)
    torch.manual_seed(0)
    images, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    timms = timm.data.mixup.Mixup(mixup_alpha=alpha, label_smoothing=0, num_classes=2)
    for mix in (timms, v2.MixUp(alpha=alpha, num_classes=2)):
        theirs = [mix(images.clone(), labels)[1][0, 0].item() for _ in range(DRAWS)]
        assert stats.ks_2samp(mine, theirs).pvalue > UNLIKELY
