"""Vocabulary of a captioner: the words of captions as numbers (paper, D; NIC: Vinyals et al., CVPR 2015)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from train.tasks.captioning.tokenizer import tokenize

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")
"""Tokens of the first four numbers; no word of a caption is equal to one of them."""


class Vocabulary:
    """Tokens and their numbers.

    Example::

        >>> words = Vocabulary.from_captions(["a red bus", "a dog"], min_count=1)
        >>> words.encode("a blue bus", max_length=10)   # <start> a <unk> bus <end>
        [1, 4, 3, 5, 2]
        >>> words.decode([1, 4, 3, 5, 2])
        'a <unk> bus'

    Args:
        tokens: ``SPECIAL``, then the words, as `state` returns them.

    Raises:
        ValueError: they do not begin with ``SPECIAL``, or a token occurs twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if tuple(tokens[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(
                f"a vocabulary must begin with {', '.join(SPECIAL)}, but this one begins with {list(tokens[:4])}."
            )
        self._tokens = list(tokens)
        self._numbers = {token: number for number, token in enumerate(tokens)}
        if len(self._numbers) < len(tokens):
            twice = next(token for number, token in enumerate(tokens) if self._numbers[token] != number)
            raise ValueError(f"the vocabulary has {twice!r} twice; each token must occur once.")

    @classmethod
    def from_captions(cls, captions: Iterable[str], min_count: int = 5) -> Vocabulary:
        """Make a vocabulary of the words that occur often enough, by falling frequency, then alphabetically.

        Args:
            captions: the training captions.
            min_count: minimum number of occurrences of a word.

        Raises:
            ValueError: there are no captions, one of them has no words, or no word occurs often enough.
        """
        counts: Counter[str] = Counter()
        for number, caption in enumerate(captions):
            counts.update(_words(caption, f"caption {number}"))
        if not counts:
            raise ValueError("no captions given; give those for training.")
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
        """Numbers of ``<start>``, the words and ``<end>``; words beyond ``max_length`` numbers in all are cut off.

        Raises:
            ValueError: the caption has no words, or ``max_length`` leaves no room for a word.
        """
        if max_length < 3:
            raise ValueError(f"max_length {max_length} given; <start>, a word and <end> need 3.")
        words = _words(caption, "the caption")[: max_length - 2]
        return [START, *(self._numbers.get(word, UNKNOWN) for word in words), END]

    def decode(self, numbers: Iterable[int]) -> str:
        """The words before the first ``<end>``, separated by spaces, without ``<start>`` and ``<pad>``.

        Raises:
            ValueError: a number is not that of a token.
        """
        words = []
        for number in numbers:
            if not 0 <= number < len(self):
                raise ValueError(f"invalid token {number}; the vocabulary has 0 to {len(self) - 1}.")
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self._tokens[number])
        return " ".join(words)


def _words(caption: str, name: str) -> list[str]:
    if words := tokenize(caption):
        return words
    raise ValueError(f"{name} has no words: {caption!r}; leave it out.")
