"""The fused pass: mixing, targets and the compiled resampling at the hand-off, where the batch is one array."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dali_cutmix.fused.cpu import is_compiled
from dali_cutmix.fused.resample import Resample
from dali_cutmix.gpu import gpu_of, upload
from dali_cutmix.mixing import Policy, Targets, draw
from dali_cutmix.ops import Mixing, checked_mixing, notes


def can_fuse(device_id: int | None, fused: bool | None) -> bool:
    """Whether :class:`FusedMix` shall do the work: as ``fused`` says, or where that is None wherever it can.

    Raises:
        ValueError: ``fused=True`` on the CPU without the compiled part.
    """
    can = device_id is not None or is_compiled()
    if fused and not can:
        raise ValueError(
            "fused=True given, but dali_cutmix was installed without its compiled part: there was no C++ compiler, or "
            "it failed (pip install -v says how). Reinstall it where there is one, or use fused=None or False."
        )
    return can if fused is None else fused


class FusedMix:
    """``random_resized_crop`` → ``mix`` → ``normalize`` in one pass, on the CPU or a GPU: same draws, same targets.

        crops, labels, draws ──graph──▶ plan, targets ──▶ Resample ──▶ images, targets

    ::

        finish = FusedMix(CutMix(), resample=Resample(224), num_classes=1000)

        @pipeline_def
        def graph():
            jpegs, labels = read_folder(root)
            return finish.inputs(random_crop(jpegs), labels)

        loader = Loader(graph(...), finish=finish)

    Args:
        policy, num_classes, targets, flip: see :func:`~dali_cutmix.mix`.
        resample: size, normalization, dtype and memory format of the images.
    """

    def __init__(
        self,
        policy: Policy | None,
        *,
        resample: Resample,
        num_classes: int | None = None,
        targets: Targets = "dense",
        flip: float = 0.5,
    ) -> None:
        self._arguments = policy, num_classes, targets, flip
        self._resample = resample
        self._mixing: Mixing | None = None
        self._has_windows = False

    def inputs(self, crops: Any, labels: Any) -> tuple[Any, ...]:
        """What the graph must return: its crops (or whole images and windows), its labels, and the draws.

        Raises:
            ValueError: see :func:`~dali_cutmix.mix`.
        """
        self._mixing = checked_mixing(*self._arguments)
        note = notes()
        note.crop |= {"size": self._resample.size, "antialias": True}
        window = note.windows.get(crops.name)
        self._has_windows = window is not None
        # Whole images instead of what is taken of them: the kernels need no copy of it.
        return *(window or (crops,)), labels, *draw(self._mixing.policy)

    def __call__(self, crops: Any, *batch: Any) -> tuple[Tensor, ...]:
        """Images and targets of one batch, from the outputs of the graph."""
        assert self._mixing is not None  # the graph was made by inputs()
        size = self._resample.size
        arrays = [np.asarray(output.as_tensor()) for output in batch]
        windows = np.concatenate([arrays.pop(0), arrays.pop(0)], 1) if self._has_windows else None
        plan, shares = self._mixing(size, size, *arrays)
        images = self._resample(crops, plan.rows, windows)
        gpu = gpu_of(crops)
        return images, *(torch.from_numpy(part) if gpu is None else upload(part, gpu) for part in shares)
