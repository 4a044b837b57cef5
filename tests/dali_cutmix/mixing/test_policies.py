"""Policies: frozen values that refuse what no policy can mean."""

import dataclasses

import pytest

import dali_cutmix as dc

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
