"""Cross entropy on mixed targets: dense and pairs agree with each other and with PyTorch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import dali_cutmix as dc


def mixed_batch(n, classes, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(n, classes, generator=generator, dtype=torch.float64) * 5).to(dtype)
    labels = torch.randint(classes, (n, 2), generator=generator)
    lam = torch.rand(n, generator=generator)
    eye = torch.eye(classes, dtype=torch.float32)
    dense = lam[:, None] * eye[labels[:, 0]] + (1 - lam)[:, None] * eye[labels[:, 1]]
    return logits, labels, lam, dense


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

    results = []
    for loss in (
        lambda x: dc.soft_cross_entropy(x, dense, smoothing),
        lambda x: dc.pair_cross_entropy(x, labels, lam, smoothing),
        lambda x: F.cross_entropy(x, dense.to(x.dtype), label_smoothing=smoothing),
    ):
        x = logits.clone().requires_grad_()
        value = loss(x)
        value.backward()
        results.append((value.detach(), x.grad))
    for value, gradient in results:
        torch.testing.assert_close(value.double(), by_parts, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-6, atol=1e-6)


def test_a_right_and_certain_prediction_costs_nothing_and_a_wrong_one_costs_its_margin():
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    labels = torch.tensor([[0, 0], [0, 0]])
    assert dc.pair_cross_entropy(logits, labels, torch.ones(2)).item() == pytest.approx(50.0)
    assert dc.soft_cross_entropy(logits, torch.tensor([[1.0, 0], [0, 1.0]])).item() == pytest.approx(0.0)


def test_lam_is_the_share_of_the_first_label():
    logits = torch.tensor([[100.0, 0.0]])
    assert dc.pair_cross_entropy(logits, torch.tensor([[0, 1]]), torch.tensor([0.75])).item() == pytest.approx(25.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_targets_follow_half_precision_logits(dtype):
    logits, labels, lam, dense = mixed_batch(4, 5, 0, dtype)
    expected = dc.soft_cross_entropy(logits.double(), dense).item()
    assert dc.soft_cross_entropy(logits, dense).item() == pytest.approx(expected, rel=0.05)
    assert dc.pair_cross_entropy(logits, labels, lam).item() == pytest.approx(expected, rel=0.05)


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
