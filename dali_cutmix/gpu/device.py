"""The device that a pipeline runs on, as CUDA's current one."""

from contextlib import AbstractContextManager, nullcontext

import torch


def on_device(device_id: int | None) -> AbstractContextManager[object]:
    """Make a GPU the current device of this thread, for as long as the context lasts; nothing for the CPU (None).

    A stream's number means a stream of the current device (0 the default one), and pinned memory belongs to a context
    of the current device. So whatever names a stream or pins memory for GPU 1 must not do so while GPU 0 is current.
    """
    return nullcontext() if device_id is None else torch.cuda.device(device_id)
