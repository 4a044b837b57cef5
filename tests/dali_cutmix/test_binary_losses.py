"""Binary cross entropy on mixed targets, each class on its own: dense and pairs agree with PyTorch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import dali_cutmix as dc
from tests.helpers.mixed_targets import mixed_batch, value_and_gradient


def binary(logits, targets, **options):
    return F.binary_cross_entropy_with_logits(logits, targets, **options)


@given(
    n=st.integers(1, 9),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    is_weighted=st.booleans(),
    has_pos_weight=st.booleans(),
    reduction=st.sampled_from(["mean", "sum", "none"]),
)
def test_dense_and_pairs_and_pytorch_agree(n, classes, seed, is_weighted, has_pos_weight, reduction):
    logits, labels, lam, dense = mixed_batch(n, classes, seed, torch.float64)
    generator = torch.Generator().manual_seed(seed)
    weight, pos_weight = torch.rand(2, classes, generator=generator, dtype=torch.float64) * 3
    options = {"reduction": reduction}
    options |= {"weight": weight} if is_weighted else {}
    options |= {"pos_weight": pos_weight} if has_pos_weight else {}
    expected = value_and_gradient(lambda x: binary(x, dense.double(), **options), logits)
    for loss in (
        lambda x: dc.soft_binary_cross_entropy(x, dense, **options),
        lambda x: dc.pair_binary_cross_entropy(x, labels, lam, **options),
    ):
        for found, right in zip(value_and_gradient(loss, logits), expected, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-6)


def test_several_classes_of_a_sample_are_counted_each_on_its_own():
    """Logits of 0 cost log 2 for each class, whatever the target; certain and right ones nothing."""
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.25, 1.0]])
    assert dc.soft_binary_cross_entropy(torch.zeros(2, 3), targets).item() == pytest.approx(0.693147)
    certain = torch.tensor([[50.0, 50.0, -50.0]])
    assert dc.soft_binary_cross_entropy(certain, targets[:1]).item() == pytest.approx(0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing_of_pairs_is_timms(smoothing):
    """``timm.data.mixup.mixup_target`` makes the smoothed targets of ``--bce-loss --smoothing``."""
    from timm.data.mixup import mixup_target
    from timm.loss import BinaryCrossEntropy

    logits, labels, _, _ = mixed_batch(6, 7, 1, torch.float32)
    lam = torch.full((6,), 0.3)
    theirs = mixup_target(labels[:, 0], 7, lam=0.3, smoothing=smoothing)  # its partners are the batch in reverse
    pairs = torch.stack([labels[:, 0], labels[:, 0].flip(0)], 1)
    found = dc.pair_binary_cross_entropy(logits, pairs, lam, label_smoothing=smoothing)
    torch.testing.assert_close(found, BinaryCrossEntropy(smoothing=0.0)(logits, theirs))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_targets_and_weights_follow_half_precision_logits(dtype):
    logits, labels, lam, dense = mixed_batch(4, 5, 0, dtype)
    options = {"weight": torch.arange(5.0), "pos_weight": torch.full((5,), 2.0)}
    expected = dc.soft_binary_cross_entropy(logits.double(), dense, **options).item()
    for value in (
        dc.soft_binary_cross_entropy(logits, dense, **options),
        dc.pair_binary_cross_entropy(logits, labels, lam, **options),
    ):
        assert value.dtype == dtype
        assert value.item() == pytest.approx(expected, rel=0.05)


def test_dense_targets_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"logits are \(4, 5\) and targets \(4,\).*N×K.*pair_binary_cross_entropy"):
        dc.soft_binary_cross_entropy(torch.zeros(4, 5), torch.zeros(4))


def test_pairs_of_another_shape_are_refused():
    labels = torch.zeros(4, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"labels \(4, 5\) and lam \(4,\); .*N×2 and N.*soft_binary_cross_entropy"):
        dc.pair_binary_cross_entropy(torch.zeros(4, 5), labels, torch.zeros(4))
