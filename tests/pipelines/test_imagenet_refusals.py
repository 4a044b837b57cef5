"""What train and val of pipelines/imagenet.py refuse before anything is decoded."""

import pytest
import torch

from pipelines import imagenet


def build(kind, root, **options):
    function = imagenet.train if kind == "train" else imagenet.val
    return function(root, **({"batch_size": 4, "size": 16, "device": "cpu"} | options))


@pytest.mark.parametrize("kind", ["train", "val"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, r"batch_size=0 given; allowed is a whole number from 1 to 2147483647"),
        ({"batch_size": 2**31}, r"batch_size=2147483648 given; allowed is a whole number from 1 to 2147483647"),
        ({"size": 0}, r"size=0 given; .* at least 1"),
        ({"size": 16.0}, r"size=16\.0 given; .* at least 1"),
        ({"num_classes": 11}, r"num_classes=11 given, but the data has 12 classes.*at least 12"),
        ({"num_classes": "12"}, r"num_classes='12' given; allowed is a whole number"),
        ({"device": "tpu"}, r"device='tpu' given; allowed are 'cpu', 'cuda:0'"),
        ({"shard": (2, 2)}, r"shard=\(2, 2\) given; .*0 <= rank < world_size"),
        ({"num_threads": 0}, r"num_threads=0 given; allowed is a whole number from 1 to 2147483647"),
        ({"prefetch": 0}, r"prefetch=0 given; allowed is a whole number from 1 to 2147483647"),
        ({"dtype": "float64"}, r"dtype='float64' given; allowed are torch\.float32"),
    ],
    ids=str,
)
def test_what_train_and_val_refuse_alike(colour_folder, kind, options, message):
    with pytest.raises(ValueError, match=message):
        build(kind, colour_folder, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 51},
            r"batch_size=51 given, but the smallest shard holds 50 samples .*smaller batch or fewer",
        ),
        (
            {"batch_size": 26, "shard": (0, 2)},
            r"batch_size=26 given, but the smallest shard holds 25 samples \(50 in 2",
        ),
        ({"mix": "cutmix"}, r"mix='cutmix' given; allowed are dc\.CutMix"),
        ({"targets": "hard"}, r"targets='hard' given; allowed are 'dense' .* 'pairs'"),
        ({"flip": 1.5}, r"flip=1\.5 given; .*0 to 1"),
        ({"scale": (0, 1)}, r"scale=\(0, 1\) given; .*fraction of the area"),
        ({"ratio": (2, 1)}, r"ratio=\(2, 1\) given; .*width:height"),
        ({"seed": -1}, r"seed=-1 given; allowed is a whole number from 0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [None, False], ids=["fused", "dali"])
def test_what_train_refuses_on_either_path(colour_folder, options, message, path):
    with pytest.raises(ValueError, match=message):
        build("train", colour_folder, fused=path, **options)


@pytest.mark.parametrize("path", [None, False], ids=["fused", "dali"])
@pytest.mark.parametrize("size", [0, -3, 2.5, "16"])
def test_a_size_is_refused_on_either_path(colour_folder, size, path):
    with pytest.raises(ValueError, match=rf"size={size!r} given; .*whole number of at least 1"):
        build("train", colour_folder, size=size, fused=path)


def test_val_refuses_a_crop_larger_than_the_resized_image(colour_folder):
    with pytest.raises(ValueError, match="resize=16 given with size=24"):
        imagenet.val(colour_folder, batch_size=4, size=24, resize=16, device="cpu")


@pytest.mark.parametrize("kind", ["train", "val"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_is_refused(colour_folder, kind):
    with pytest.raises(ValueError, match=r"device='cuda:0' given, but PyTorch finds no GPU here .*use another device"):
        build(kind, colour_folder, device="cuda:0")


@pytest.mark.parametrize("kind", ["train", "val"])
def test_folders_that_are_none_are_refused(tmp_path, kind):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; expected a folder with one subfolder"):
        build(kind, tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r": it is empty; expected"):
        build(kind, tmp_path)
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r": it holds images but no subfolders; expected"):
        build(kind, tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"cat: no image in this class folder"):
        build(kind, tmp_path)
