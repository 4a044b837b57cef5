"""Training and validation data of a captioner: images with captions, and their loaders."""

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
    """Read the images and captions of ``--data``, or of the embedded scenes if it is not given.

    Raises:
        FileNotFoundError: the folder or a part of it is missing.
        ValueError: an entry is invalid; the message names it.
    """
    return coco.read_captions(scenes_coco() if data is None else data, split)


def train_loader(
    config: CaptioningConfig, captioned: Captioned, words: Vocabulary, ranks: Ranks, folder: Path
) -> dc.Loader:
    """The loader of this process's training batches: images, and tokens N×L with start, end and padding.

    Args:
        config: the run's configuration.
        captioned: the training data.
        words: the vocabulary that encodes captions.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.
    """

    def encode(sentence: str) -> list[int]:
        return words.encode(sentence, config.max_length + 2)  # with start and end

    arguments = training_arguments(config, ranks, folder)
    return captions.train(captioned, encode, size=config.size, resize=config.resize, **arguments)


def val_loader(config: CaptioningConfig, captioned: Captioned, ranks: Ranks) -> dc.Loader:
    """The loader of validation batches: each image once over all processes, with its number."""
    return captions.val(captioned, size=config.size, resize=config.resize, **loader_arguments(config, ranks))
