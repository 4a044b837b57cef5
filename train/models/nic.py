"""NIC, the captioner of "Show and Tell" (Vinyals et al., CVPR 2015), on a ResNet (paper, D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.models import backbones

LstmState = tuple[Tensor, Tensor]
"""State of the LSTM: hidden and cell, each N×C."""


class Nic(nn.Module):
    """An LSTM that gets the image's features first, then the words so far, and predicts the next word at each step.

    ::

        input        image     <start>    a       dog
                       │          │       │        │
        LSTM           ▼ ────────▶▼ ─────▶▼ ──────▶▼
                                  │       │        │
        next word                 a      dog     <end>

    Args:
        name: name of the ResNet.
        words: V, size of the vocabulary.
        size: C, width of the embedding and of the LSTM.
        fine_tune: train the ResNet as well; otherwise it is frozen, including the statistics of batch norm.
        dropout: dropout of the LSTM's output.
    """

    def __init__(self, name: str, words: int, size: int = 512, fine_tune: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        model = backbones.resnet(name)
        features = backbones.width(model.get_submodule("layer4"))
        self.body = backbones.body(model, "layer4").requires_grad_(fine_tune)
        self.fine_tune = fine_tune
        self.image = nn.Linear(features, size)
        self.norm = nn.BatchNorm1d(size, momentum=0.01)
        self.embedding = nn.Embedding(words, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.word = nn.Linear(size, words)
        nn.init.normal_(self.image.weight, std=0.02)
        nn.init.zeros_(self.image.bias)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.word.weight, -0.1, 0.1)
        nn.init.zeros_(self.word.bias)

    def train(self, mode: bool = True) -> Nic:
        """Set the mode like ``nn.Module.train``, except that a frozen ResNet stays in evaluation mode."""
        super().train(mode)
        if not self.fine_tune:
            self.body.eval()
        return self

    def start(self, images: Tensor) -> LstmState:
        """The state of the LSTM after the images, N×3×H×W."""
        first = self._encode(images)
        zeros = torch.zeros_like(first)
        return self._advance(first, (zeros, zeros))

    def step(self, tokens: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        """Advance by one word.

        Args:
            tokens: N int64, the last words.
            state: the state before these words.

        Returns:
            Log-probabilities of the next word, N×V float32, and the new state.
        """
        hidden, cell = self._advance(self.embedding(tokens), state)
        return self.word(self.dropout(hidden)).float().log_softmax(dim=1), (hidden, cell)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Compute the logits of each next word, N×L×V.

        Args:
            images: N×3×H×W.
            tokens: N×L int64, the words so far: the start token, then the caption.
        """
        outputs, _ = self.lstm(torch.cat([self._encode(images)[:, None], self.embedding(tokens)], dim=1))
        return self.word(self.dropout(outputs[:, 1:]))

    def _encode(self, images: Tensor) -> Tensor:
        """The first input of the LSTM, N×C: the projected mean features of the images."""
        (maps,) = self.body(images).values()
        return self.norm(self.image(maps.mean(dim=(2, 3))))

    def _advance(self, inputs: Tensor, state: LstmState) -> LstmState:
        """Advance the LSTM by one step. For a beam's few rows, ``lstm_cell`` is twice as fast as a sequence of one."""
        return torch.lstm_cell(inputs, state, *self.lstm.all_weights[0])
