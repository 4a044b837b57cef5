"""Detection metrics, against definitions written out, scikit-learn and pytorch-ood."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from train.evaluation.ood_scores import ood_metrics

# Few values, so that there are ties within and between the sets
scores = arrays(float, st.integers(1, 40), elements=st.integers(0, 12).map(lambda level: level / 12))


def written_out(inside, outside):
    """TNR at the TPR nearest to 0.95, AUROC, detection accuracy: threshold by threshold, pair by pair."""
    thresholds = [np.inf, *sorted({*inside, *outside}, reverse=True)]
    true = [(inside >= t).mean() for t in thresholds]
    false = [(outside >= t).mean() for t in thresholds]
    nearest = min(range(len(true)), key=lambda i: (round(abs(true[i] - 0.95), 12), i))
    wins = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    accuracy = max((t + 1 - f) / 2 for t, f in zip(true, false, strict=True))
    return 1 - false[nearest], wins, accuracy


@given(scores, scores)
def test_they_are_what_the_definitions_say(inside, outside):
    found = ood_metrics(inside, outside)
    tnr95, auroc, accuracy = written_out(inside, outside)
    assert found.auroc == pytest.approx(100 * auroc, abs=1e-9)
    assert found.accuracy == pytest.approx(100 * accuracy, abs=1e-9)
    assert found.tnr95 == pytest.approx(100 * tnr95, abs=1e-9)


@given(scores, scores)
def test_auroc_is_scikit_learns(inside, outside):
    labels = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    expected = roc_auc_score(labels, np.r_[inside, outside])
    assert ood_metrics(inside, outside).auroc == pytest.approx(100 * expected, abs=1e-6)


def test_they_are_pytorch_oods_with_the_sign_turned():
    """There the positive class is labelled below 0, and is out-of-distribution unless the two are exchanged."""
    from pytorch_ood.metrics import OODMetrics

    rng = np.random.default_rng(0)
    for _ in range(5):
        inside, outside = rng.beta(5, 2, 4000), rng.beta(2, 2, 3001)  # 95 % of 4000 is a whole number
        found = ood_metrics(inside, outside)
        for sign, positive, negative in ((-1, outside, inside), (1, inside, outside)):
            theirs = OODMetrics()
            theirs.update(torch.from_numpy(sign * positive), torch.full((len(positive),), -1))
            theirs.update(torch.from_numpy(sign * negative), torch.zeros(len(negative), dtype=torch.long))
            expected = theirs.compute()
            assert found.auroc == pytest.approx(100 * expected["AUROC"], abs=1e-6)
        assert found.tnr95 == pytest.approx(100 * (1 - expected["FPR95TPR"]), abs=1e-6)


@pytest.mark.parametrize(("inside", "outside"), [([0.9, 0.8, 0.7], [0.1, 0.2])])
def test_sets_that_are_apart_are_told_apart_and_the_other_way_round_not_at_all(inside, outside):
    apart = ood_metrics(np.array(inside), np.array(outside))
    assert (apart.tnr95, apart.auroc, apart.accuracy) == (100, 100, 100)
    turned = ood_metrics(np.array(outside), np.array(inside))
    assert (turned.tnr95, turned.auroc, turned.accuracy) == (0, 0, 50)


@pytest.mark.parametrize(
    ("inside", "outside", "message"),
    [
        ([], [0.5], "the in-distribution set is empty; give one with images"),
        ([0.5], [], "the out-of-distribution set is empty; give one with images"),
        ([0.5, np.nan], [0.5], "1 scores of the in-distribution set are not numbers"),
    ],
)
def test_what_has_no_metric_is_refused(inside, outside, message):
    with pytest.raises(ValueError, match=message):
        ood_metrics(np.array(inside), np.array(outside))
