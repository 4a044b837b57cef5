"""The training that is measured: a model with its step, and a synthetic batch that needs no loader."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import dali_cutmix as dc
from train.models import classifiers

LabeledBatch = tuple[Tensor, Tensor]
"""Images N×3×H×W and dense targets N×K."""


@dataclass(frozen=True)
class TrainingSetup:
    """The model, its batches and how it is computed."""

    model: str
    num_classes: int
    size: int
    batch_size: int
    device: str
    amp: bool
    channels_last: bool
    compile: bool

    @property
    def dtype(self) -> torch.dtype:
        """Type of the images, which the first layer reads without another cast."""
        return torch.bfloat16 if self.amp else torch.float32

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory format of images and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


class Trainer:
    """A model with random weights, trained by SGD with momentum.

    Raises:
        ValueError: there is no model with this name.
    """

    def __init__(self, training: TrainingSetup) -> None:
        self._training = training
        if training.device != "cpu":
            torch.backends.cudnn.benchmark = True
        model = classifiers.build(training.model, training.num_classes)
        model = model.to(training.device, memory_format=training.memory_format).train()  # type: ignore[call-overload]
        self._forward: nn.Module = torch.compile(model) if training.compile else model  # type: ignore[assignment]
        self._optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step(self, images: Tensor, targets: Tensor) -> Tensor:
        """Train for one step without waiting for the device, and return the loss, on the device."""
        self._optimizer.zero_grad()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._training.amp):
            logits = self._forward(images)
        loss = dc.soft_cross_entropy(logits.float(), targets)
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def synthetic_batch(training: TrainingSetup, seed: int = 0) -> LabeledBatch:
    """Make noise and CutMix-like targets on the device, with shape, dtype and memory format of the loader's batches."""
    draw = torch.Generator().manual_seed(seed)
    n, k = training.batch_size, training.num_classes
    images = torch.randn(n, 3, training.size, training.size, generator=draw)
    own, partner = (
        nn.functional.one_hot(torch.randint(k, (n,), generator=draw), k).float() for _ in ("own", "partner")
    )
    weight = torch.rand((), generator=draw)
    images = images.to(training.device, training.dtype, memory_format=training.memory_format)
    return images, (weight * own + (1 - weight) * partner).to(training.device)
