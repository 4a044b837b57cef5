"""Plans as they are drawn: who is mixed with whom, where and by how much is distributed as Algorithm A1 draws it."""

import functools

import numpy as np
import pytest
from nvidia.dali import pipeline_def
from scipy import stats

import dali_cutmix as dc
from dali_cutmix.mixing import plan
from tests.helpers import oracle

UNLIKELY = 1e-3  # the seeds are fixed: a test that passes once passes always


class Drawn:
    """Plans of many batches: rows (runs × batch × 7), partner, lam (runs × batch)."""

    def __init__(self, policy, *, runs, batch=2, width=1000, height=600, flip=0.5, seed=1):
        # The simplest executor: fastest for a graph of a few tiny nodes
        simple = {"exec_dynamic": False, "exec_async": False, "exec_pipelined": False}

        @pipeline_def(batch_size=batch, num_threads=1, device_id=None, seed=seed, **simple)
        def graph():
            return plan.draw(policy)

        pipe = graph()
        pipe.build()
        draws = ([np.array(output.as_array()) for output in pipe.run()] for _ in range(runs))
        plans = [plan.make_plan(policy, flip, width, height, *drawn) for drawn in draws]
        self.rows, self.partner, self.lam = map(np.stack, zip(*plans, strict=True))
        self.box, self.flip, self.weight = self.rows[..., 1:5], self.rows[..., 5], self.rows[..., 6]
        self.area = (self.box[..., 2] - self.box[..., 0]) * (self.box[..., 3] - self.box[..., 1])
        self.width, self.height = width, height


drawn_once = functools.cache(Drawn)  # tests that look at the same batches share them


def simulate(alpha, n, width, height):
    """Boxes of n draws of Algorithm A1."""
    rng = np.random.default_rng(0)
    draws = zip(rng.beta(alpha, alpha, n), rng.random(n), rng.random(n), strict=True)
    return np.array([oracle.cutmix_box(lam, u, v, width, height) for lam, u, v in draws])


@pytest.mark.parametrize(
    ("policy", "runs", "batch"),
    [
        (dc.CutMix(), 1500, 5),
        (dc.CutMix(0.3, per_sample=True), 40, 50),
        (dc.CutMix(1.0, per_sample=True), 40, 50),
        (dc.CutMix(3.0, per_sample=True), 40, 50),
    ],
    ids=repr,
)
def test_boxes_are_distributed_as_algorithm_a1_draws_them(policy, runs, batch):
    drawn = drawn_once(policy, runs=runs, batch=batch)
    boxes = drawn.box.reshape(-1, 4) if policy.per_sample else drawn.box[:, 0]
    expected = simulate(policy.alpha, 20_000, drawn.width, drawn.height)

    def features(b):
        width, height = b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
        return [*b.T, width, height, width * height, b[:, 0] + b[:, 2], b[:, 1] + b[:, 3]]

    for mine, papers in zip(features(boxes), features(expected), strict=True):
        assert stats.ks_2samp(mine, papers).pvalue > UNLIKELY


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_mixup_draws_lambda_from_beta(alpha):
    drawn = Drawn(dc.Mixup(alpha, per_sample=True), runs=40, batch=50)
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, drawn.weight.size)
    lam = np.clip((drawn.weight.ravel() + dither) / 65536, 0, 1)
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_mixup_uses_one_number_for_images_and_targets():
    drawn = Drawn(dc.Mixup(0.3, per_sample=True), runs=40, batch=50)
    assert (drawn.lam.astype(np.float64) == drawn.weight / 65536).all()
    assert (drawn.area == drawn.width * drawn.height).all()


@pytest.mark.parametrize("policy", [dc.CutMix(), dc.Mixup(), dc.Cutout(), dc.CutMix(probability=0.5)], ids=repr)
def test_a_batch_shares_one_draw(policy):
    drawn = Drawn(policy, runs=50, batch=8)
    shared = np.concatenate([drawn.box, drawn.weight[..., None]], axis=2)
    assert (shared == shared[:, :1]).all()
    assert (drawn.lam == drawn.lam[:, :1]).all()
    assert len(np.unique(shared[:, 0], axis=0)) > 20, "every batch has a draw of its own"


