"""Training on CIFAR: windows of the padded images, the authors' normalization, shards, exact resumption."""

import json
from functools import partial

import numpy as np
import pytest
import torch

import dali_cutmix as dc
from pipelines import cifar, imagenet
from tests.helpers import tally
from tests.helpers.cifar_loaders import PLAIN, loader_of


def test_training_crops_are_windows_of_the_padded_images_with_their_labels(forms):
    data, _, archive = forms["cifar-100-python"]
    windows = {}
    for image, label in zip(*data["train"], strict=True):
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        for crop in (padded[y : y + 32, x : x + 32] for y in range(9) for x in range(9)):
            windows[crop.tobytes()] = label
            windows[crop[:, ::-1].tobytes()] = label
    flipped = {p: [] for p in (0.0, 1.0)}
    for flip, crops in flipped.items():
        for images, targets in loader_of(archive, mix=None, flip=flip, batch_size=6, **PLAIN):
            for crop, target in zip(images.permute(0, 2, 3, 1).numpy().astype(np.uint8), targets, strict=True):
                assert windows[crop.tobytes()] == target.argmax()
                crops.append(crop)
    for plain, mirrored in zip(*flipped.values(), strict=True):
        np.testing.assert_array_equal(plain, mirrored[:, ::-1])


def test_training_normalizes_by_the_authors_values_and_mixes_half_of_the_batches(forms):
    archive = forms["cifar-10-batches-py"][2]
    assert cifar.MEAN == (125.3, 123.0, 113.9)
    assert cifar.STD == (63.0, 62.1, 66.7)
    options = {"mix": None, "padding": 0, "flip": 0.0}
    plain, _ = next(iter(loader_of(archive, **options, **PLAIN)))
    normalized, _ = next(iter(loader_of(archive, **options)))
    mean, std = (torch.tensor(levels).view(3, 1, 1) for levels in (cifar.MEAN, cifar.STD))
    torch.testing.assert_close(normalized, (plain - mean) / std, rtol=0, atol=1e-6)
    loader, mixed = loader_of(archive), []
    for _ in range(20):
        for images, targets in loader:
            assert images.shape == (5, 3, 32, 32)
            assert targets.shape == (5, 10)
            torch.testing.assert_close(targets.sum(1), torch.ones(5))
            mixed.append(bool((targets.max(1).values < 1).any()))
    assert 0.3 < np.mean(mixed) < 0.6  # some mixed batches have partners of the same class, or an empty box


def test_training_takes_folders_of_classes_and_verbs_too(forms, photo_folder):
    _, root, archive = forms["cifar-10-batches-bin"]
    assert loader_of(photo_folder, size=16).classes == ("a", "b", "c", "d")
    assert len(loader_of([photo_folder])) == 4
    verb = partial(cifar.read, archive, "train")
    for ours, theirs in zip(loader_of(verb), loader_of(root), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(FileNotFoundError, match="gone"):
        loader_of(photo_folder / "gone")


def test_imagenets_crops_work_on_it_as_well(forms):
    read = partial(cifar.read, forms["cifar-10-batches-bin"][2], "train")
    images, targets = next(iter(imagenet.train(read, batch_size=4, size=24, device="cpu")))
    assert images.shape == (4, 3, 24, 24)
    assert targets.shape == (4, 10)


def test_ranks_share_an_epoch_and_every_option_reaches_its_place(forms):
    archive, found = forms["cifar-10-batches-py"][2], []
    options = {"targets": "pairs", "dtype": "float16", "channels_last": True, "prefetch": 1, "seed": 3, "size": 24}
    for rank in range(2):
        loader = loader_of(archive, shard=(rank, 2), batch_size=3, num_classes=12, mix=dc.Mixup(), **options, **PLAIN)
        for images, labels, lam in loader:
            assert images.dtype == torch.float16
            assert images.shape == (3, 3, 24, 24)
            assert images.is_contiguous(memory_format=torch.channels_last)
            assert lam.shape == (3,)
            found += labels[:, 0].tolist()
    assert sorted(found) == sorted(forms["cifar-10-batches-py"][0]["train"][1].tolist())
    for wrong, told in {
        "on_error": "on_error='x' given",
        "max_pixels": "max_pixels='x' given",
        "padding": "padding='x' given",
        "flip": "flip='x' given",
        "device": "device='x' given",
    }.items():
        with pytest.raises(ValueError, match=told):
            loader_of(archive, **{wrong: "x"})
    with pytest.raises(ValueError, match="num_classes=9 given, but the data has 10 classes"):
        loader_of(archive, num_classes=9)


def test_a_bad_image_is_replaced_and_logged(photo_folder, tmp_path):
    for path in photo_folder.rglob("*.jpg"):
        (tmp_path / "data" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path.parent.name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "b" / "01.jpg").write_text("no picture")
    options = {"on_error": "replace", "max_bad": 0.1, "bad_log": tmp_path / "bad.jsonl"}
    loader = loader_of(tmp_path / "data", **options)
    assert [len(list(loader)) for _ in range(3)] == [4, 4, 4]
    assert "b/01.jpg" in (tmp_path / "bad.jsonl").read_text()
    tally.count("bad")


def test_training_goes_on_bit_for_bit_from_the_middle_of_an_epoch(forms):
    archive = forms["cifar-10-batches-py"][2]
    reference = iter(loader := loader_of(archive))
    for _ in range(2):
        next(reference)
    saved = json.dumps(loader.state_dict())
    expected = [[tensor.numpy().tobytes() for tensor in batch] for batch in (*reference, *loader)]
    resumed = loader_of(archive)
    resumed.load_state_dict(json.loads(saved))
    assert [[tensor.numpy().tobytes() for tensor in batch] for _ in range(2) for batch in resumed] == expected
    tally.count("resumes")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")
def test_the_training_graph_for_a_gpu_is_wired_right(forms, monkeypatch):
    for name, value in {"is_available": True, "device_count": 1, "current_device": 0}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
        loader_of(forms["cifar-10-batches-py"][2], device="cuda:0")
