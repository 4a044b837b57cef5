"""Cross entropy on mixed targets: dense and pairs agree with each other and with PyTorch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import dali_cutmix as dc
from tests.helpers.mixed_targets import mixed_batch, value_and_gradient


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@given(
    n=st.integers(1, 9),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_dense_and_pairs_and_pytorch_give_one_value_and_one_gradient(dtype, n, classes, seed, smoothing):
    logits, labels, lam, dense = mixed_batch(n, classes, seed, dtype)
    own = F.cross_entropy(logits.double(), labels[:, 0], reduction="none", label_smoothing=smoothing)
    partner = F.cross_entropy(logits.double(), labels[:, 1], reduction="none", label_smoothing=smoothing)
    by_parts = (lam.double() * own + (1 - lam.double()) * partner).mean()

    results = [
        value_and_gradient(loss, logits)
        for loss in (
            lambda x: dc.soft_cross_entropy(x, dense, smoothing),
            lambda x: dc.pair_cross_entropy(x, labels, lam, smoothing),
            lambda x: F.cross_entropy(x, dense.to(x.dtype), label_smoothing=smoothing),
        )
    ]
    for value, gradient in results:
        torch.testing.assert_close(value.double(), by_parts, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-6, atol=1e-6)


@given(
    n=st.integers(1, 9),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    is_weighted=st.booleans(),
    reduction=st.sampled_from(["mean", "sum", "none"]),
)
def test_weight_and_reduction_mean_what_they_mean_in_pytorch(n, classes, seed, smoothing, is_weighted, reduction):
    logits, labels, lam, dense = mixed_batch(n, classes, seed, torch.float64)
    weight = torch.rand(classes, generator=torch.Generator().manual_seed(seed)) * 3 if is_weighted else None
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    doubles = options | {"weight": weight if weight is None else weight.double()}
    expected = value_and_gradient(lambda x: F.cross_entropy(x, dense.double(), **doubles), logits)
    for loss in (
        lambda x: dc.soft_cross_entropy(x, dense, **options),
        lambda x: dc.pair_cross_entropy(x, labels, lam, **options),
    ):
        for found, right in zip(value_and_gradient(loss, logits), expected, strict=True):
            torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-6)


def test_a_right_and_certain_prediction_costs_nothing_and_a_wrong_one_costs_its_margin():
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    labels = torch.tensor([[0, 0], [0, 0]])
    assert dc.pair_cross_entropy(logits, labels, torch.ones(2)).item() == pytest.approx(50.0)
    assert dc.soft_cross_entropy(logits, torch.tensor([[1.0, 0], [0, 1.0]])).item() == pytest.approx(0.0)


def test_lam_is_the_share_of_the_first_label():
    logits = torch.tensor([[100.0, 0.0]])
    assert dc.pair_cross_entropy(logits, torch.tensor([[0, 1]]), torch.tensor([0.75])).item() == pytest.approx(25.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, {"weight": torch.arange(5.0), "label_smoothing": 0.1}], ids=["plain", "both"])
def test_targets_and_weight_follow_half_precision_logits(dtype, options):
    logits, labels, lam, dense = mixed_batch(4, 5, 0, dtype)
    expected = dc.soft_cross_entropy(logits.double(), dense, **options).item()
    found = [dc.soft_cross_entropy(logits, dense, **options), dc.pair_cross_entropy(logits, labels, lam, **options)]
    assert [value.dtype for value in found] == [dtype, dtype]
    assert [value.item() for value in found] == pytest.approx([expected] * 2, rel=0.05)


def test_soft_cross_entropy_refuses_labels_and_points_to_the_other_loss():
    with pytest.raises(ValueError, match=r"logits are \(4, 5\) and targets \(4,\).*N×K.*pair_cross_entropy"):
        dc.soft_cross_entropy(torch.zeros(4, 5), torch.zeros(4))


@pytest.mark.parametrize(
    ("labels", "lam"),
    [((4, 3), (4,)), ((4,), (4,)), ((3, 2), (4,)), ((4, 2), (4, 1)), ((4, 2), (3,)), ((4, 5), (4,))],
)
def test_pair_cross_entropy_refuses_other_shapes_and_names_all_three(labels, lam):
    with pytest.raises(ValueError, match=r"logits are \(4, 5\), labels .*N×K, N×2 and N.*soft_cross_entropy") as caught:
        dc.pair_cross_entropy(torch.zeros(4, 5), torch.zeros(labels, dtype=torch.int64), torch.zeros(lam))
    assert str(labels) in str(caught.value)
    assert str(lam) in str(caught.value)
