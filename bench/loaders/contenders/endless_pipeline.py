"""A DALI pipeline run for its outputs alone: nobody makes tensors of them."""

from collections.abc import Iterator

import torch
from nvidia.dali import Pipeline

from bench.common import Batch
from dali_cutmix.gpu import KeepAlive, record


def run_without_end(pipeline: Pipeline) -> Iterator[Batch]:
    """On a GPU as a consumer runs it: on PyTorch's current stream, which waits for the outputs while the host goes on.

    Outputs are kept until that stream has come to them, so that DALI does not use their memory again before, and only
    so many that the host does not run away.
    """
    pipeline.build()
    gpu = pipeline.device_id
    held = KeepAlive()
    while True:
        if gpu is None:
            pipeline.run()
        else:
            with torch.cuda.device(gpu):
                held.hold(pipeline.run(torch.cuda.current_stream(gpu)), record(gpu))
        yield None
