"""Words of captions, against the Java program of the COCO evaluation where Java is installed, and by hand."""

import shutil

import pytest

from tests.helpers.captions import caption
from train.tasks.captioning.tokenizer import tokenize


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A man riding a wave on top of a surfboard.", "a man riding a wave on top of a surfboard"),
        ("A woman's cat doesn't like the dogs' food!", "a woman 's cat does n't like the dogs food"),
        ("It's a black-and-white photo of “two men”, isn’t it?", "it 's a black-and-white photo of two men is n't it"),
        ("I'm sure they'd cannot; we've -- gonna, who'll...", "i 'm sure they 'd can not we 've gon na who 'll"),
        ("Mr. Smith's $5.00 T.V. at 10:30am, St. Mary's", "mr. smith 's $ 5.00 t.v. at 10:30 am st. mary 's"),
        ("a dog (sitting) [left]", "a dog -lrb- sitting -rrb- -lsb- left -rsb-"),
        ("1,000 candles,red and 1/2 pizza,8-year-old", "1,000 candles red and 1/2 pizza 8-year-old"),
        ("mac&cheese with an AT&T logo, 50% off #1", "mac & cheese with an at&t logo 50 % off # 1"),
        ("A café.A dog  at\tthe\nbeach", "a café.a dog at the beach"),
        ("wow!! What?! yes?", "wow !! what ?! yes"),
        ("rock 'n' roll in the '70s, y'all", "rock 'n' roll in the '70s y' all"),
        ("http://a.org/b?c=1 says hi", "http://a.org/b?c=1 says hi"),
        ("A <unk> dog, a <UNK>.", "a <unk> dog a <unk>"),
        ("black-<unk>'s <3 a < b > c <1>", "black <unk> 's < 3 a < b > c < 1 >"),
        ("-lrb- man -RRB- a-lrb-b -lsb-x y-rcb-", "-lrb- man -rrb- a-lrb-b -lsb- x y-rcb"),
        (" .,;:-'\"`` ", ""),
        ("", ""),
    ],
)
def test_captions_become_words(sentence, words):
    assert tokenize(sentence) == words.split()


@pytest.mark.skipif(not shutil.which("java"), reason="needs Java; there is no java on the path")
def test_words_are_those_of_the_coco_evaluation():
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    sentences = [caption(seed) for seed in range(600)]
    sentences += [" ".join(tokenize(sentence)) for sentence in sentences]  # what models write has been split before
    sentences += ["a <unk> dog", "<un-k_1> <UNK><unk>s, x<unk>y-<unk>'s <unk>-dog", "<3 <1> <café> a < b > c<d>e"]
    sentences += ["-lrb- man -RRB-", "a-lrb-b -lsb-x y-rsb- --rcb- -lrc- -lcb-'s -rrb-."]
    expected = PTBTokenizer().tokenize({i: [{"caption": sentence}] for i, sentence in enumerate(sentences)})
    assert len(expected) == len(sentences)
    for i, sentence in enumerate(sentences):
        assert tokenize(sentence) == expected[i][0].split(), sentence


def test_words_are_split_no_further():
    """Captions that are written are words of others with a space between; the evaluation splits them as it does all."""
    for sentence in (
        "A man riding a wave on top of a surfboard.",
        "A black-and-white photo of the dogs' food (maybe) [left], {right}",
        "a <unk> on 1/2 pizza, 8-year-old boy's 50% at 10:30",
        "It's on St. Mary's Ave. in the U.S. and they'd run",
    ):
        words = tokenize(sentence)
        assert tokenize(" ".join(words)) == words


def test_a_caption_of_any_length_takes_no_time_to_speak_of():
    for text in (
        "a" * 100_000,
        "a'" * 50_000,
        "a." * 50_000,
        "1," * 50_000,
        "n't" * 30_000,
        "-" * 100_000,
        "a-" * 50_000,
        "<a" * 50_000,
        "<" + "a" * 100_000,
        "-lrb" * 30_000,
    ):
        tokenize(text)
