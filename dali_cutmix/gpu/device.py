"""Make the device that a pipeline runs on CUDA's current device."""

from contextlib import AbstractContextManager, nullcontext

import torch


def on_device(device_id: int | None) -> AbstractContextManager[object]:
    """Make a GPU the current device of this thread while the context lasts; do nothing for the CPU (None).

    A stream's number refers to the current device (0 is its default stream), and pinned memory belongs to a context of
    the current device. So code that names a stream or pins memory for GPU 1 must not run while GPU 0 is current.
    """
    return nullcontext() if device_id is None else torch.cuda.device(device_id)