@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup, dc.Cutout])
def test_per_sample_draws_for_every_sample_on_its_own(policy):
    drawn = Drawn(policy(per_sample=True), runs=400, batch=3)
    draws = np.concatenate([drawn.box, drawn.weight[..., None]], axis=2).astype(float)
    for column in np.flatnonzero(draws.std(axis=(0, 1)) > 0):
        for i in range(3):
            assert stats.ks_2samp(draws[:, i, column], draws[:, (i + 1) % 3, column]).pvalue > UNLIKELY
            for j in range(i):
                assert stats.spearmanr(draws[:, i, column], draws[:, j, column]).pvalue > UNLIKELY


@pytest.mark.parametrize("batch", [1, 2, 7, 8])
def test_partners_are_a_permutation_for_odd_and_even_batches(batch):
    drawn = Drawn(dc.CutMix(), runs=30, batch=batch)
    assert (np.sort(drawn.partner) == np.arange(batch)).all()
    assert (drawn.rows[..., 0] == drawn.partner).all()


def test_every_position_has_every_partner_alike_itself_included():
    drawn = drawn_once(dc.CutMix(), runs=1500, batch=5)
    for position in range(5):
        counts = np.bincount(drawn.partner[:, position], minlength=5)
        assert stats.chisquare(counts).pvalue > UNLIKELY


def test_the_partner_tells_nothing_about_the_box():
    drawn = drawn_once(dc.CutMix(), runs=1500, batch=5)
    areas = [drawn.area[:, 0][drawn.partner[:, 0] == partner] for partner in range(5)]
    assert stats.kruskal(*areas).pvalue > UNLIKELY


@pytest.mark.parametrize("flip", [0.0, 0.25, 0.5, 1.0])
def test_flips_come_with_their_chance_each_on_its_own(flip):
    drawn = Drawn(dc.CutMix(), runs=500, batch=4, flip=flip)
    assert set(np.unique(drawn.flip)) <= {0, 1}
    assert stats.binomtest(int(drawn.flip.sum()), drawn.flip.size, flip).pvalue > UNLIKELY
    if 0 < flip < 1:
        patterns = np.bincount(drawn.flip @ [1, 2, 4, 8], minlength=16)
        heads = np.array([bin(pattern).count("1") for pattern in range(16)])
        assert stats.chisquare(patterns, 500 * flip**heads * (1 - flip) ** (4 - heads)).pvalue > UNLIKELY


@pytest.mark.parametrize(("probability", "runs"), [(0.0, 50), (0.4, 400), (1.0, 50)])
@pytest.mark.parametrize("policy", [dc.CutMix, dc.Mixup, dc.Cutout])
@pytest.mark.parametrize("per_sample", [False, True])
def test_the_chance_to_be_mixed_is_the_probability_not_its_square(policy, probability, runs, per_sample):
    drawn = Drawn(policy(probability=probability, per_sample=per_sample), runs=runs, batch=3)
    # A box of CutMix rounds to nothing for λ > 1 − 1/(W·H): not once in these draws
    mixed = drawn.area[:, : 3 if per_sample else 1] > 0
    assert stats.binomtest(int(mixed.sum()), mixed.size, probability).pvalue > UNLIKELY
    assert (drawn.lam[drawn.area == 0] == 1).all()
    if policy is not dc.Cutout:
        assert (drawn.lam[drawn.area > 0] < 1).all()


def test_what_is_mixed_is_drawn_as_if_there_were_no_probability():
    half = Drawn(dc.CutMix(probability=0.5, per_sample=True), runs=40, batch=50)
    mixed = half.area[half.area > 0]
    expected = simulate(1.0, 20_000, half.width, half.height)
    assert stats.ks_2samp(mixed, [oracle.Box(*box).area for box in expected]).pvalue > UNLIKELY


def test_no_policy_mixes_nothing_and_still_flips():
    drawn = Drawn(None, runs=100, batch=4)
    assert (drawn.area == 0).all()
    assert (drawn.lam == 1).all()
    assert set(np.unique(drawn.flip)) == {0, 1}


