"""Which images with captions a captioner is trained on and judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import dali_cutmix as dc
from pipelines import captions, coco
from pipelines.annotations import Captioned
from train.captioning.config import CaptioningConfig
from train.captioning.vocabulary import Vocabulary
from train.classification import share_of_batch
from train.distributed import Ranks
from train.scenes import scenes_coco


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

    return captions.train(
        captioned,
        encode,
        seed=config.seed,
        flip=config.flip,
        on_error=config.on_error,
        max_bad=config.max_bad,
        bad_log=folder / "bad_files.jsonl",
        **_arguments(config, ranks),
    )


def val_loader(config: CaptioningConfig, captioned: Captioned, ranks: Ranks) -> dc.Loader:
    """Every image once over all processes, with its number."""
    return captions.val(captioned, **_arguments(config, ranks))


def _arguments(config: CaptioningConfig, ranks: Ranks) -> dict[str, Any]:
    return {
        "batch_size": share_of_batch(config.batch_size, ranks),
        "size": config.size,
        "resize": config.resize,
        "device": str(ranks.device),
        "shard": ranks.shard,
        "num_threads": config.num_threads,
        "channels_last": config.channels_last,
        "mean": config.mean,
        "std": config.std,
    }
