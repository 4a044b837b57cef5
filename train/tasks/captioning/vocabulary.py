"""Words of captions as numbers: for a model that writes captions (paper, D; NIC: Vinyals et al., CVPR 2015)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from train.tasks.captioning.tokenizer import tokenize

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")
"""Tokens of the first numbers; no caption has such a word."""


class Vocabulary:
    """Tokens and their numbers.

    Args:
        tokens: ``SPECIAL``, then words; what ``state`` gave.

    Raises:
        ValueError: they are not like that, or a token comes twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if tuple(tokens[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(f"a vocabulary begins with {', '.join(SPECIAL)}; this one with {list(tokens[:4])}.")
        self._tokens = list(tokens)
        self._numbers = {token: number for number, token in enumerate(tokens)}
        if len(self._numbers) < len(tokens):
            twice = next(token for number, token in enumerate(tokens) if self._numbers[token] != number)
            raise ValueError(f"the vocabulary has {twice!r} twice; each token must be there once.")

    @classmethod
    def from_captions(cls, captions: Iterable[str], min_count: int = 5) -> Vocabulary:
        """The words that captions for training have at least so many times, frequent ones first, then by alphabet.

        Raises:
            ValueError: there is no caption or none without words, or no word occurs so often.
        """
        counts: Counter[str] = Counter()
        for number, caption in enumerate(captions):
            counts.update(_words(caption, f"caption {number}"))
        if not counts:
            raise ValueError("there is no caption; give those for training.")
        kept = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        if not kept:
            raise ValueError(
                f"no word occurs {min_count} times (min_count), the most frequent one {max(counts.values())} times; "
                "give more captions or a lower min_count."
            )
        return cls([*SPECIAL, *kept])

    def __len__(self) -> int:
        return len(self._tokens)

    def state(self) -> list[str]:
        """All tokens in order, for a checkpoint."""
        return list(self._tokens)

    def encode(self, caption: str, max_length: int) -> list[int]:
        """Numbers of ``<start>``, the words and ``<end>``: at most ``max_length``, by leaving out the last words.

        Raises:
            ValueError: the caption has no words, or ``max_length`` leaves room for none.
        """
        if max_length < 3:
            raise ValueError(f"max_length {max_length} given; <start>, a word and <end> need 3.")
        words = _words(caption, "the caption")[: max_length - 2]
        return [START, *(self._numbers.get(word, UNKNOWN) for word in words), END]

    def decode(self, numbers: Iterable[int]) -> str:
        """The words up to the first ``<end>``, with a space between; ``<start>`` and ``<pad>`` are left out.

        Raises:
            ValueError: a number is of no token.
        """
        words = []
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"{number} is no token; the vocabulary has 0 to {len(self) - 1}.")
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self._tokens[number])
        return " ".join(words)


def _words(caption: str, name: str) -> list[str]:
    if words := tokenize(caption):
        return words
    raise ValueError(f"{name} has no words: {caption!r}; leave it out.")
