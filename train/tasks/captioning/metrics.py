"""BLEU, METEOR, ROUGE-L and CIDEr-D as in the COCO caption evaluation (Chen et al., arXiv:1504.00325, 2015)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from train.tasks.captioning.meteor import NoMeteorError, meteor
from train.tasks.captioning.tokenizer import tokenize

ORDERS = (1, 2, 3, 4)
"""Lengths of n-grams, in words."""

Caption = list[str]
"""The words of a caption."""
Grams = Counter[tuple[str, ...]]
"""How often each n-gram of any of ``ORDERS`` occurs in a caption."""


@dataclass(frozen=True)
class CaptionScores:
    """Scores of all captions together, in percent, so that CIDEr-D may exceed 100."""

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    meteor: float | None
    """None if it cannot be computed, for example without Java."""
    rouge_l: float
    cider: float
    meteor_note: str = ""
    """The reason why ``meteor`` is None."""


def caption_scores(
    candidates: Mapping[int, str], references: Mapping[int, Sequence[str]], with_meteor: bool = True
) -> CaptionScores:
    """Compare a generated caption of each image with captions written by people.

    Captions are split into words as by the COCO evaluation; a caption without words scores 0.

    Example::

        >>> scores = caption_scores({7: "a red bus"}, {7: ["a red bus", "the bus"]}, with_meteor=False)
        >>> round(scores.bleu1), round(scores.rouge_l)
        (100, 100)

    Args:
        candidates: generated captions by image.
        references: one or more captions of each of these images. CIDEr-D gives more weight to words that few images
            have, and is 0 for a single image.
        with_meteor: start Java for METEOR, which takes seconds to minutes.

    Raises:
        ValueError: there are no captions, or an image has a candidate but no reference, or references but no candidate.
    """
    if not candidates:
        raise ValueError("there is no caption to score; give one candidate for each image.")
    if alone := sorted(set(candidates) - {image for image, given in references.items() if given}):
        raise ValueError(
            f"image {alone[0]} has a candidate but no reference; {len(alone)} such images in all. "
            "Give each a reference."
        )
    if missing := sorted(set(references) - set(candidates)):
        raise ValueError(
            f"image {missing[0]} has references but no candidate; {len(missing)} such images in all. "
            "Give each a candidate."
        )
    found = [tokenize(caption) for caption in candidates.values()]
    truth = [[tokenize(caption) for caption in references[image]] for image in candidates]
    total, note = None, "left out"
    if with_meteor:
        try:
            total = 100 * meteor([" ".join(one) for one in found], [[" ".join(one) for one in refs] for refs in truth])
            note = ""
        except NoMeteorError as error:
            note = str(error)
    bleu1, bleu2, bleu3, bleu4 = (100 * score for score in bleu(found, truth))
    rouge, cider = 100 * rouge_l(found, truth), 100 * cider_d(found, truth)
    return CaptionScores(bleu1, bleu2, bleu3, bleu4, total, rouge, cider, note)


def bleu(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]]) -> list[float]:
    """BLEU-1 to BLEU-4 of all captions together (Papineni et al., 2002), 0 … 1, by the references' closest length."""
    right, all_grams = dict.fromkeys(ORDERS, 0), dict.fromkeys(ORDERS, 0)
    length = closest = 0
    for caption, refs in zip(candidates, references, strict=True):
        for gram, count in (_grams(caption) & reduce(or_, map(_grams, refs))).items():
            right[len(gram)] += count
        for n in ORDERS:
            all_grams[n] += max(0, len(caption) - n + 1)
        length += len(caption)
        closest += min((abs(len(ref) - len(caption)), len(ref)) for ref in refs)[1]
    # COCO's constants against division by zero; they matter only if no n-gram is right
    precisions = [(right[n] + 1e-15) / (all_grams[n] + 1e-9) for n in ORDERS]
    brevity = math.exp(min(0, 1 - (closest + 1e-9) / (length + 1e-15)))
    return [brevity * math.prod(precisions[:n]) ** (1 / n) for n in ORDERS]


def rouge_l(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]], beta: float = 1.2) -> float:
    """Mean ROUGE-L (Lin, 2004), 0 … 1, by the largest precision and the largest recall over all references."""
    total = 0.0
    for caption, refs in zip(candidates, references, strict=True):
        common = [_longest_common(caption, ref) for ref in refs]
        precision = max(common) / max(1, len(caption))
        recall = max(shared / max(1, len(ref)) for shared, ref in zip(common, refs, strict=True))
        if precision:
            total += (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return total / len(candidates)


def cider_d(candidates: Sequence[Caption], references: Sequence[Sequence[Caption]], sigma: float = 6) -> float:
    """Mean CIDEr-D (Vedantam et al., CVPR 2015), 0 … 10; each image's references are one document."""
    reference_grams = [[_grams(ref) for ref in refs] for refs in references]
    images = Counter(gram for refs in reference_grams for gram in reduce(or_, refs))
    known = {gram: math.log(len(references) / count) for gram, count in images.items()}
    unknown = math.log(len(references))

    def weigh(grams: Grams) -> tuple[dict[tuple[str, ...], float], dict[int, float], int]:
        weights = {gram: count * known.get(gram, unknown) for gram, count in grams.items()}
        squares = dict.fromkeys(ORDERS, 0.0)
        for gram, weight in weights.items():
            squares[len(gram)] += weight**2
        return weights, squares, sum(count for gram, count in grams.items() if len(gram) == 1)

    total = 0.0
    for caption, refs in zip(candidates, reference_grams, strict=True):
        mine, my_squares, my_length = weigh(_grams(caption))
        for theirs, their_squares, their_length in map(weigh, refs):
            likeness = math.exp(-((my_length - their_length) ** 2) / (2 * sigma**2))
            for gram, weight in mine.items():
                if shared := min(weight, theirs.get(gram, 0)) * theirs.get(gram, 0):
                    size = math.sqrt(my_squares[len(gram)] * their_squares[len(gram)])
                    total += likeness * shared / size / len(refs)
    return 10 * total / len(ORDERS) / len(candidates)


def _grams(words: Caption) -> Grams:
    return Counter(tuple(words[i : i + n]) for n in ORDERS for i in range(len(words) - n + 1))


def _longest_common(words: Caption, others: Caption) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(others) + 1)
    for word in words:
        diagonal = 0
        for i, other in enumerate(others, 1):
            diagonal, row[i] = row[i], diagonal + 1 if word == other else max(row[i], row[i - 1])
    return row[-1]
