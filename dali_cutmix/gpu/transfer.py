"""Host and GPU memory: which GPU an output of DALI is on, and uploads that do not wait."""

from typing import Any

import numpy as np
import torch
from nvidia.dali.tensors import TensorListGPU
from torch import Tensor

from dali_cutmix.gpu.device import on_device


def gpu_of(crops: Any) -> int | None:
    """Number of the GPU that an output of DALI is on; None for the CPU."""
    return crops.device_id() if isinstance(crops, TensorListGPU) else None  # type: ignore[attr-defined]


def upload(array: np.ndarray, gpu: int) -> Tensor:
    """Copy an array to a GPU without waiting, from pinned memory that PyTorch keeps until the copy is done."""
    with on_device(gpu):  # pinned memory belongs to the current one
        return torch.from_numpy(array).pin_memory().to(torch.device("cuda", gpu), non_blocking=True)
