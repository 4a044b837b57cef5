"""A DALI pipeline that is run without end and without making tensors of its outputs."""

from collections.abc import Iterator

import torch
from nvidia.dali import Pipeline

from bench.loaders.contenders import Batch
from dali_cutmix.gpu import KeepAlive, record


def run_without_end(pipeline: Pipeline) -> Iterator[Batch]:
    """Run a pipeline as a consumer does: on a GPU on PyTorch's current stream, which waits while the host goes on.

    Outputs are kept alive until that stream has reached them, so that DALI does not reuse their memory before. Their
    number is limited, so that the host does not get far ahead of the GPU.
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
