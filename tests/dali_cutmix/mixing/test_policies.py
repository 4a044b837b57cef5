"""Policies: frozen values that refuse what no policy can mean."""

import dataclasses
import re

import numpy as np
import pytest

import dali_cutmix as dc
from dali_cutmix.mixing import check_policy

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup])
@pytest.mark.parametrize("alpha", [0, -1, 0.0, NAN, INF])
def test_alpha_must_be_a_positive_number(policy, alpha):
    with pytest.raises(ValueError, match=rf"{policy.__name__}: alpha={alpha} given.*finite alpha > 0"):
        policy(alpha=alpha)


@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup, dc.Cutout])
@pytest.mark.parametrize("probability", [-0.1, 1.1, NAN, INF])
def test_probability_must_lie_in_0_to_1(policy, probability):
    with pytest.raises(ValueError, match=rf"{policy.__name__}: probability={probability} given; allowed is 0 .* 1"):
        policy(probability=probability)


@pytest.mark.parametrize("length", [0, -0.5, 2.1, 112, NAN])
def test_the_length_of_a_hole_is_a_share_not_pixels(length):
    with pytest.raises(ValueError, match=rf"Cutout: length={length} given.*above 0 and at most 2"):
        dc.Cutout(length=length)


def test_the_edges_of_what_is_allowed_are_allowed():
    assert dc.CutMix(alpha=1e-6, probability=0).alpha == 1e-6
    assert dc.Mixup(alpha=100, probability=1).probability == 1
    assert dc.Cutout(length=2).length == 2


def test_the_defaults_are_the_papers():
    assert dc.CutMix() == dc.CutMix(alpha=1.0, probability=1.0, per_sample=False)
    assert dc.Mixup() == dc.Mixup(alpha=1.0, probability=1.0, per_sample=False)
    assert dc.Cutout() == dc.Cutout(length=0.5, probability=1.0, per_sample=False)


@pytest.mark.parametrize("policy", [dc.CutMix(), dc.Mixup(), dc.Cutout(), dc.OneOf((dc.CutMix(), None))])
def test_a_policy_is_a_value(policy):
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.probability = 0.5
    assert policy == dataclasses.replace(policy)
    assert len({policy, dataclasses.replace(policy)}) == 1


def test_one_of_needs_two_policies():
    with pytest.raises(ValueError, match=r"OneOf: 1 policies given; two or more"):
        dc.OneOf((dc.CutMix(),))
    with pytest.raises(ValueError, match=r"OneOf: 0 policies given; two or more"):
        dc.OneOf(())


@pytest.mark.parametrize("inner", ["cutmix", dc.CutMix, 1, dc.OneOf((None, dc.CutMix()))], ids=str)
def test_one_of_takes_plain_policies_only(inner):
    with pytest.raises(ValueError, match=r"OneOf: .* given as a policy; allowed are CutMix, Mixup, Cutout and None"):
        dc.OneOf((dc.CutMix(), inner))


def test_one_of_takes_one_weight_for_each_policy():
    with pytest.raises(ValueError, match=r"OneOf: 3 weights given for 2 policies"):
        dc.OneOf((dc.CutMix(), None), weights=(1, 1, 1))


@pytest.mark.parametrize("weights", [(-1, 2), (0, 0), (NAN, 1), (1, NAN), (INF, 1)])
def test_weights_are_numbers_of_at_least_0_and_not_all_0(weights):
    with pytest.raises(ValueError, match=r"OneOf: weights=\(.*\) given; .*at least 0.*not all 0"):
        dc.OneOf((dc.CutMix(), None), weights=weights)


def test_one_of_weighs_all_alike_by_default_and_takes_lists():
    assert dc.OneOf([dc.CutMix(), dc.Mixup()]).weights == (1.0, 1.0)
    assert dc.OneOf([dc.CutMix(), None], [1, 3]) == dc.OneOf((dc.CutMix(), None), (1, 3))


SAME = [
    (dc.CutMix(1, np.int64(1), np.True_), dc.CutMix(1.0, 1.0, True)),
    (dc.Mixup(np.float32(0.5), 0), dc.Mixup(0.5, 0.0)),
    (dc.Cutout(np.float64(1), probability=1), dc.Cutout(1.0, 1.0)),
    (dc.OneOf((dc.CutMix(), None), np.array([2, 1])), dc.OneOf((dc.CutMix(), None), (2.0, 1.0))),
]


@pytest.mark.parametrize(("policy", "same"), SAME, ids=lambda policy: type(policy).__name__)
def test_equal_policies_have_equal_texts_however_their_numbers_were_given(policy, same):
    assert policy == same
    assert repr(policy) == repr(same)
    assert "np." not in repr(policy)


@pytest.mark.parametrize("value", ["1", True, None, np.True_, (1,), 1j], ids=repr)
@pytest.mark.parametrize(
    ("policy", "name", "allowed"),
    [
        (dc.CutMix, "alpha", "a number, a finite alpha > 0"),
        (dc.Mixup, "alpha", "a number, a finite alpha > 0"),
        (dc.Cutout, "length", "a number above 0 and at most 2"),
        (dc.CutMix, "probability", "allowed is 0 (never mix) to 1 (mix every batch), a number"),
        (dc.Cutout, "probability", "allowed is 0 (never mix) to 1 (mix every batch), a number"),
    ],
)
def test_a_number_of_another_type_is_refused(policy, name, allowed, value):
    with pytest.raises(ValueError, match=re.escape(f"{policy.__name__}: {name}={value!r} given; ")) as caught:
        policy(**{name: value})
    assert allowed in str(caught.value)


@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup, dc.Cutout])
@pytest.mark.parametrize("value", ["no", 0, 1.0, None])
def test_per_sample_is_true_or_false(policy, value):
    message = f"{policy.__name__}: per_sample={value!r} given; allowed are True (draw for each sample) and False"
    with pytest.raises(ValueError, match=re.escape(message)):
        policy(per_sample=value)


@pytest.mark.parametrize("weights", [("1", 2), (True, 1), (None, 1)])
def test_weights_of_another_type_are_refused(weights):
    with pytest.raises(ValueError, match=re.escape(f"OneOf: weights={weights} given; weights are numbers of at least")):
        dc.OneOf((dc.CutMix(), None), weights)


def test_one_of_without_a_tuple_is_refused_with_the_way_to_write_it():
    written = r"allowed are several, in a tuple: dc\.OneOf\(\(dc\.CutMix\(\), dc\.Mixup\(\)\)"
    with pytest.raises(ValueError, match=rf"OneOf: policies=CutMix\(.*\) given; {written}"):
        dc.OneOf(dc.CutMix())
    with pytest.raises(ValueError, match=rf"OneOf: weights=2 given; {written}"):
        dc.OneOf((dc.CutMix(), None), 2)


@pytest.mark.parametrize("several", [[dc.CutMix(), dc.Mixup()], (dc.CutMix(), None)], ids=["list", "tuple"])
def test_several_policies_are_refused_with_the_hint_to_wrap_them(several):
    with pytest.raises(ValueError, match=r"mix=[\[(]CutMix.*given; allowed are .*wrap them: dc\.OneOf\(\(dc\.CutMix"):
        check_policy(several)
