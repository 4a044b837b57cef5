"""FusedMix: plan, targets and the compiled resampling in one pass, after the graph."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dali_cutmix._dali import verb
from dali_cutmix.fused.cpu import is_compiled
from dali_cutmix.fused.resample import Resample
from dali_cutmix.gpu import gpu_of, upload
from dali_cutmix.mixing import Policy, Targets, draw
from dali_cutmix.ops import Mixing, checked_mixing, notes


def can_fuse(device_id: int | None, fused: bool | None) -> bool:
    """Decide whether to use :class:`FusedMix`: as ``fused`` says, and wherever possible if that is None.

    Args:
        device_id: number of the GPU; None for the CPU.
        fused: what the user wants; None for whatever is possible.

    Raises:
        ValueError: ``fused=True`` on the CPU without the compiled part.

    Example:
        >>> dc.can_fuse(device_id=None, fused=False)
        False
    """
    possible = device_id is not None or is_compiled()
    if fused and not possible:
        raise ValueError(
            "fused=True given, but dali_cutmix was installed without its compiled part: there was no C++ compiler, or "
            "it failed (pip install -v says how). Reinstall it where there is one, or use fused=None or False."
        )
    return possible if fused is None else fused


class FusedMix:
    """``random_resized_crop`` → ``mix`` → ``normalize`` in one pass, on the CPU or a GPU: same draws, same targets.

        crops, labels, draws ──graph──▶ plan, targets ──▶ Resample ──▶ images, targets

    Args:
        policy, num_classes, targets, flip: see :func:`~dali_cutmix.mix`.
        resample: size, normalization, dtype and memory format of the images.

    Example:
        >>> finish = dc.FusedMix(dc.CutMix(), resample=dc.Resample(64), targets="pairs")
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos")
        ...     return finish.inputs(dc.random_crop(jpegs), labels)
        >>> if dc.can_fuse(None, None):  # the compiled part is there
        ...     images, labels, lam = next(iter(dc.Loader(graph(), finish=finish)))
        ...     assert images.shape == (4, 3, 64, 64) and labels.shape == (4, 2) and lam.shape == (4,)
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

    @verb
    def inputs(self, crops: Any, labels: Any) -> tuple[Any, ...]:
        """Make the outputs of the graph: its crops (or whole images and windows), its labels, and the random numbers.

        Args:
            crops: from :func:`~dali_cutmix.random_crop`.
            labels: int64 scalars on the CPU.

        Raises:
            ValueError: see :func:`~dali_cutmix.mix`.
        """
        graph = notes()
        self._mixing = checked_mixing(graph, *self._arguments)
        graph.crop |= {"size": self._resample.size, "antialias": True}
        window = graph.windows.get(crops.name)
        self._has_windows = window is not None
        # Whole images instead of the regions: the kernels read the regions in place, without a copy.
        return *(window or (crops,)), labels, *draw(self._mixing.policy)

    def __call__(self, crops: Any, *batch: Any) -> tuple[Tensor, ...]:
        """Images and targets of one batch, from the outputs of the graph."""
        assert self._mixing is not None  # the graph was made by inputs()
        size = self._resample.size
        arrays = [np.asarray(output.as_tensor()) for output in batch]
        windows = np.concatenate([arrays.pop(0), arrays.pop(0)], 1) if self._has_windows else None
        plan, targets = self._mixing(size, size, *arrays)
        images = self._resample(crops, plan.rows, windows)
        gpu = gpu_of(crops)
        return images, *(torch.from_numpy(part) if gpu is None else upload(part, gpu) for part in targets)
