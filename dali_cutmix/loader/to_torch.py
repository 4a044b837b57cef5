"""Outputs of a DALI pipeline as torch tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from nvidia.dali import Pipeline
from torch import Tensor

from dali_cutmix._dali import nearest, pipeline_outputs
from dali_cutmix.gpu import gpu_of, upload
from dali_cutmix.ops import notes

Dtypes = tuple[torch.dtype | None, ...]
"""Dtype of each output of a graph, if it is an image; None: as it is."""


def output_dtypes(pipeline: Pipeline) -> Dtypes:
    """The dtypes that ``normalize`` was given for a graph's outputs; None for outputs that no ``normalize`` made.

    Raises:
        ValueError: an output was made from normalized images of different dtypes.
    """
    normalized, dtypes = notes(pipeline).dtypes, []
    for number, node in enumerate(pipeline_outputs(pipeline)):
        found = sorted(set(nearest(node, normalized)), key=str)
        if len(found) > 1:
            raise ValueError(
                f"Loader: output {number} of the graph is made from images that normalize writes as "
                f"{' and '.join(map(str, found))}; give them the same dtype."
            )
        dtypes += found or [None]
    return tuple(dtypes)


def to_tensors(outputs: Sequence[Any], pipeline: Pipeline, dtypes: Dtypes = ()) -> tuple[Tensor, ...]:
    """Convert a batch to tensors on the pipeline's device; layout HWC becomes N×C×H×W in channels_last format.

    On a CPU there is no copy. On a GPU the batch is copied into PyTorch's memory on the consumer's stream, without
    waiting; the caller must keep the outputs alive until that stream has executed the copy.

    Args:
        outputs: of ``pipeline``, each with one shape for all samples.
        pipeline: that made them.
        dtypes: of each output, from :func:`output_dtypes`; by default as they are.

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
    gpu, pairs = pipeline.device_id, zip(outputs, dtypes or (None,) * len(outputs), strict=True)
    if gpu is None:
        # Executors other than the dynamic one write the next batch into the same memory.
        return tuple(_tensor(output, dtype, copy=not pipeline.exec_dynamic) for output, dtype in pairs)
    return tuple(
        upload(np.asarray(output.as_tensor()), gpu)  # labels that the graph left on the CPU
        if gpu_of(output) is None
        else _tensor(output, dtype, copy=True)
        for output, dtype in pairs
    )


def _tensor(output: Any, dtype: torch.dtype | None, *, copy: bool) -> Tensor:
    tensor, layout = torch.from_dlpack(output.as_tensor()), output.layout()
    if layout == "HWC":
        tensor = tensor.permute(0, 3, 1, 2)
    # DALI has written every other dtype itself; a cast of the user's own after normalize stays as it is.
    narrow = dtype == torch.bfloat16 and tensor.dtype == torch.float32 and layout in ("HWC", "CHW")
    return tensor.to(torch.bfloat16 if narrow else tensor.dtype, copy=copy)
