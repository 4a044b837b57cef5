"""All losses alike: options that mean nothing are refused; nothing waits for the GPU or breaks a compiled graph."""

import re

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import dali_cutmix as dc
from tests.helpers.mixed_targets import mixed_batch

LOSSES = [
    dc.soft_cross_entropy,
    dc.pair_cross_entropy,
    dc.soft_binary_cross_entropy,
    dc.pair_binary_cross_entropy,
]
SMOOTHED = [loss for loss in LOSSES if loss is not dc.soft_binary_cross_entropy]


def arguments(loss, dtype=torch.float32):
    logits, labels, lam, dense = mixed_batch(4, 5, 0, dtype)
    return (logits, labels, lam) if "pair" in loss.__name__ else (logits, dense)


def name(value):
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize("loss", SMOOTHED, ids=name)
@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan"), "0.1", None])
def test_label_smoothing_outside_0_to_1_is_refused(loss, smoothing):
    with pytest.raises(ValueError, match=rf"label_smoothing={smoothing!r} given; .*fraction.*0 to 1"):
        loss(*arguments(loss), label_smoothing=smoothing)


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("reduction", ["average", None, "Mean"])
def test_an_unknown_reduction_is_refused(loss, reduction):
    with pytest.raises(ValueError, match=rf"reduction={reduction!r} given; allowed are 'mean', 'sum' and 'none'"):
        loss(*arguments(loss), reduction=reduction)


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("shape", [(4,), (4, 5), (), (4, 1)])
def test_a_weight_that_is_not_one_number_for_each_class_is_refused(loss, shape):
    with pytest.raises(ValueError, match=rf"{loss.__name__}: weight of shape {re.escape(str(shape))} given; .*\(5,\)"):
        loss(*arguments(loss), weight=torch.ones(shape))


@pytest.mark.parametrize("loss", [dc.soft_binary_cross_entropy, dc.pair_binary_cross_entropy], ids=name)
def test_a_pos_weight_that_is_not_one_number_for_each_class_is_refused(loss):
    with pytest.raises(ValueError, match=r"pos_weight of shape \(4,\) given; .*\(5,\)"):
        loss(*arguments(loss), pos_weight=torch.ones(4))


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_a_weight_that_is_no_tensor_is_refused(loss):
    with pytest.raises(ValueError, match=r"weight=\[1, 2\] given; expected a tensor with one factor for each class"):
        loss(*arguments(loss), weight=[1, 2])


@pytest.mark.parametrize("loss", [dc.pair_cross_entropy, dc.pair_binary_cross_entropy], ids=name)
@pytest.mark.parametrize(
    ("labels", "lam"), [(torch.float32, torch.float32), (torch.bool, torch.float32), (torch.int64, torch.int64)]
)
def test_pairs_of_another_type_are_refused(loss, labels, lam):
    logits, pairs, weights = arguments(loss)
    with pytest.raises(ValueError, match=rf"labels are {labels} and lam {lam}; expected whole numbers and floating"):
        loss(logits, pairs.to(labels), weights.to(lam))


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_labels_of_32_bits_and_soft_targets_of_whole_numbers_are_taken(loss):
    logits, targets, *rest = arguments(loss)
    whole = targets.round() if targets.is_floating_point() else targets
    torch.testing.assert_close(loss(logits, whole.int(), *rest), loss(logits, whole, *rest))


def options_of(loss):
    options = {"weight": torch.rand(5), "reduction": "sum"}
    options |= {"label_smoothing": 0.1} if loss in SMOOTHED else {}
    return options | ({"pos_weight": torch.rand(5)} if "binary" in loss.__name__ else {})


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_no_value_of_a_tensor_is_read(loss):
    """A tensor without values raises where its value is asked for, as a GPU would have to be waited for there."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = [mode.from_tensor(tensor) for tensor in arguments(loss)]
        options = options_of(loss)
        assert loss(*fake, **options).shape == ()


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_it_compiles_without_a_break_in_the_graph(loss):
    options = options_of(loss)
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*arguments(loss), **options), loss(*arguments(loss), **options))
