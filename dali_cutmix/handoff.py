"""Hand-off: outputs of a DALI pipeline as torch tensors."""

from typing import Any

import torch
from nvidia.dali import Pipeline
from torch import Tensor


def hand_off(outputs: tuple[Any, ...], pipeline: Pipeline, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    """Tensors on the pipeline's device, without a copy; layout HWC becomes N×C×H×W in channels_last format.

    Args:
        outputs: of ``pipeline``, each uniform in shape.
        dtype: of images.
    """
    return tuple(_tensor(output, pipeline, dtype) for output in outputs)


def _tensor(output: Any, pipeline: Pipeline, dtype: torch.dtype | None) -> Tensor:
    tensor = torch.from_dlpack(output.as_tensor())
    if pipeline.device_id is not None:  # labels that the graph left on the CPU
        tensor = tensor.to(f"cuda:{pipeline.device_id}", non_blocking=True)
    if not pipeline.exec_dynamic:  # these executors write the next batch into the same memory
        tensor = tensor.clone()
    if output.layout() == "HWC":
        tensor = tensor.permute(0, 3, 1, 2)
    is_image = output.layout() in ("HWC", "CHW")
    return tensor.to(dtype) if is_image and dtype else tensor
