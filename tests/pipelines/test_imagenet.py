"""pipelines/imagenet.py, as a user sees it: a folder of JPEGs in, batches out. Nothing here looks inside."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import oracle
from tests.helpers.images import save

SIZE, BATCH = 64, 16
MEAN, STD = np.array(dc.IMAGENET_MEAN), np.array(dc.IMAGENET_STD)


@pytest.fixture(params=[False, True], ids=["dali", "fused"])
def fused(request):
    if request.param and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param


def levels(images):
    """N×H×W×3, 0 to 255, as they were before normalization."""
    return images.numpy().transpose(0, 2, 3, 1) * STD + MEAN


def classes_of(images, colours):
    """The class of every pixel, by its colour; JPEG and rounding move a plain colour by a few levels only."""
    distance = np.abs(levels(images)[:, :, :, None] - colours.astype(float)).max(-1)
    assert distance.min(-1).max() < 8, "a pixel has the colour of no class"
    return distance.argmin(-1)


def some_batches(loader, n):
    found = []
    while len(found) < n:
        found += list(loader)
    return found[:n]


# The black box: what CutMix does to plain colours


class Explained:
    """One batch, explained as CutMix from its pixels and checked against its targets."""

    def __init__(self, pixels, targets):
        self.box = None
        mixed = [image for image in pixels if len(np.unique(image)) > 1]
        if not mixed:  # an empty or a full box, or partners of the same class throughout
            eye = np.eye(targets.shape[1])
            assert np.abs(targets - eye[pixels[:, 0, 0]]).max() < 1e-6
            return
        mask = mixed[0] == mixed[0][0, 0]
        # A box that spans the image leaves a box outside: then either may be the pasted one, and the targets say which
        explanations = [m for m in (mask, ~mask) if oracle.is_box(m) and self.agrees(pixels, targets, m)]
        assert explanations, "no one box explains this batch"
        self.box = oracle.bounding_box(explanations[0])

    def agrees(self, pixels, targets, inside):
        if any(len(np.unique(image[where])) > 1 for image in pixels for where in (inside, ~inside)):
            return False
        partner, own = (np.array([image[where][0] for image in pixels]) for where in (inside, ~inside))
        expected = oracle.dense_targets(own, partner, np.full(len(own), 1 - inside.mean()), targets.shape[1])
        return Counter(own) == Counter(partner) and np.abs(targets - expected).max() < 1e-6


def explained(root, colours, seed, fused):
    loader = imagenet.train(root, size=SIZE, batch_size=BATCH, mix=dc.CutMix(1.0), device="cpu", seed=seed, fused=fused)
    for images, targets in some_batches(loader, 200):
        assert images.shape == (BATCH, 3, SIZE, SIZE)
        assert (targets.sum(1) - 1).abs().max() < 1e-6
        yield Explained(classes_of(images, colours), targets.numpy().astype(np.float64))


@pytest.fixture(scope="module")
def boxes(colour_folder, colours):
    """The boxes of 200 batches, each of which was checked, for either path."""
    found = {}

    def of(fused):
        if fused not in found:
            batches = explained(colour_folder, colours, seed=0, fused=fused)
            found[fused] = np.array([batch.box for batch in batches if batch.box])
        return found[fused]

    return of


def test_200_batches_hold_one_rectangle_of_the_partners_colour_and_targets_of_its_area(boxes, fused):
    """Same rectangle for the batch, targets equal the area to 1e-6, rows sum to 1, partners are a permutation."""
    assert len(boxes(fused)) > 190


def test_lambda_before_clipping_is_uniform(boxes, fused):
    """From boxes that touch no border. A large box seldom fits: a side s does so with (1−s)², so s ~ Beta(2, 3)."""
    found = boxes(fused)
    inside = found[(found[:, :2] > 0).all(1) & (found[:, 2:] < SIZE).all(1)]
    assert len(inside) > 15
    sides = (inside[:, 2:] - inside[:, :2]).mean(1) / SIZE
    # The probability of such a box to be smaller is uniform if and only if λ is
    assert stats.kstest(stats.beta(2, 3).cdf(sides), "uniform").pvalue > 0.01


def test_lambda_before_clipping_is_uniform_also_from_boxes_cut_in_one_direction(boxes, fused):
    """Whole in x or in y is enough to know the side; that has probability 1−s², so s² is Beta(1, 2)."""
    found = boxes(fused)
    whole = (found[:, :2] > 0) & (found[:, 2:] < SIZE)
    sides = np.where(whole, found[:, 2:] - found[:, :2], 0).max(1)[whole.any(1)] / SIZE
    assert len(sides) > 70
    assert stats.kstest(stats.beta(1, 2).cdf(sides**2), "uniform").pvalue > 0.01


def test_the_centres_reach_the_border(boxes, fused):
    """From boxes that are whole in one direction and small: cut or not in the other, the centre there is known."""
    found, centres = boxes(fused), []
    for low, other in ((0, 1), (1, 0)):
        side = found[:, other + 2] - found[:, other]
        known = (found[:, other] > 0) & (found[:, other + 2] < SIZE) & (side < SIZE / 2)
        start, end, half = found[known, low], found[known, low + 2], side[known] / 2
        centres += list(np.where(start == 0, end - half, np.where(end == SIZE, start + half, (start + end) / 2)))
    assert len(centres) > 30
    assert stats.kstest(np.array(centres) / SIZE, "uniform").pvalue > 0.01
    assert min(centres) < SIZE / 10
    assert max(centres) > SIZE * 9 / 10


def test_with_a_class_for_every_sample_the_partners_are_seen_to_be_a_permutation(tmp_path, fused):
    cube = np.array([(r, g, b) for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 255)][:9], np.uint8)
    for i, colour in enumerate(cube):
        save(Image.new("RGB", (60, 50), tuple(map(int, colour))), tmp_path / f"{i}" / "a.jpg")
    loader = imagenet.train(tmp_path, size=32, batch_size=9, device="cpu", targets="pairs", seed=4, fused=fused)
    permutations = set()
    for images, pairs, lam in some_batches(loader, 60):
        pixels = classes_of(images, cube)
        own, partner = pairs.T.tolist()
        assert sorted(own) == sorted(partner) == list(range(9)), "no class is missing, odd batch or not"
        permutations.add(tuple(np.argsort(own)[i] for i in partner))
        for image, mine, theirs, share in zip(pixels, own, partner, lam.tolist(), strict=True):
            assert share == pytest.approx((image == mine).mean() if mine != theirs else share, abs=1e-6)
            assert set(np.unique(image)) <= {mine, theirs}
    assert len(permutations) == 60


# Flips


def test_sample_and_partner_are_flipped_on_their_own(tmp_path, fused):
    """White left, black right, blended half and half: where the two lie differently, no half is black or white."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = 255
    for i in range(32):
        save(image, tmp_path / "a" / f"{i}.jpg")
    loader = imagenet.train(
        tmp_path,
        size=32,
        batch_size=16,
        mix=dc.Mixup(200.0),
        device="cpu",
        scale=(1, 1),
        ratio=(1, 1),
        seed=1,
        fused=fused,
    )
    kinds = Counter()
    for images, _ in some_batches(loader, 60):
        sides = levels(images)[:, 8:24, [4, 27], 0].mean(1)
        for left, right in sides:
            kinds["left" if right < 8 else "right" if left < 8 else "both"] += 1
            assert left + right == pytest.approx(255, abs=6)
    # A partner is the sample itself once in 16: left (1 + 1/16)/4 of all, right the same, both the rest
    expected = {"left": 960 * 17 / 64, "right": 960 * 17 / 64, "both": 960 * 30 / 64}
    assert stats.chisquare([kinds[k] for k in expected], list(expected.values())).pvalue > 0.001


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flip_0_and_1_leave_nothing_to_chance(tmp_path, flip, fused):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = 255
    for i in range(8):
        save(image, tmp_path / "a" / f"{i}.jpg")
    loader = imagenet.train(
        tmp_path, size=32, batch_size=8, device="cpu", scale=(1, 1), ratio=(1, 1), flip=flip, fused=fused
    )
    for images, _ in some_batches(loader, 4):
        sides = levels(images)[:, 8:24, [4, 27], 0].mean(1)
        assert (sides.argmax(1) == int(flip)).all()


