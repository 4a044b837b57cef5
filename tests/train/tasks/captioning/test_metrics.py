"""Caption scores: against the COCO evaluation's own scorers, hand-computed captions and definitions written out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from tests.helpers.captions import caption
from train.tasks.captioning import metrics as caption_metrics
from train.tasks.captioning.meteor import NoMeteorError
from train.tasks.captioning.metrics import bleu, caption_scores, cider_d, rouge_l
from train.tasks.captioning.tokenizer import tokenize

# Few words, so that n-grams repeat in and between captions
captions = st.lists(st.sampled_from(["a", "dog", "man", "on", "the", "red"]), max_size=9)
references = st.lists(captions.filter(len), min_size=1, max_size=4)
images = st.lists(st.tuples(captions, references), min_size=1, max_size=6)


def as_coco(pairs):
    truth = {i: [" ".join(ref) for ref in refs] for i, (_, refs) in enumerate(pairs)}
    return truth, {i: [" ".join(one)] for i, (one, _) in enumerate(pairs)}


def agrees(pairs):
    truth, found = as_coco(pairs)
    candidates, refs = zip(*pairs, strict=True)
    assert bleu(candidates, refs) == pytest.approx(Bleu().compute_score(truth, found, verbose=0)[0], abs=1e-9)
    assert rouge_l(candidates, refs) == pytest.approx(Rouge().compute_score(truth, found)[0], abs=1e-9)
    assert cider_d(candidates, refs) == pytest.approx(Cider().compute_score(truth, found)[0], abs=1e-9)


@given(images)
def test_scores_are_those_of_the_coco_evaluation(pairs):
    agrees(pairs)


def test_scores_are_those_of_the_coco_evaluation_for_captions_as_people_write_them():
    pairs = []
    for image in range(120):
        tokens = [tokenize(caption(seed)) for seed in range(7 * image, 7 * image + 6)]
        pairs.append((tokens[0][: image % 9] + tokens[1], tokens[1:]))
    agrees(pairs)


def test_bleu_by_hand():
    """Right: 4 of 5 words (one 'the' of two), 2 of 4 pairs, 1 of 3 triples, 0 of 2; length 5, closest reference 6."""
    candidate, *refs = map(
        str.split, ["the the cat sat down", "the cat sat on a mat", "so the cats have now gone down"]
    )
    brevity = math.exp(1 - 6 / 5)
    found = bleu([candidate], [refs])
    assert found[0] == pytest.approx(brevity * 4 / 5, abs=1e-8)
    assert found[1] == pytest.approx(brevity * math.sqrt(4 / 5 * 2 / 4), abs=1e-8)
    assert found[2] == pytest.approx(brevity * (4 / 5 * 2 / 4 * 1 / 3) ** (1 / 3), abs=1e-8)
    assert found[3] == pytest.approx(0, abs=1e-3)


def test_of_two_references_as_close_in_length_bleu_takes_the_shorter():
    assert bleu([["a", "b"]], [[["a", "b", "c"], ["a"]]])[0] == pytest.approx(1, abs=1e-8)
    assert bleu([["a", "b"]], [[["a", "b", "c"]]])[0] == pytest.approx(math.exp(-1 / 2), abs=1e-8)


def test_bleu_is_of_all_captions_together_and_not_a_mean():
    found = bleu([["a"], ["x", "y", "z"]], [[["a"]], [["p", "q", "r"]]])
    assert found[0] == pytest.approx(1 / 4, abs=1e-8)


@given(captions.filter(len), captions.filter(len))
def test_rouge_counts_the_longest_common_subsequence(one, other):
    longest = max(
        size
        for size in range(min(len(one), len(other)) + 1)
        if set(itertools.combinations(one, size)) & set(itertools.combinations(other, size))
    )
    precision, recall = longest / len(one), longest / len(other)
    expected = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision) if longest else 0
    assert rouge_l([one], [[other]]) == pytest.approx(expected, abs=1e-12)


def test_rouge_takes_the_largest_precision_and_the_largest_recall_of_different_references():
    refs = [["a", "b", "c", "d", "x", "y", "z"], ["a", "q"]]
    precision, recall = 4 / 5, 4 / 7
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert rouge_l([["a", "b", "c", "d", "e"]], [refs]) == pytest.approx(expected)


def test_cider_by_hand():
    """Two images: a, b and ab are in the first only and weigh log 2, c is in both; the second's candidate is wrong."""
    found = cider_d([["a", "b"], ["z"]], [[["a", "b", "c"]], [["c"]]])
    # One gram: (a, b) against (a, b, c), where c weighs 0; two: (ab) against (ab, bc), cosine 1/√2; lengths 1 and 2
    expected = 10 / 4 * (1 + 1 / math.sqrt(2)) * math.exp(-1 / 72) / 2
    assert found == pytest.approx(expected)


