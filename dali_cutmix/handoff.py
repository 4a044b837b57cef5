"""Hand-off: outputs of a DALI pipeline as torch tensors."""

from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix.batch import gpu_of
from dali_cutmix.keep_alive import KeepAlive, record
from dali_cutmix.resample_gpu import upload


class HandOff:
    """Tensors on the pipeline's device; an output in layout HWC becomes N×C×H×W in channels_last format.

    On a CPU there is no copy. On a GPU the batch is copied into PyTorch's memory on the consumer's stream, and nobody
    waits: DALI takes its own memory back on a stream of its own, and would write the next batch into it while PyTorch
    still reads this one.
    """

    def __init__(self) -> None:
        self._keep_alive = KeepAlive()

    def __call__(self, outputs: tuple[Any, ...], pipeline: Pipeline, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
        """The batch.

        Args:
            outputs: what ``pipeline`` gave, each uniform in shape.
            dtype: of images.
        """
        gpu = pipeline.device_id
        if gpu is None:
            # Executors other than the dynamic one write the next batch into the same memory.
            return tuple(_laid_out(_view(output), output, dtype, copy=not pipeline.exec_dynamic) for output in outputs)
        tensors = tuple(
            upload(np.asarray(output.as_tensor()), gpu)  # labels that the graph left on the CPU
            if gpu_of(output) is None
            else _laid_out(_view(output), output, dtype, copy=True)
            for output in outputs
        )
        self._keep_alive.hold(outputs, record(gpu))
        return tensors


def _view(output: Any) -> Tensor:
    return torch.from_dlpack(output.as_tensor())


def _laid_out(tensor: Tensor, output: Any, dtype: torch.dtype | None, *, copy: bool) -> Tensor:
    layout = output.layout()
    if layout == "HWC":
        tensor = tensor.permute(0, 3, 1, 2)
    return tensor.to(dtype if dtype and layout in ("HWC", "CHW") else tensor.dtype, copy=copy)
