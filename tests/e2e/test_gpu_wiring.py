"""Every graph for a GPU is wired right, checked without one.

A graph is defined for a GPU and built until CUDA itself is asked for. On the way DALI checks whether each input is on
the device that its operator needs.
"""

import warnings
from contextlib import nullcontext

import pytest
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused import cuda
from dali_cutmix.mixing.paste_operator import paste
from pipelines import cifar, cub, imagenet
from tests.helpers.gpu import FILL, POLICIES

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")


@pytest.fixture
def as_if_there_were_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


NO_CUDA = "create a GPU DALI pipeline while CUDA is not available"


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("targets", ["dense", "pairs"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("decode", ["whole", "region"])
def test_the_training_graph_for_a_gpu_is_wired_right(
    colour_folder, as_if_there_were_a_gpu, policy, targets, fused, decode
):
    options = {"mix": policy, "targets": targets, "fused": fused, "decode": decode}
    options |= {"hw_decoder_load": 0.8, "preallocate": (500, 400)}
    with pytest.raises(RuntimeError, match=NO_CUDA):
        imagenet.train(colour_folder, batch_size=4, size=16, device="cuda:0", **options)


@without_gpu
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("function", [imagenet.train, imagenet.val])
def test_every_output_format_for_a_gpu_is_wired_right(
    colour_folder, as_if_there_were_a_gpu, function, dtype, channels_last
):
    options = {"dtype": dtype, "channels_last": channels_last}
    with pytest.raises(RuntimeError, match=NO_CUDA):
        function(colour_folder, batch_size=4, size=16, device="cuda:0", **options)


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("function", [cub.train, cifar.train])
def test_the_other_training_graphs_for_a_gpu_are_wired_right(colour_folder, as_if_there_were_a_gpu, function, policy):
    with pytest.raises(RuntimeError, match=NO_CUDA):
        function(colour_folder, batch_size=4, size=16, mix=policy, device="cuda:0")


@without_gpu
def test_the_stretched_evaluation_for_a_gpu_is_wired_right(colour_folder, as_if_there_were_a_gpu):
    with pytest.raises(RuntimeError, match=NO_CUDA):
        imagenet.val(colour_folder, batch_size=4, size=16, resize=20, stretch=True, device="cuda:0")


@without_gpu
def test_a_wrong_wire_would_be_noticed_without_a_gpu(colour_folder):
    """What the two tests above rely on: a plan left on the CPU fails as such, before CUDA is asked for."""

    @pipeline_def(batch_size=4, num_threads=1, device_id=0)
    def graph():
        jpegs, labels = dc.read_folder(colour_folder)
        return paste(dc.random_resized_crop(jpegs, 16), fn.stack(*[labels] * 7), FILL)

    with pytest.raises(RuntimeError, match='input 1 for gpu operator .* incompatible device "cpu"'):
        graph()


@without_gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_images_and_targets_of_a_gpu_graph_are_on_the_gpu(colour_folder, policy):
    devices = []

    @pipeline_def(batch_size=4, num_threads=1, device_id=0)
    def graph():
        jpegs, labels = dc.read_folder(colour_folder)
        images = dc.random_resized_crop(jpegs, 16)
        mixed, *shares = dc.mix(images, labels, policy, targets="pairs")
        outputs = (dc.normalize(mixed), dc.normalize(dc.resize_center_crop(jpegs, 16, resize=16)), *shares)
        devices.extend(output.device for output in (images, mixed, *outputs))
        return outputs

    pipe = graph()
    pipe.start_py_workers()
    assert devices == ["gpu"] * 6


@without_gpu
def test_the_consumers_stream_is_taken_in_a_way_that_is_not_deprecated(monkeypatch):
    """CuPy 14 warns of an ``ExternalStream``, and that would be at every batch."""
    import cupy

    class TorchStream:
        cuda_stream = 0

        def __cuda_stream__(self):
            return 0, self.cuda_stream

    taken, launched = [], []
    from_external = cupy.cuda.Stream.from_external

    class Stream:  # CuPy's own cannot become current without a driver
        @staticmethod
        def from_external(stream):
            taken.append(from_external(stream).ptr)
            return nullcontext()

    monkeypatch.setattr(torch.cuda, "current_stream", lambda number: TorchStream())
    monkeypatch.setattr(cupy.cuda, "Device", lambda number: nullcontext())
    monkeypatch.setattr(cupy.cuda, "Stream", Stream)
    monkeypatch.setattr(cuda, "_kernel", lambda threads: lambda *given: launched.append(given))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cuda._launch(0, (1, 2, 3), 32, ("arguments",))
    assert taken == [0]
    assert launched == [((1, 2, 3), (32,), ("arguments",))]
