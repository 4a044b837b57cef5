"""Images with sentences about them, as NIC was trained on them (paper, D)."""

import hashlib
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.ops import notes
from pipelines.annotations import Captioned
from pipelines.detection_ops import check_chances, read_images


def train(
    captioned: Captioned,
    encode: Callable[[str], Sequence[int]],
    *,
    batch_size: int = 20,
    size: int = 224,
    resize: int = 256,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    seed: int = 0,
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    flip: float = 0.5,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: str | os.PathLike[str] = "bad_files.jsonl",
) -> dc.Loader:
    """Each sentence with its image: stretched to ``resize``×``resize``, cropped at random, flipped, normalized.

    An epoch has as many samples as there are sentences, so an image comes as often as it has some. To
    ``on_error="replace"`` and ``max_bad`` a sample is a sentence: a bad image counts as often, and what is read for one
    of its sentences is another image with a sentence of its own.

    Args:
        captioned: from ``pipelines.coco.read_captions``.
        encode: a sentence's tokens, 1 or more each (0 is the padding), with whatever marks its start and end. Called
            once for every sentence, before training begins.
        size, resize: sides of the crop and of the stretched image, in pixels.
        flip: chance of a horizontal flip; 0 where mirroring changes the meaning ("left of", digits, text).

    The other arguments are those of ``pipelines.imagenet.train``.

    Returns:
        A loader of images N×3×``size``×``size`` and tokens N×L int64, where L is the length of the batch's longest
        sentence; zeros follow the shorter ones.

    Raises:
        ValueError: before anything is decoded; the message says what to mend.
    """
    chances = check_chances(flip=flip)
    sentences = Sentences(captioned, encode)

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(sentences.paths, shard=shard, seed=seed)
        images = dc.stretch_random_crop(jpegs, size, resize=resize, max_pixels=max_pixels)
        images = fn.flip(images, horizontal=fn.random.coin_flip(probability=flip), vertical=0)
        tokens = fn.python_function(numbers, function=sentences, batch_processing=True)
        notes().crop |= {"sentences": sentences.digest, **chances}
        images = dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last)
        return images, fn.pad(tokens, axes=(0,), fill_value=0)

    options = dc.pipeline_options(
        batch_size, device=device, num_threads=num_threads, prefetch=prefetch, seed=seed, shard=shard
    )
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)


def val(
    captioned: Captioned,
    *,
    batch_size: int = 20,
    size: int = 224,
    resize: int = 256,
    device: str | torch.device = "auto",
    shard: tuple[int, int] = (0, 1),
    num_threads: int | None = None,
    prefetch: int = 2,
    dtype: torch.dtype | str = torch.float32,
    channels_last: bool = False,
    mean: tuple[float, ...] = dc.IMAGENET_MEAN,
    std: tuple[float, ...] = dc.IMAGENET_STD,
    max_pixels: int = dc.MAX_PIXELS,
    on_error: Literal["raise", "replace"] = "raise",
    max_bad: float = 0.01,
    bad_log: str | os.PathLike[str] = "bad_files.jsonl",
) -> dc.Loader:
    """Every image exactly once, in order: stretched to ``resize``×``resize``, centre crop, normalized.

    Arguments and errors are those of :func:`train`.

    Returns:
        A loader of images N×3×``size``×``size`` and their numbers in ``captioned``, N int64; the last batch is smaller.
    """

    @pipeline_def
    def graph() -> Any:
        jpegs, numbers = read_images(captioned.paths, shard=shard, shuffle=False)
        images = dc.resize_center_crop(jpegs, size, resize=resize, stretch=True, max_pixels=max_pixels)
        return dc.normalize(images, mean=mean, std=std, dtype=dtype, channels_last=channels_last), numbers

    options = dc.pipeline_options(batch_size, device=device, num_threads=num_threads, prefetch=prefetch, shard=shard)
    return dc.Loader(graph(**options), on_error=on_error, max_bad=max_bad, bad_log=bad_log)


class Sentences:
    """The tokens of all sentences, one after the other: a pure function for DALI, by the sentences' numbers.

    Raises:
        ValueError: ``encode`` gave something else than whole numbers of 1 or more, and the sentence is named; or there
            are no sentences.
    """

    def __init__(self, captioned: Captioned, encode: Callable[[str], Sequence[int]]) -> None:
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
            f"encode gave {tokens} for {sentence!r}; wanted are one or more whole numbers of at least 1, as 0 is the "
            "padding."
        )
    return np.array(numbers, np.int64)
