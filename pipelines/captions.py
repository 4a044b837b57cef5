"""Images with captions, as NIC was trained on them (paper, D).

    Captioned ──read_images──▶ JPEGs, numbers: one of each for every sentence
    JPEGs ──stretch, crop, flip──▶ normalize ──▶ images ──┬──▶ Loader ──▶ images, tokens
    numbers ──Sentences──▶ tokens ──pad──▶ tokens ────────┘

Copy this file into your project: all that it imports is installed with dali_cutmix. ``coco.py`` reads captions.
"""

import hashlib
import operator
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.utils import check_chances


def train(
    captioned: dc.detection.Captioned,
    encode: Callable[[str], Sequence[int]],
    *,
    size: int = 224,
    resize: int = 256,
    flip: float = 0.5,
    seed: int = 0,
    **options: Unpack[dc.CommonOptions],
) -> dc.Loader:
    """Each sentence with its image: stretched to ``resize``×``resize``, randomly cropped, flipped, normalized.

    A sample is a sentence: an epoch has as many samples as there are sentences, and an image with five of them appears
    five times. ``max_bad`` counts sentences, too; ``on_error="replace"`` puts another sentence and its image in the
    place of each sentence of a bad image.

    Args:
        captioned: from ``coco.read_captions``, or images and sentences of your own.
        encode: returns the tokens of a sentence, whole numbers of at least 1 (0 is the padding), including those that
            mark its start and end. Called once for each sentence, before training begins.
        size: side of the crop in pixels.
        resize: side of the stretched image in pixels.
        flip: chance of a horizontal flip; 0 where mirroring changes the meaning ("left of", digits, text).
        seed: seed of order, crops and flips; the same for all ranks.
        options: see ``dc.CommonOptions``; ``batch_size`` is 20 by default.

    Returns:
        A loader of images N×3×``size``×``size`` and tokens N×L int64, where L is the length of the longest sentence in
        the batch; shorter ones have zeros at the end.

    Raises:
        ValueError, TypeError: before anything is decoded; the message says how to fix it.

    Example:
        >>> from pipelines import captions, coco
        >>> words = {"A": 1, "a": 2, "car": 3, "dog": 4, "dog.": 5, "brown": 6}
        >>> def encode(sentence):
        ...     return [words[word] for word in sentence.split()]
        >>> loader = captions.train(coco.read_captions("coco", "train"), encode, batch_size=3, device="cpu")
        >>> images, tokens = next(iter(loader))
        >>> images.shape, sorted(tokens.tolist())
        (torch.Size([3, 3, 224, 224]), [[1, 3, 0], [1, 5, 0], [1, 6, 4]])
    """
    groups = dc.split_options(options, seed=seed, batch_size=20)
    chances = check_chances(flip=flip)
    sentences = Sentences(captioned, encode)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, numbers = dc.detection.read_images(sentences.paths, shard=groups.shard, seed=seed)
        images = dc.stretch_random_crop(jpegs, size, resize=resize, **groups.crop)
        images = fn.flip(images, horizontal=fn.random.coin_flip(probability=flip), vertical=0)
        tokens = fn.python_function(numbers, function=sentences, batch_processing=True)
        dc.bind_state(sentences=sentences.digest, **chances)
        return dc.normalize(images, **groups.normalize), fn.pad(tokens, axes=(0,), fill_value=0)

    return dc.Loader(graph(), **groups.loader)


def val(
    captioned: dc.detection.Captioned, *, size: int = 224, resize: int = 256, **options: Unpack[dc.CommonOptions]
) -> dc.Loader:
    """Each image exactly once, in order: stretched to ``resize``×``resize``, centre crop, normalized.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×``size``×``size`` and their numbers in ``captioned``, N int64; the last batch is smaller.

    Example:
        >>> from pipelines import captions, coco
        >>> loader = captions.val(coco.read_captions("coco", "train"), batch_size=2, device="cpu")
        >>> [numbers.tolist() for images, numbers in loader]
        [[0, 1]]
    """
    groups = dc.split_options(options, batch_size=20)

    @pipeline_def(**groups.pipeline)
    def graph() -> Any:
        jpegs, numbers = dc.detection.read_images(captioned.paths, shard=groups.shard, shuffle=False)
        images = dc.resize_center_crop(jpegs, size, resize=resize, stretch=True, **groups.crop)
        return dc.normalize(images, **groups.normalize), numbers

    return dc.Loader(graph(), **groups.loader)


class Sentences:
    """The tokens of all sentences, one after another, looked up by the sentences' numbers: a pure function for DALI.

    Args:
        captioned: images with captions.
        encode: see :func:`train`.

    Raises:
        ValueError: ``encode`` returned anything but whole numbers of at least 1 (the message names the sentence), or
            there are no sentences.
    """

    def __init__(self, captioned: dc.detection.Captioned, encode: Callable[[str], Sequence[int]]) -> None:
        pairs = list(zip(captioned.paths, captioned.sentences, strict=True))
        self.paths = [path for path, said in pairs for _ in said]
        tokens = [_encoded(sentence, encode) for _, said in pairs for sentence in said]
        if not tokens:
            raise ValueError(f"{len(pairs)} images with no sentences given; at least one sentence is needed.")
        lengths = [len(of_one) for of_one in tokens]
        self._ends = np.cumsum(lengths)
        self._starts = self._ends - lengths
        self._tokens = np.concatenate(tokens)
        self.digest = hashlib.sha256(self._ends.tobytes() + self._tokens.tobytes()).hexdigest()

    def __call__(self, numbers: list[np.ndarray]) -> list[np.ndarray]:
        """The tokens of each sentence of a batch, 1-D int64."""
        return [self._tokens[self._starts[int(n)] : self._ends[int(n)]] for n in numbers]


def _encoded(sentence: str, encode: Callable[[str], Sequence[int]]) -> np.ndarray:
    tokens = list(encode(sentence))
    try:
        numbers = [operator.index(token) for token in tokens]
    except TypeError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ValueError(
            f"encode returned {tokens} for {sentence!r}; it must return one or more whole numbers of at least 1, since "
            "0 is the padding."
        )
    return np.array(numbers, np.int64)
