"""Outputs of a DALI pipeline as torch tensors."""

from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix.gpu import gpu_of, upload


def to_tensors(outputs: tuple[Any, ...], pipeline: Pipeline, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    """Convert a batch to tensors on the pipeline's device; layout HWC becomes N×C×H×W in channels_last format.

    On a CPU there is no copy. On a GPU the batch is copied into PyTorch's memory on the consumer's stream, without
    waiting; the caller must keep the outputs alive until that stream has executed the copy.

    Args:
        outputs: of ``pipeline``, each with one shape for all samples.
        pipeline: that made them.
        dtype: of the images; None: as they are.

    Raises:
        RuntimeError: an output has samples of several shapes.
    """
    for number, output in enumerate(outputs):
        if not output.is_dense_tensor():
            shapes = sorted({tuple(output[i].shape()) for i in range(len(output))})
            raise RuntimeError(
                f"Loader: output {number} of the graph has samples of different shapes in one batch "
                f"({', '.join(map(str, shapes[:3]))}, …); a batch needs one shape: resize or crop its images "
                "(dc.random_resized_crop does), or pad it (fn.pad)."
            )
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
