"""Memory between host and GPU: on which GPU an output of DALI is, and copies that nobody waits for."""

from typing import Any

import numpy as np
import torch
from nvidia.dali.tensors import TensorListGPU
from torch import Tensor

from dali_cutmix.gpu.device import on_device


def gpu_of(crops: Any) -> int | None:
    """The GPU's number where the crops are on one."""
    return crops.device_id() if isinstance(crops, TensorListGPU) else None  # type: ignore[attr-defined]


def upload(array: np.ndarray, gpu: int) -> Tensor:
    """A copy on the GPU; from pinned memory, which PyTorch keeps until the copy is done, so that nobody waits."""
    with on_device(gpu):  # pinned memory belongs to the current one
        return torch.from_numpy(array).pin_memory().to(torch.device("cuda", gpu), non_blocking=True)