# Policies, targets, holes


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_hole_of_cutout_is_exactly_0_and_the_target_stays_whole(tmp_path, dtype, channels_last, fused):
    for i in range(16):
        save(Image.new("RGB", (60, 60), (255, 255, 255)), tmp_path / "ab"[i % 2] / f"{i}.jpg")
    loader = imagenet.train(
        tmp_path,
        size=32,
        batch_size=8,
        mix=dc.Cutout(0.5, per_sample=True),
        device="cpu",
        dtype=dtype,
        channels_last=channels_last,
        fused=fused,
    )
    areas = []
    for images, targets in some_batches(loader, 10):
        is_hole = (images == 0).all(1).numpy()
        assert ((images == 0).any(1).numpy() == is_hole).all()
        assert all(oracle.is_box(mask) for mask in is_hole)
        areas += is_hole.sum((1, 2)).tolist()
        assert images.float().numpy().transpose(0, 2, 3, 1)[~is_hole].min() > 2, "white all around"
        assert sorted(targets.flatten().tolist()) == [0.0] * 8 + [1.0] * 8
    assert max(areas) == 16 * 16
    assert min(areas) < 16 * 16 * 0.6, "the square reaches over the border"


@pytest.mark.parametrize(
    "policy",
    [dc.CutMix(), dc.Mixup(0.3), dc.OneOf((dc.CutMix(per_sample=True), dc.Cutout(), None))],
    ids=repr,
)
def test_pairs_and_dense_targets_are_the_same_for_the_same_seed(colour_folder, policy, fused):
    options = {"size": 16, "batch_size": 8, "mix": policy, "device": "cpu", "seed": 3, "fused": fused}
    dense = some_batches(imagenet.train(colour_folder, **options), 8)
    pairs = some_batches(imagenet.train(colour_folder, targets="pairs", **options), 8)
    for (images, targets), (same, labels, lam) in zip(dense, pairs, strict=True):
        assert torch.equal(images, same)
        assert labels.dtype == torch.int64
        assert labels.shape == (8, 2)
        assert lam.dtype == targets.dtype == torch.float32
        own, partner = labels.T.numpy()
        expected = oracle.dense_targets(own, partner, lam.numpy(), 12)
        np.testing.assert_allclose(targets.numpy(), expected, rtol=0, atol=1e-6)
        logits = torch.randn(8, 12)
        torch.testing.assert_close(dc.soft_cross_entropy(logits, targets), dc.pair_cross_entropy(logits, labels, lam))


