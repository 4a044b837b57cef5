"""Captioning: loaders, loss and metrics of the task."""

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
    """The task of training a captioner; see `train.engine.Task`. Its classes are the words of its vocabulary.

    Args:
        config: the run's configuration.
        ranks: this process among all.
        folder: the run's folder, for the list of bad files.

    Raises:
        FileNotFoundError, ValueError: the data are missing or wrong.
    """

    metrics: tuple[str, ...] = ("val_bleu4", "val_rouge_l", "val_cider")
    best = "val_bleu4"
    fixed_shapes = True

    def __init__(self, config: CaptioningConfig, ranks: Ranks, folder: Path) -> None:
        self._config, self._ranks = config, ranks
        self.origin = RANDOM
        training, validation = (open_captioned(config.data, split) for split in ("train", "val"))
        captions = (caption for of_image in training.sentences for caption in of_image)
        words = Vocabulary.from_captions(captions, config.min_count)
        self._words, self._references = words, dict(enumerate(validation.sentences))
        self.classes = tuple(words.state())
        self.loader = train_loader(config, training, words, ranks, folder)
        self.val_loader = val_loader(config, validation, ranks)

    def model(self) -> nn.Module:
        """The captioner, its ResNet with the weights of ``--backbone`` or random ones."""
        model = build_captioner(self._config, len(self._words))
        if self._config.backbone and not self._config.resume:
            self.origin = report_initial_weights(
                load_matching_weights([model.body], self._config.backbone, complete=True), self._ranks
            )
        return model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """One group of all parameters that are trained."""
        return [{"params": [p for p in model.parameters() if p.requires_grad], "lr_scale": 1.0}]

    def loss(self, forward: Callable[..., Any], batch: list[Tensor]) -> Tensor:
        """Mean cross entropy of the next word, over all words."""
        images, tokens = batch
        logits = forward(images, tokens[:, :-1])
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)

    def evaluate(self, model: nn.Module) -> Row:
        """BLEU-4, ROUGE-L and CIDEr-D of captions found by beam search."""
        written = write_captions(model, self.val_loader, self._words, self._config, self._ranks)
        scores = caption_scores(written, self._references, with_meteor=False)
        return {"val_bleu4": scores.bleu4, "val_rouge_l": scores.rouge_l, "val_cider": scores.cider}

    def describe(self, row: Row) -> str:
        """BLEU-4 and CIDEr in one line."""
        return f"val BLEU-4 {row['val_bleu4']:.1f} %  CIDEr {row['val_cider']:.1f}"

    def headline(self, row: Row) -> str:
        """BLEU-4 in words."""
        return f"validation BLEU-4 {row['val_bleu4']:.2f} %"

    def check_classes(self, saved: list[str]) -> None:
        """Compare with the vocabulary of the training captions."""
        if saved != list(self.classes):
            raise ValueError(
                f"the training captions give a vocabulary of {len(self.classes)} words, the checkpoint's has "
                f"{len(saved)} or other words; give the data that it was trained on."
            )


def build_captioner(config: CaptioningConfig, words: int) -> Nic:
    """Make a captioner with random weights."""
    return Nic(config.model, words, config.hidden, config.fine_tune, config.dropout)


@torch.inference_mode()
def write_captions(
    model: nn.Module, loader: dc.Loader, words: Vocabulary, config: CaptioningConfig, ranks: Ranks
) -> dict[int, str]:
    """Find the likeliest caption of each image by beam search, over all processes; the unknown word is not used.

    Args:
        model: a `Nic`.
        loader: images and their numbers, see `val_loader`.
        words: the vocabulary.
        config: the captioner's configuration, for beam width and maximum length.
        ranks: this process among all.

    Returns:
        Captions by the images' numbers.
    """
    assert isinstance(model, Nic)
    model.eval()
    mine: dict[int, str] = {}
    never = torch.tensor([PAD, START, UNKNOWN], device=ranks.device)

    def step(tokens: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        log_probs, state = model.step(tokens, state)
        return log_probs.index_fill(1, never, -torch.inf), state

    for images, numbers in loader:
        if len(images) == 0:  # this process's shard has fewer batches than others
            continue
        with torch.autocast(ranks.device.type, torch.bfloat16, enabled=config.amp):
            hidden, cell = model.start(images)
        state = hidden.float(), cell.float()
        found, _ = beam_search(step, state, START, END, config.beam, config.max_length + 1)
        found = found[:, : config.max_length]  # its last place is for the end; without one, it is a word too many
        mine |= {number: words.decode(tokens) for number, tokens in zip(numbers.tolist(), found.tolist(), strict=True)}
    return {number: text for part in ranks.gather(mine) for number, text in part.items()}