def test_words_repeated_for_their_weight_bring_cider_nothing():
    refs = [[["a", "b"]], [["c", "d"]]]
    assert cider_d([["a", "a", "a", "b"], ["c"]], refs) < cider_d([["a", "b"], ["c"]], refs)


def test_a_caption_like_a_reference_scores_100_and_cider_1000():
    scores = caption_scores(
        {7: "A man rides a wave!", 9: "Two dogs, on grass."},
        {9: ["two dogs on grass"], 7: ["A man rides a wave.", "surfing"]},
        with_meteor=False,
    )
    assert (scores.bleu1, scores.bleu4, scores.rouge_l) == pytest.approx((100, 100, 100))
    assert scores.cider == pytest.approx(750)  # the other reference of image 7 has nothing in common
    assert (scores.meteor, scores.meteor_note) == (None, "left out")


def test_an_empty_caption_scores_0_and_takes_nothing_from_others():
    with_empty = caption_scores({1: "", 2: "a red dog runs fast"}, {1: ["a cat"], 2: ["a red dog runs fast"]}, False)
    assert with_empty.rouge_l == pytest.approx(50)
    assert with_empty.bleu4 == pytest.approx(100 * math.exp(1 - 7 / 5))
    nothing = caption_scores({1: "...", 2: ""}, {1: ["a cat"], 2: ["a dog"]}, False)
    assert (nothing.bleu1, nothing.bleu4, nothing.rouge_l, nothing.cider) == (0, 0, 0, 0)


def test_a_reference_without_words_harms_nobody():
    scores = caption_scores({1: "a cat", 2: "a dog"}, {1: ["a cat", "!"], 2: ["a dog"]}, False)
    assert scores.bleu2 == pytest.approx(100)
    assert scores.rouge_l == pytest.approx(100)


def test_one_image_has_no_cider_since_all_words_are_in_all_images():
    assert caption_scores({1: "a cat"}, {1: ["a cat"]}, False).cider == 0


def test_meteor_is_in_percent_and_its_failure_costs_no_other_score(monkeypatch):
    monkeypatch.setattr(caption_metrics, "meteor", lambda found, truth: len(found) / 10 if truth == [["a cat"]] else 0)
    scores = caption_scores({1: "A cat."}, {1: ["a cat"]})
    assert (scores.meteor, scores.meteor_note) == (pytest.approx(10), "")

    def fails(found, truth):
        raise NoMeteorError("no Java here")

    monkeypatch.setattr(caption_metrics, "meteor", fails)
    scores = caption_scores({1: "A cat."}, {1: ["a cat"]})
    assert (scores.meteor, scores.meteor_note) == (None, "no Java here")
    assert scores.rouge_l == pytest.approx(100)


@pytest.mark.parametrize(
    ("candidates", "truth", "message"),
    [
        ({}, {}, "there is no caption to score; give one candidate for each image"),
        ({3: "a", 2: "b"}, {2: ["b"]}, "image 3 has a candidate but no reference; 1 such images in all"),
        ({3: "a"}, {3: []}, "image 3 has a candidate but no reference"),
        ({3: "a"}, {3: ["a"], 5: ["b"], 4: []}, "image 4 has references but no candidate; 2 such images in all"),
    ],
)
def test_what_cannot_be_scored_is_refused(candidates, truth, message):
    with pytest.raises(ValueError, match=message):
        caption_scores(candidates, truth, with_meteor=False)


def test_scores_do_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(0)
    found = {i: caption(i) for i in range(30)}
    truth = {i: [caption(i)[: 3 * i], caption(i + 50)] for i in range(30)}
    shuffled = {int(i): found[int(i)] for i in rng.permutation(30)}
    first, second = caption_scores(found, truth, False), caption_scores(shuffled, truth, False)
    assert first.cider == pytest.approx(second.cider, rel=1e-12)
    assert first.bleu4 == pytest.approx(second.bleu4, rel=1e-12)