def test_more_classes_than_folders_widen_the_targets(colour_folder, fused):
    _, targets = next(
        iter(imagenet.train(colour_folder, batch_size=8, size=16, num_classes=20, device="cpu", fused=fused))
    )
    assert targets.shape == (8, 20)
    assert (targets[:, 12:] == 0).all()


def test_the_defaults_are_cutmix_at_224_in_float32(photo_folder):
    loader = imagenet.train(photo_folder, batch_size=4, device="cpu")
    images, targets = next(iter(loader))
    assert images.shape == (4, 3, 224, 224)
    assert images.dtype == torch.float32
    assert targets.shape == (4, 4)
    assert repr(dc.CutMix()) in loader.state_dict()["binding"]["mix"]


def test_evaluation_gives_the_folder_in_sorted_order(colour_folder, colours):
    loader = imagenet.val(colour_folder, batch_size=16, size=24, resize=28, device="cpu")
    assert [len(labels) for _, labels in loader] == [16, 16, 16, 2]
    labels = torch.cat([labels for _, labels in loader])
    assert labels.tolist() == sorted(labels.tolist())
    for images, labels in loader:
        assert (classes_of(images, colours) == labels.numpy()[:, None, None]).all()


# Bad input, all before anything is decoded


def build(kind, root, **options):
    function = imagenet.train if kind == "train" else imagenet.val
    return function(root, **({"batch_size": 4, "size": 16, "device": "cpu"} | options))


