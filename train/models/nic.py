"""NIC, "Show and Tell" (Vinyals et al., CVPR 2015), on a ResNet (paper, D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.models import backbones

LstmState = tuple[Tensor, Tensor]
"""Of the LSTM, each N×C: hidden and cell."""


class Nic(nn.Module):
    """A ResNet's mean features are the LSTM's first input, words the following ones; each step predicts the next word.

    Args:
        name: of the ResNet.
        words: V, size of the vocabulary.
        size: C, of the embedding and of the LSTM.
        fine_tune: train the ResNet too; else it stays as it is, batch norm's statistics included.
        dropout: of the LSTM's output.
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
        """As ``nn.Module.train``, but a ResNet that is not trained stays in evaluation mode."""
        super().train(mode)
        if not self.fine_tune:
            self.body.eval()
        return self

    def start(self, images: Tensor) -> LstmState:
        """The LSTM's state after it has seen the images, N×3×H×W."""
        first = self._first(images)
        nothing = torch.zeros_like(first)
        return self._advance(first, (nothing, nothing))

    def step(self, tokens: Tensor, state: LstmState) -> tuple[Tensor, LstmState]:
        """One word further.

        Args:
            tokens: N int64, the last words.

        Returns:
            Log-probabilities of the next word, N×V float32, and the state.
        """
        hidden, cell = self._advance(self.embedding(tokens), state)
        return self.word(self.dropout(hidden)).float().log_softmax(dim=1), (hidden, cell)

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Logits of each next word, N×L×V.

        Args:
            images: N×3×H×W.
            tokens: N×L int64, the words before: the start, then the caption.
        """
        outputs, _ = self.lstm(torch.cat([self._first(images)[:, None], self.embedding(tokens)], dim=1))
        return self.word(self.dropout(outputs[:, 1:]))

    def _first(self, images: Tensor) -> Tensor:
        """What the LSTM sees of the images, N×C."""
        (maps,) = self.body(images).values()
        return self.norm(self.image(maps.mean(dim=(2, 3))))

    def _advance(self, inputs: Tensor, state: LstmState) -> LstmState:
        """One step of the LSTM, N×C: as a cell, which for a beam's few rows is twice as fast as a sequence of one."""
        return torch.lstm_cell(inputs, state, *self.lstm.all_weights[0])
