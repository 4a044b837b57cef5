"""On a GPU: the batches of training and evaluation are those of the CPU, and a loader resumes bit for bit."""

import copy
from functools import partial

import pytest
import torch

import dali_cutmix as dc
from pipelines import cifar, cub, imagenet
from tests.helpers.cifar_archives import make_data, write_folder
from tests.helpers.gpu import POLICIES
from tests.helpers.images import save
from train.evaluation.cam import ClassMaps
from train.models import classifiers


@pytest.mark.gpu
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_gpu_makes_the_draws_of_a_cpu_and_nearly_its_pixels(colour_folder, policy):
    """Plain colours: decoders and filters differ by a level or two, plans and targets not at all."""
    options = {"batch_size": 8, "size": 32, "mix": policy, "seed": 2}
    on_cpu = imagenet.train(colour_folder, device="cpu", fused=False, **options)
    on_gpu = imagenet.train(colour_folder, device="cuda:0", **options)
    for (images, targets), (gpu_images, gpu_targets) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_images.is_cuda
        assert gpu_targets.is_cuda
        assert torch.equal(gpu_targets.cpu(), targets)
        torch.testing.assert_close(gpu_images.cpu(), images, rtol=0, atol=5 / 57)


@pytest.mark.gpu
def test_pairs_are_on_the_gpu_and_equal_dense_targets(colour_folder):
    options = {"batch_size": 8, "size": 32, "seed": 2, "device": "cuda:0"}
    dense = imagenet.train(colour_folder, **options)
    pairs = imagenet.train(colour_folder, targets="pairs", **options)
    for (images, targets), (same, labels, lam) in zip(dense, pairs, strict=True):
        assert torch.equal(images, same)
        assert labels.is_cuda
        assert lam.is_cuda
        logits = torch.randn(8, 12, device="cuda:0")
        torch.testing.assert_close(dc.soft_cross_entropy(logits, targets), dc.pair_cross_entropy(logits, labels, lam))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_formats_on_the_gpu(photo_folder, dtype, channels_last):
    options = {"batch_size": 4, "size": 32, "device": "cuda:0"}
    reference, _ = next(iter(imagenet.train(photo_folder, **options)))
    images, _ = next(iter(imagenet.train(photo_folder, dtype=dtype, channels_last=channels_last, **options)))
    assert images.dtype == dtype
    assert images.device == torch.device("cuda:0")
    assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    torch.testing.assert_close(images.float(), reference, rtol=2**-7, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_holes_on_the_gpu_are_exactly_0(colour_folder, dtype):
    loader = imagenet.train(
        colour_folder, batch_size=8, size=32, device="cuda:0", dtype=dtype, mix=dc.Cutout(per_sample=True)
    )
    for images, targets in loader:
        is_hole = (images == 0).all(1)
        assert is_hole.sum((1, 2)).min() > 8 * 8 * 0.9
        assert is_hole.sum((1, 2)).max() <= 17 * 17
        assert (targets.max(1).values == 1).all()


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_whole_images_and_regions_on_the_gpu_are_near_each_other_with_the_same_draws(photo_folder, fused):
    """Upsampled chroma may differ by some levels at a region's border."""
    options = {"batch_size": 8, "size": 48, "device": "cuda:0", "fused": fused, "seed": 4}
    region, whole = (imagenet.train(photo_folder, decode=way, **options) for way in ("region", "whole"))
    for (images, targets), (others, same) in zip(region, whole, strict=True):
        assert torch.equal(targets, same)
        assert (images - others).abs().mean() * 57 < 1.5, "levels, as a mean over pixels"


@pytest.mark.gpu
def test_another_share_of_the_hardware_decoder_is_told_when_a_state_is_loaded(photo_folder):
    options = {"batch_size": 4, "size": 32, "device": "cuda:0"}
    saved = imagenet.train(photo_folder, hw_decoder_load=0.65, **options).state_dict()
    assert saved["decoder"]["gpu"] == torch.cuda.get_device_name(0)
    assert saved["decoder"]["nvjpeg"] is not None
    with pytest.warns(UserWarning, match=r"hw_decoder_load: 0\.65 saved, 1\.0 here"):
        imagenet.train(photo_folder, hw_decoder_load=1.0, **options).load_state_dict(saved)


@pytest.mark.gpu
@pytest.mark.parametrize("fused", [True, False])
def test_a_loader_on_the_second_gpu_gives_the_batches_of_the_first(photo_folder, fused):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    options = {"batch_size": 4, "size": 32, "fused": fused}
    first, second = (imagenet.train(photo_folder, device=f"cuda:{number}", **options) for number in (0, 1))
    assert torch.cuda.current_device() == 0
    for one, other in zip(first, second, strict=True):
        assert other[0].device == torch.device("cuda:1")
        assert all(torch.equal(a.cpu(), b.cpu()) for a, b in zip(one, other, strict=True))
    assert torch.cuda.current_device() == 0


@pytest.mark.gpu
@pytest.mark.parametrize("policy", [POLICIES[1], POLICIES[4]], ids=repr)
@pytest.mark.parametrize(("fused", "load"), [(True, 0.0), (True, 0.65), (False, 0.0)])
def test_training_on_the_gpu_goes_on_bit_for_bit(photo_folder, policy, fused, load):
    """Also where the JPEG engine decodes its share of every batch: the same one each time."""

    def make():
        options = {"device": "cuda:0", "mix": policy, "fused": fused, "hw_decoder_load": load}
        return imagenet.train(photo_folder, batch_size=7, size=32, **options)

    def endless(loader):
        while True:
            yield from loader

    reference = make()
    running, batches, states = endless(reference), [], [reference.state_dict()]
    for _ in range(8):
        batches.append([tensor.clone() for tensor in next(running)])
        states.append(reference.state_dict())
    for i in (1, 4):
        resumed = make()
        resumed.load_state_dict(states[i])
        for expected, found in zip(batches[i : i + 2], endless(resumed), strict=False):
            assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.gpu
def test_evaluation_on_the_gpu_is_near_the_cpu_and_gives_every_sample_once(photo_folder):
    options = {"batch_size": 10, "size": 64, "resize": 72}
    on_cpu = imagenet.val(photo_folder, device="cpu", **options)
    on_gpu = imagenet.val(photo_folder, device="cuda:0", **options)
    seen = 0
    for (images, labels), (gpu_images, gpu_labels) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_labels.is_cuda
        assert torch.equal(gpu_labels.cpu(), labels)
        difference = (gpu_images.cpu() - images).abs().mean() * 57
        assert difference < 1.5, "levels, as a mean over pixels"
        seen += len(labels)
    assert seen == 24


@pytest.mark.gpu
@pytest.mark.parametrize(("function", "options"), [(cub.train, {"resize": 72}), (cifar.train, {"padding": 8})])
def test_the_other_trainings_on_the_gpu_are_near_the_cpu(tmp_path, photos, function, options):
    """PNG, which both decode to the same pixels; resampling may differ by a level."""
    for i in range(16):
        save(photos[i % 2][10 * i : 10 * i + 70, :90], tmp_path / "ab"[i % 2] / f"{i:02d}.png")
    on_cpu, on_gpu = (
        function(tmp_path, batch_size=8, size=64, device=device, seed=1, **options) for device in ("cpu", "cuda:0")
    )
    for (images, targets), (gpu_images, gpu_targets) in zip(on_cpu, on_gpu, strict=True):
        assert gpu_targets.is_cuda
        torch.testing.assert_close(gpu_targets.cpu(), targets)
        assert (gpu_images.cpu() - images).abs().mean() * 57 < 1, "levels, as a mean over pixels"


@pytest.mark.gpu
def test_cifars_pixels_are_the_same_on_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = make_data("cifar-10-batches-bin")
    read = partial(cifar.read, write_folder(tmp_path, "cifar-10-batches-bin", data), "val")
    ((images, labels),) = imagenet.val(read, size=32, resize=32, mean=(0, 0, 0), std=(1, 1, 1), device="cuda:0")
    assert (images.permute(0, 2, 3, 1).cpu().numpy() == data["val"][0]).all()
    assert labels.tolist() == data["val"][1].tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["resnet10", "vgg16_gap", "resnet50_wsol"])
def test_class_maps_on_the_gpu_are_near_the_cpu(name):
    torch.manual_seed(0)
    model, images, labels = classifiers.build(name, 5).eval(), torch.randn(2, 3, 64, 64), torch.tensor([1, 4])
    _, maps = ClassMaps(model, 64, torch.device("cpu"))(images, labels)
    gpu = torch.device("cuda:0")
    _, found = ClassMaps(copy.deepcopy(model).to(gpu), 64, gpu)(images.to(gpu), labels.to(gpu))
    torch.testing.assert_close(found.cpu(), maps, rtol=0.02, atol=0.02 * maps.abs().max().item())