@pytest.mark.parametrize("kind", ["train", "val"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"batch_size=0 given; allowed is a whole number of at least 1"),
        ({"size": 0}, r"size=0 given; .* at least 1"),
        ({"size": 16.0}, r"size=16\.0 given; .* at least 1"),
        ({"num_classes": 11}, r"num_classes=11 given, but the data has 12 classes.*at least 12"),
        ({"num_classes": "12"}, r"num_classes='12' given; allowed is a whole number"),
        ({"device": "tpu"}, r"device='tpu' given; allowed are 'cpu', 'cuda:0'"),
        ({"shard": (2, 2)}, r"shard=\(2, 2\) given; .*0 <= rank < world_size"),
        ({"num_threads": 0}, r"num_threads=0 given; allowed is a whole number of at least 1"),
        ({"prefetch": 0}, r"prefetch=0 given; allowed is a whole number of at least 1"),
        ({"dtype": "float64"}, r"dtype='float64' given; allowed are torch\.float32"),
    ],
    ids=str,
)
def test_what_train_and_val_refuse_alike(colour_folder, kind, options, message):
    with pytest.raises(ValueError, match=message):
        build(kind, colour_folder, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 51},
            r"batch_size=51 given, but the smallest shard holds 50 samples .*smaller batch or fewer",
        ),
        (
            {"batch_size": 26, "shard": (0, 2)},
            r"batch_size=26 given, but the smallest shard holds 25 samples \(50 in 2",
        ),
        ({"mix": "cutmix"}, r"mix='cutmix' given; allowed are dc\.CutMix"),
        ({"targets": "hard"}, r"targets='hard' given; allowed are 'dense' .* 'pairs'"),
        ({"flip": 1.5}, r"flip=1\.5 given; .*0 to 1"),
        ({"scale": (0, 1)}, r"scale=\(0, 1\) given; .*fraction of the area"),
        ({"ratio": (2, 1)}, r"ratio=\(2, 1\) given; .*width:height"),
        ({"seed": -1}, r"seed=-1 given; allowed is a whole number from 0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [None, False], ids=["fused", "dali"])
def test_what_train_refuses_on_either_path(colour_folder, options, message, path):
    with pytest.raises(ValueError, match=message):
        build("train", colour_folder, fused=path, **options)


@pytest.mark.parametrize("path", [None, False], ids=["fused", "dali"])
@pytest.mark.parametrize("size", [0, -3, 2.5, "16"])
def test_a_size_is_refused_on_either_path(colour_folder, size, path):
    with pytest.raises(ValueError, match=rf"size={size!r} given; .*whole number of at least 1"):
        build("train", colour_folder, size=size, fused=path)


def test_val_refuses_a_crop_larger_than_the_resized_image(colour_folder):
    with pytest.raises(ValueError, match="resize=16 given with size=24"):
        imagenet.val(colour_folder, batch_size=4, size=24, resize=16, device="cpu")


@pytest.mark.parametrize("kind", ["train", "val"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_is_refused(colour_folder, kind):
    with pytest.raises(ValueError, match=r"device='cuda:0' given, but PyTorch finds no GPU here .*use another device"):
        build(kind, colour_folder, device="cuda:0")


@pytest.mark.parametrize("kind", ["train", "val"])
def test_folders_that_are_none_are_refused(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; wanted is a folder with one subfolder"):
        build(kind, tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r": it is empty; wanted is"):
        build(kind, tmp_path)
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r": it holds files but no subfolders; wanted is"):
        build(kind, tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"cat: no image in this class folder"):
        build(kind, tmp_path)


def test_evaluation_takes_a_batch_larger_than_the_shard(numbered_folder):
    (batch,) = imagenet.val(numbered_folder(5), batch_size=50, size=8, resize=8, device="cpu")
    assert batch[1].tolist() == [0, 1, 2, 3, 4]
