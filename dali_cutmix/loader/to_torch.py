"""Hand-off: outputs of a DALI pipeline as torch tensors."""

from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix.gpu import gpu_of, upload


def hand_off(outputs: tuple[Any, ...], pipeline: Pipeline, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    """Tensors on the pipeline's device; an output in layout HWC becomes N×C×H×W in channels_last format.

    On a CPU there is no copy. On a GPU the batch is copied into PyTorch's memory on the consumer's stream, and nobody
    waits; whoever calls keeps the outputs until that stream has come to the copy.

    Args:
        outputs: what ``pipeline`` gave, each uniform in shape.
        dtype: of images.
    """
    gpu = pipeline.device_id
    if gpu is None:
        # Executors other than the dynamic one write the next batch into the same memory.
        return tuple(_tensor(output, dtype, copy=not pipeline.exec_dynamic) for output in outputs)
    return tuple(
        upload(np.asarray(output.as_tensor()), gpu)  # labels that the graph left on the CPU
        if gpu_of(output) is None
        else _tensor(output, dtype, copy=True)
        for output in outputs
    )


def _tensor(output: Any, dtype: torch.dtype | None, *, copy: bool) -> Tensor:
    tensor, layout = torch.from_dlpack(output.as_tensor()), output.layout()
    if layout == "HWC":
        tensor = tensor.permute(0, 3, 1, 2)
    return tensor.to(dtype if dtype and layout in ("HWC", "CHW") else tensor.dtype, copy=copy)