def test_a_hole_is_a_square_of_the_shorter_side_and_leaves_the_target_alone():
    drawn = Drawn(dc.Cutout(0.4), runs=200, batch=1)
    x1, y1, x2, y2 = drawn.box.reshape(-1, 4).T
    inside = (x1 > 0) & (y1 > 0) & (x2 < 1000) & (y2 < 600)
    assert inside.mean() > 0.2
    assert (abs((x2 - x1)[inside] - 240) <= 1).all()
    assert (abs((y2 - y1)[inside] - 240) <= 1).all()
    assert (drawn.lam == 1).all()
    assert (drawn.rows[..., 0] == plan.HOLE).all()


def test_a_hole_reaches_over_the_border():
    drawn = Drawn(dc.Cutout(0.5), runs=1000, batch=1, width=100, height=100)
    x1, y1, x2, y2 = drawn.box.reshape(-1, 4).T
    # Side 50: the centre is uniform, so half of all holes are cut in x, and a corner may leave a quarter.
    assert stats.binomtest(int(((x2 - x1) < 49).sum()), 1000, 0.48).pvalue > UNLIKELY
    assert ((x2 - x1) * (y2 - y1)).min() < 0.3 * 50 * 50
    assert min(x2.min(), y2.min()) < 30
    assert max(x1.max(), y1.max()) > 70


def kinds(drawn):
    """Name what each batch got, from its plan alone."""
    partner, box, weight = drawn.rows[:, 0, 0], drawn.box[:, 0], drawn.weight[:, 0]
    whole = (box == [0, 0, drawn.width, drawn.height]).all(1)
    return np.select(
        [(drawn.area == 0).all(1), partner == plan.HOLE, whole & (weight > 0)],
        ["none", "cutout", "mixup"],
        "cutmix",
    )


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (5, 3, 0, 2), (0, 0, 1, 0)])
def test_one_of_chooses_by_weight_for_the_whole_batch(weights):
    policy = dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None), weights)
    drawn = Drawn(policy, runs=600, batch=3)
    found = kinds(drawn)
    for name, weight in zip(("cutmix", "mixup", "cutout", "none"), weights, strict=True):
        assert stats.binomtest(int((found == name).sum()), 600, weight / sum(weights)).pvalue > UNLIKELY
    is_hole = drawn.rows[..., 0] == plan.HOLE
    assert (is_hole == is_hole[:, :1]).all(), "one choice for a batch"
    assert (drawn.rows[..., 0][~is_hole] == drawn.partner[~is_hole]).all()


def test_one_of_without_cutout_makes_no_holes():
    drawn = Drawn(dc.OneOf((dc.CutMix(), dc.Mixup())), runs=50)
    assert set(kinds(drawn)) == {"cutmix", "mixup"}


def test_inside_one_of_a_policy_keeps_its_own_settings():
    drawn = Drawn(dc.OneOf((dc.CutMix(probability=0.5), dc.Mixup(3.0, per_sample=True))), runs=600, batch=2)
    found = kinds(drawn)
    assert stats.binomtest(int((found == "cutmix").sum()), 600, 0.25).pvalue > UNLIKELY
    assert stats.binomtest(int((found == "none").sum()), 600, 0.25).pvalue > UNLIKELY
    weight = drawn.weight[found == "mixup"]
    assert (weight[:, 0] != weight[:, 1]).mean() > 0.99
    assert stats.kstest(weight.ravel() / 65536, stats.beta(3, 3).cdf).pvalue > UNLIKELY


def test_lam_is_the_share_of_own_pixels_after_clipping():
    drawn = Drawn(dc.CutMix(), runs=300, batch=2, width=64, height=40)
    exact = 1 - drawn.area / (64 * 40)
    assert abs(drawn.lam - exact).max() < 1e-6
    clipped = (drawn.box[..., 0] == 0) | (drawn.box[..., 3] == 40)
    assert clipped.mean() > 0.3, "and there are clipped boxes among them"
