"""A vocabulary: which words it keeps, in which order, encoding and decoding."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.captions import caption
from train.tasks.captioning.tokenizer import tokenize
from train.tasks.captioning.vocabulary import END, PAD, SPECIAL, START, UNKNOWN, Vocabulary

CAPTIONS = ["A dog runs.", "a dog sits", "A cat sits!", "a bird"]


def test_frequent_words_come_first_then_by_alphabet_and_rare_ones_are_unknown():
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count=2)
    assert vocabulary.state() == ["<pad>", "<start>", "<end>", "<unk>", "a", "dog", "sits"]
    assert (PAD, START, END, UNKNOWN, len(vocabulary)) == (0, 1, 2, 3, 7)
    assert Vocabulary.from_captions(reversed(CAPTIONS), min_count=2).state() == vocabulary.state()
    assert vocabulary.encode("The dog sits on A mat.", 20) == [START, UNKNOWN, 5, 6, UNKNOWN, 4, UNKNOWN, END]
    assert Vocabulary.from_captions(["five"] * 5 + ["four"] * 4).state() == [*SPECIAL, "five"]


def test_long_captions_are_cut_and_still_end():
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count=1)
    assert vocabulary.decode(vocabulary.encode("a dog sits", 4)) == "a dog"
    assert len(vocabulary.encode("a dog sits", 4)) == 4
    assert vocabulary.encode("a dog sits", 5)[-1] == END


def test_decoding_stops_at_the_end_and_leaves_out_the_start_and_padding():
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count=2)
    assert vocabulary.decode([START, 4, 5, PAD, UNKNOWN, END, 6, 6]) == "a dog <unk>"
    assert vocabulary.decode([END]) == ""
    assert vocabulary.decode([4]) == "a"


@given(st.lists(st.integers(0, 500), min_size=1, max_size=5))
def test_captions_come_back_as_their_words_also_from_a_checkpoint(seeds):
    captions = [caption(seed) for seed in seeds]
    vocabulary = Vocabulary(json.loads(json.dumps(Vocabulary.from_captions(captions, min_count=1).state())))
    for one in captions:
        assert vocabulary.decode(vocabulary.encode(one, 1000)) == " ".join(tokenize(one))


def test_a_state_is_a_copy():
    vocabulary = Vocabulary.from_captions(CAPTIONS, min_count=2)
    vocabulary.state().append("more")
    assert len(vocabulary) == 7


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: Vocabulary.from_captions([]), "no captions given; give those for training"),
        (lambda: Vocabulary.from_captions(["a dog", " ... "], 1), r"caption 1 has no words: ' \.\.\. '; leave it out"),
        (
            lambda: Vocabulary.from_captions(["a dog", "a cat"], 3),
            r"no word occurs 3 times \(min_count\), the most frequent one 2 times; give more captions or",
        ),
        (lambda: Vocabulary.from_captions(["a"], 1).encode("!", 9), "the caption has no words: '!'; leave it out"),
        (
            lambda: Vocabulary.from_captions(["a"], 1).encode("a", 2),
            "max_length 2 given; <start>, a word and <end> need 3",
        ),
        (lambda: Vocabulary.from_captions(["a"], 1).decode([5]), "invalid token 5; the vocabulary has 0 to 4"),
        (lambda: Vocabulary.from_captions(["a"], 1).decode([-1]), "invalid token -1; the vocabulary has 0 to 4"),
        (
            lambda: Vocabulary(["a"]),
            r"a vocabulary must begin with <pad>, <start>, <end>, <unk>, but this one begins with \['a'\]",
        ),
        (lambda: Vocabulary([*SPECIAL, "a", "b", "a"]), "the vocabulary has 'a' twice; each token must occur once"),
    ],
)
def test_what_makes_no_vocabulary_is_refused(do, message):
    with pytest.raises(ValueError, match=message):
        do()
