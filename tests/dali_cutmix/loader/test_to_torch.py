"""The hand-off on a GPU, without one: what must be copied, held and current, with CUDA's calls replaced."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.gpu import device, transfer
from dali_cutmix.loader import batch_producer, to_torch
from pipelines import imagenet


@pytest.fixture
def uploaded(monkeypatch):
    """Outputs in the CPU's memory are taken for a GPU's, those without a layout (labels) for the CPU's."""
    dtypes = []

    def upload(array, number):
        assert number == 0
        dtypes.append(array.dtype)
        return torch.from_numpy(array.copy())

    monkeypatch.setattr(to_torch, "upload", upload)
    monkeypatch.setattr(to_torch, "gpu_of", lambda output: 0 if output.layout() else None)
    return dtypes


ON_GPU_0 = SimpleNamespace(device_id=0, exec_dynamic=True)


def outputs_of(photo_folder, **normalization):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=1)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        return dc.normalize(dc.random_resized_crop(jpegs, 8), **normalization), labels

    return graph().run()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_batch_is_copied_out_of_dalis_memory(photo_folder, uploaded, dtype, channels_last):
    """DALI writes the next batch there as soon as it has it back, whatever PyTorch's stream is doing."""
    outputs = outputs_of(photo_folder, dtype=dtype, channels_last=channels_last)
    images, labels = to_torch.to_tensors(outputs, ON_GPU_0, (dtype, None))
    theirs = [torch.from_dlpack(output.as_tensor()) for output in outputs]
    assert images.data_ptr() != theirs[0].data_ptr()
    assert images.shape == (4, 3, 8, 8)
    assert images.dtype == dtype
    assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    expected = theirs[0].permute(0, 3, 1, 2) if channels_last else theirs[0]
    assert torch.equal(images, expected.to(dtype))
    assert torch.equal(labels, theirs[1])
    assert uploaded == [np.int64], "labels that the graph left on the CPU; images are there already"
    theirs[0].fill_(99)
    assert (images != 99).all()


@pytest.mark.parametrize("fused", [True, False])
def test_a_batch_is_made_while_the_pipelines_gpu_is_current_and_its_outputs_are_held(photo_folder, monkeypatch, fused):
    """Stream 0 is the current device's, and pinned memory belongs to it: not those of GPU 0 for a loader on GPU 1.

    And DALI writes the next batch into the memory of outputs as soon as nobody holds them.
    """
    if fused and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    current, seen, held = [], [], []

    @contextmanager
    def on_device(number):
        current.append(number)
        yield
        current.pop()

    made = imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", fused=fused)
    producer = made._producer
    run, make = producer._runner.run, producer._finish or batch_producer.to_tensors
    monkeypatch.setattr(batch_producer, "on_device", on_device)
    monkeypatch.setattr(batch_producer, "record", lambda number: seen.append(("record", number, *current)) or "event")
    monkeypatch.setattr(producer, "_worker", None)  # as on a GPU, where the consumer's thread does it all
    monkeypatch.setattr(producer, "_template", SimpleNamespace(device_id=1))
    monkeypatch.setattr(producer, "_keep_alive", SimpleNamespace(hold=lambda *given: held.append(given)))
    monkeypatch.setattr(producer._runner, "run", lambda: seen.append(("run", *current)) or run())
    where, name = (producer, "_finish") if fused else (batch_producer, "to_tensors")
    monkeypatch.setattr(where, name, lambda *given: seen.append(("make", *current)) or make(*given))
    next(iter(made))
    assert seen == [("run", 1), ("make", 1), ("record", 1, 1)], "the event comes after the last use"
    [(outputs, until)] = held
    assert until == "event"
    assert [type(output).__name__ for output in outputs[:2]] == ["TensorListCPU"] * 2
    assert current == []


def test_pinned_memory_belongs_to_the_gpu_that_it_is_for(monkeypatch):
    current = []

    @contextmanager
    def on_device(number):
        current.append(number)
        yield
        current.pop()

    class Tensor:
        def pin_memory(self):
            assert current == [1]
            return self

        def to(self, device, non_blocking):
            assert (device, non_blocking) == (torch.device("cuda:1"), True)
            return "on the GPU"

    monkeypatch.setattr(transfer, "on_device", on_device)
    monkeypatch.setattr(torch, "from_numpy", lambda array: Tensor())
    assert transfer.upload(np.zeros(1), 1) == "on the GPU"


def test_the_device_is_made_current_and_for_the_cpu_nothing_is():
    context = device.on_device(1)
    assert isinstance(context, torch.cuda.device)
    assert context.idx == 1
    with device.on_device(None):
        pass


@pytest.mark.parametrize("option", ["exec_dynamic", "exec_async", "exec_pipelined"])
def test_an_executor_that_overwrites_its_outputs_is_refused_on_a_gpu(photo_folder, option):
    @pipeline_def(batch_size=4, num_threads=1, device_id=0, **{option: False})
    def graph():
        return dc.read_folder(photo_folder)[1]

    message = r"a pipeline for a GPU without DALI's dynamic executor given .* Leave exec_dynamic, exec_async and"
    with pytest.raises(ValueError, match=message):
        dc.Loader(graph())
