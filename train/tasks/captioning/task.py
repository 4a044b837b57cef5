"""Captioning: batches, loss and metrics of the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from train.config import CaptioningConfig
from train.engine import Ranks, Row
from train.models import LstmState, Nic
from train.tasks.captioning.beam_search import beam_search
from train.tasks.captioning.data import open_captioned, train_loader, val_loader
from train.tasks.captioning.metrics import caption_scores
from train.tasks.captioning.vocabulary import END, PAD, START, UNKNOWN, Vocabulary
from train.tasks.initial_weights import RANDOM, load_matching_weights, report_initial_weights


class Captioning:
    """The task of a captioner; see `train.engine.task.Task`. Its classes are the words of its vocabulary.

    Args:
        folder: of the run, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing, or not what they should be.
    """

    metrics: tuple[str, ...] = ("val_bleu4", "val_rouge_l", "val_cider")
    best = "val_bleu4"
    fixed_shapes = True

    def __init__(self, config: CaptioningConfig, ranks: Ranks, folder: Path) -> None:
        self._config, self._ranks = config, ranks
        self.origin = RANDOM
        training, judged_by = (open_captioned(config.data, split) for split in ("train", "val"))
        words = Vocabulary.from_captions((one for said in training.sentences for one in said), config.min_count)
        self._words, self._references = words, dict(enumerate(judged_by.sentences))
        self.classes = tuple(words.state())
        self.loader = train_loader(config, training, words, ranks, folder)
        self.val_loader = val_loader(config, judged_by, ranks)

    def model(self) -> nn.Module:
        """The captioner, its ResNet from ``--backbone`` or at random."""
        model = build_captioner(self._config, len(self._words))
        if self._config.backbone and not self._config.resume:
            self.origin = report_initial_weights(
                load_matching_weights([model.body], self._config.backbone, complete=True), self._ranks
            )
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """All parameters that learn, alike."""
        return [{"params": [p for p in model.parameters() if p.requires_grad], "lr_scale": 1.0}]

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Mean cross entropy of all next words."""
        images, tokens = batch
        logits = forward(images, tokens[:, :-1])
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)

    def evaluate(self, model: nn.Module) -> Row:
        """BLEU-4, ROUGE-L and CIDEr-D of the captions that a beam search finds."""
        written = write_captions(model, self.val_loader, self._words, self._config, self._ranks)
        scores = caption_scores(written, self._references, with_meteor=False)
        return {"val_bleu4": scores.bleu4, "val_rouge_l": scores.rouge_l, "val_cider": scores.cider}

    def describe(self, row: Row) -> str:
        """In one line."""
        return f"val BLEU-4 {row['val_bleu4']:.1f} %  CIDEr {row['val_cider']:.1f}"

    def headline(self, row: Row) -> str:
        """BLEU-4."""
        return f"validation BLEU-4 {row['val_bleu4']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """The vocabulary."""
        if saved != list(self.classes):
            raise ValueError(
                f"the training captions give {len(self.classes)} words, the checkpoint has {len(saved)} or others; "
                "give the data that it was trained on."
            )


def build_captioner(config: CaptioningConfig, words: int) -> Nic:
    """The captioner with random weights."""
    return Nic(config.model, words, config.hidden, config.fine_tune, config.dropout)


@torch.inference_mode()
def write_captions(
    model: nn.Module, loader: dc.Loader, words: Vocabulary, config: CaptioningConfig, ranks: Ranks
) -> dict[int, str]:
    """The likeliest caption of every image by its number, over all processes; of known words only.

    Args:
        model: a `Nic`.
        loader: see `train.tasks.captioning.data.val_loader`.
    """
    assert isinstance(model, Nic)
    model.eval()
    mine: dict[int, str] = {}
    never = torch.tensor([PAD, START, UNKNOWN], device=ranks.device)

    def step(tokens: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        log_probs, state = model.step(tokens, state)
        return log_probs.index_fill(1, never, -torch.inf), state

    for images, numbers in loader:
        if len(images) == 0:  # a process whose shard ended before the others'
            continue
        with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.amp):
            hidden, cell = model.start(images)
        state = hidden.float(), cell.float()
        found, _ = beam_search(step, state, START, END, config.beam, config.max_length + 1)
        found = found[:, : config.max_length]  # the last place is the end's, but a word's in a caption without one
        mine |= {number: words.decode(tokens) for number, tokens in zip(numbers.tolist(), found.tolist(), strict=True)}
    return {number: text for part in ranks.gather(mine) for number, text in part.items()}
