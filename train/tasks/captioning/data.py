"""Which images with captions a captioner is trained on and judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import dali_cutmix as dc
from dali_cutmix.detection import Captioned
from pipelines import captions, coco
from train.config import CaptioningConfig
from train.data import scenes_coco
from train.engine import Ranks
from train.tasks.captioning.vocabulary import Vocabulary
from train.tasks.loader_arguments import loader_arguments, training_arguments


def open_captioned(data: Path | None, split: Literal["train", "val"]) -> Captioned:
    """Images and captions of ``--data``; of the embedded scenes where none is given.

    Raises:
        FileNotFoundError: it, or a part, is missing.
        ValueError: an entry is wrong; it is named.
    """
    return coco.read_captions(scenes_coco() if data is None else data, split)


def train_loader(
    config: CaptioningConfig, captioned: Captioned, words: Vocabulary, ranks: Ranks, folder: Path
) -> dc.Loader:
    """Training batches of this process: images, tokens N×L with start, end and padding.

    Args:
        folder: of the run, for the list of bad files.
    """

    def encode(sentence: str) -> list[int]:
        return words.encode(sentence, config.max_length + 2)  # with start and end

    arguments = training_arguments(config, ranks, folder)
    return captions.train(captioned, encode, size=config.size, resize=config.resize, **arguments)


def val_loader(config: CaptioningConfig, captioned: Captioned, ranks: Ranks) -> dc.Loader:
    """Every image once over all processes, with its number."""
    return captions.val(captioned, size=config.size, resize=config.resize, **loader_arguments(config, ranks))
