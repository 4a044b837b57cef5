"""Plans for given draws: boxes, weights and partners are exactly those of Algorithm A1, written in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dali_cutmix as dc
from dali_cutmix.mixing import plan
from tests.helpers import oracle

N = 6  # samples in a batch


def planned(policy, size, *, partner, flip, centres=((0.5, 0.5),), chances=(0.0,), choice=0.0, lams=()):
    """Rows and λ of the plan that follows from given draws; centres and chances one for each leaf, lams for each α."""
    uniform = np.zeros((N, 2 + 3 * len(centres)), np.float32)
    uniform[:, 0] = np.where(flip, 0.25, 0.75)
    uniform[:, 1] = choice
    for leaf, (centre, chance) in enumerate(zip(centres, chances, strict=True)):
        uniform[:, 2 + 3 * leaf : 4 + 3 * leaf] = centre
        uniform[:, 4 + 3 * leaf] = chance
    rows, permutation, lam = plan.make_plan(policy, 0.5, *size, np.array(partner), uniform, *lams)
    assert (permutation == partner).all()
    assert (rows.dtype, lam.dtype) == (np.int32, np.float32)
    return rows, lam


unit = st.one_of(
    st.floats(0, 1, exclude_max=True, width=32), st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.984375, 1 - 2**-24])
)
beta = st.one_of(unit, st.just(1.0))
size = st.tuples(st.integers(1, 300), st.integers(1, 300))


def batch_of(element):
    return st.lists(element, min_size=N, max_size=N).map(lambda x: np.array(x, np.float32))


permutations = st.permutations(range(N)).map(lambda x: np.array(x, np.int32))
flips = st.lists(st.integers(0, 1), min_size=N, max_size=N).map(lambda x: np.array(x, np.int32))


@given(size=size, lam=batch_of(beta), centre=batch_of(st.tuples(unit, unit)), partner=permutations, flip=flips)
def test_cutmix_is_algorithm_a1_for_the_same_draws(size, lam, centre, partner, flip):
    policy = dc.CutMix(per_sample=True)
    rows, share = planned(policy, size, lams=[lam], centres=[centre], partner=partner, flip=flip)
    width, height = size
    for i in range(N):
        u, v = map(float, centre[i])
        assert tuple(rows[i, 1:5]) == oracle.cutmix_box(float(lam[i]), u, v, width, height)
        box = oracle.Box(*map(int, rows[i, 1:5]))
        assert 0 <= box.x1 <= box.x2 <= width
        assert 0 <= box.y1 <= box.y2 <= height
        assert share[i] == pytest.approx(1 - box.area / (width * height), abs=1e-6)
    assert (rows[:, 0] == partner).all()
    assert (rows[:, 5] == flip).all()
    assert (rows[:, 6] == 0).all()


@given(
    size=size,
    length=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    centre=batch_of(st.tuples(unit, unit)),
    partner=permutations,
    flip=flips,
)
def test_cutout_is_a_clipped_square_for_the_same_draws(size, length, centre, partner, flip):
    rows, share = planned(dc.Cutout(length, per_sample=True), size, centres=[centre], partner=partner, flip=flip)
    for i in range(N):
        u, v = map(float, centre[i])
        assert tuple(rows[i, 1:5]) == oracle.cutout_box(length, u, v, *size)
    assert (rows[:, 0] == plan.HOLE).all()
    assert (rows[:, 6] == 0).all()
    assert (share == 1).all()


@given(size=size, lam=batch_of(beta), partner=permutations, flip=flips)
def test_mixup_blends_the_whole_image_by_a_share_in_1_of_65536(size, lam, partner, flip):
    rows, share = planned(dc.Mixup(per_sample=True), size, lams=[lam], partner=partner, flip=flip)
    assert (rows[:, 1:5] == [0, 0, *size]).all()
    for i in range(N):
        exact = float(lam[i]) * 65536
        assert abs(rows[i, 6] - exact) <= 0.5
        assert share[i] == rows[i, 6] / 65536
    assert (rows[:, 0] == partner).all()


@given(
    size=size,
    lam=batch_of(beta),
    centre=batch_of(st.tuples(unit, unit)),
    chance=batch_of(st.one_of(unit, st.sampled_from([0.25, 0.25 - 2**-26]))),
    partner=permutations,
    flip=flips,
)
def test_probability_empties_the_box_of_the_samples_that_are_left_alone(size, lam, centre, chance, partner, flip):
    draws = {"lams": [lam], "centres": [centre], "chances": [chance], "partner": partner, "flip": flip}
    rows, share = planned(dc.CutMix(probability=0.25, per_sample=True), size, **draws)
    always, always_share = planned(dc.CutMix(per_sample=True), size, **draws)
    mixed = chance < 0.25
    assert (rows[mixed] == always[mixed]).all()
    assert (share[mixed] == always_share[mixed]).all()
    assert (rows[~mixed, 1:5] == 0).all()
    assert (share[~mixed] == 1).all()
    assert (rows[:, 5] == flip).all()


@pytest.mark.parametrize(
    ("u", "chosen"),
    [
        (0.0, "cutmix"),
        (0.2499, "cutmix"),
        (0.25, "mixup"),
        (0.7499, "mixup"),
        (0.75, "cutout"),
        (1 - 2**-24, "cutout"),
    ],
)
def test_one_of_takes_the_policy_in_whose_share_the_draw_falls(u, chosen):
    rows, share = planned(
        dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(0.5)), (1, 2, 1)),
        (100, 80),
        choice=u,
        lams=[np.full(N, 0.75, np.float32), np.full(N, 0.125, np.float32)],
        centres=[(0.5, 0.5), (0.9, 0.9), (0.25, 0.25)],
        chances=[0.0] * 3,
        partner=np.arange(N)[::-1],
        flip=np.ones(N),
    )
    box, weight, lam = {
        "cutmix": ((25, 20, 75, 60), 0, 0.75),
        "mixup": ((0, 0, 100, 80), 8192, 0.125),
        "cutout": ((5, 0, 45, 40), 0, 1.0),
    }[chosen]
    partner = [plan.HOLE] * N if chosen == "cutout" else np.arange(N)[::-1]
    assert (rows[:, 0] == partner).all()
    assert (rows[:, 1:5] == box).all()
    assert (rows[:, 5] == 1).all()
    assert (rows[:, 6] == weight).all()
    assert (share == np.float32(lam)).all()


def test_halves_are_rounded_up():
    """NumPy and C each round halves in a way of their own; here it is floor(x + 0.5) everywhere."""
    a_quarter = np.full(N, 0.75, np.float32)  # a box of 5 by 5, from 2.5 to 7.5
    rows, _ = planned(dc.CutMix(per_sample=True), (10, 10), lams=[a_quarter], partner=np.arange(N), flip=np.zeros(N))
    assert (rows[:, 1:5] == [3, 3, 8, 8]).all()
