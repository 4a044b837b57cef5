"""Packed folders: shards are read as the folder that was packed, bit for bit, and loaders resume in them."""

import json
import os

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.pack.cli import main
from dali_cutmix.sources import packed_folder, record_files
from dali_cutmix.sources.image_folder import scan_folder
from tests.helpers.loaders import epoch_of, flat, label_loader
from tests.helpers.shards import loader_of, take

# As the folder


def test_batches_are_those_of_the_folder_bit_for_bit(photo_folder, packed, kind):
    """Files that keep their bytes, through three epochs."""
    folder, sharded = (loader_of(root, kind) for root in (photo_folder, packed(photo_folder)))
    assert len(sharded) == len(folder)
    assert sharded.num_samples == folder.num_samples
    assert sharded.classes == folder.classes == ("a", "b", "c", "d")
    assert sharded.num_classes == 4
    assert take(sharded, 11) == take(folder, 11)


def test_evaluation_pixels_of_reduced_files_are_close(photo_folder, tmp_path):
    main([str(photo_folder), str(tmp_path / "out"), "--short-side=64", "--workers=1"])
    for (small, labels), (large, expected) in zip(
        loader_of(tmp_path / "out", "val"), loader_of(photo_folder, "val"), strict=True
    ):
        assert torch.equal(labels, expected)
        assert (small - large).abs().mean() < 0.1  # of 1 for a standard deviation


def test_labels_are_int64_scalars_and_jpegs_bytes(photo_folder, packed):
    @pipeline_def(batch_size=5, num_threads=1, device_id=None)
    def graph():
        return dc.read_folder(packed(photo_folder), shuffle=False)

    jpegs, labels = graph().run()
    assert labels.as_array().dtype == np.int64
    assert labels.as_array().shape == (5,)
    first = sorted((photo_folder / "a").iterdir())[0]
    assert np.asarray(jpegs[0]).tobytes() == first.read_bytes()


@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize(("n", "batch_size"), [(23, 4), (24, 4), (13, 3)])
def test_training_epochs_repeat_nothing_over_the_ranks(numbered_folder, packed, n, batch_size, world_size):
    root = packed(numbered_folder(n))
    loaders = [label_loader(root, batch_size, shard=(rank, world_size)) for rank in range(world_size)]
    assert {len(loader) for loader in loaders} == {n // world_size // batch_size}
    seen = []
    for _ in range(4):
        epoch = flat([label for loader in loaders for label in epoch_of(loader)])
        assert len(epoch) == len(set(epoch)) == n // world_size // batch_size * batch_size * world_size
        seen.append(epoch)
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize(("n", "batch_size"), [(23, 4), (5, 20)])
def test_evaluation_gives_every_sample_exactly_once_in_sorted_order(numbered_folder, packed, n, batch_size, world_size):
    root = packed(numbered_folder(n))
    loaders = [label_loader(root, batch_size, shuffle=False, shard=(r, world_size)) for r in range(world_size)]
    assert len({len(loader) for loader in loaders}) == 1
    for _ in range(3):
        assert flat([flat(epoch_of(loader)) for loader in loaders]) == list(range(n))


@pytest.mark.parametrize("executor", [{"exec_dynamic": False}, {"prefetch_queue_depth": 4}], ids=str)
def test_the_executor_changes_no_label(numbered_folder, packed, executor):
    root = packed(numbered_folder(23))
    one, other = label_loader(root), label_loader(root, options=executor)
    assert [epoch_of(one) for _ in range(3)] == [epoch_of(other) for _ in range(3)]


def test_more_shards_than_files_that_are_kept_open(photo_folder, packed, monkeypatch):
    expected = take(loader_of(photo_folder, "train"), 6)
    monkeypatch.setattr(record_files, "_OPEN_FILES", 2)
    assert take(loader_of(packed(photo_folder), "train"), 6) == expected


def test_closed_loaders_leave_no_file_open(photo_folder, packed):
    reader = packed_folder.PackedFolder(packed(photo_folder))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(24):
        reader.read(number)[0]
    assert len(os.listdir("/proc/self/fd")) == before + 5
    del reader
    assert len(os.listdir("/proc/self/fd")) == before


def test_other_tools_read_them(photo_folder, packed):
    tars = sorted(map(str, packed(photo_folder).glob("*.tar")))

    @pipeline_def(batch_size=24, num_threads=1, device_id=None)
    def graph():
        indexes = [tar.replace(".tar", ".idx") for tar in tars]
        return tuple(fn.readers.webdataset(paths=tars, index_paths=indexes, ext=["jpg", "cls"]))

    jpegs, labels = graph().run()
    expected = [label for batch in epoch_of(label_loader(photo_folder, shuffle=False)) for label in batch]
    assert [int(np.asarray(digits).tobytes()) for digits in labels] == expected
    files = [path for name in "abcd" for path in sorted((photo_folder / name).iterdir())]
    assert [np.asarray(jpeg).tobytes() for jpeg in jpegs] == [path.read_bytes() for path in files]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so CUDA would not fail")
def test_the_graph_for_a_gpu_is_wired_right(photo_folder, packed, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for kind in ("train", "val"):
        with pytest.raises(RuntimeError, match="create a GPU DALI pipeline while CUDA is not available"):
            loader_of(packed(photo_folder), kind, device="cuda:0")


# State


def test_it_goes_on_bit_for_bit_from_every_position(photo_folder, packed, kind):
    def make():
        return loader_of(packed(photo_folder), kind)

    reference, states, batches = make(), [], []
    while len(batches) < 8:
        for batch in reference:
            states.append(json.dumps(reference.state_dict()))
            batches.append(tuple(tensor.numpy().tobytes() for tensor in batch))
    for i in range(6):
        resumed = make()
        resumed.load_state_dict(json.loads(states[i]))
        assert take(resumed, 1) == batches[i + 1 : i + 2], f"after batch {i}"


def test_a_state_of_the_folder_is_refused_and_the_other_way_round(photo_folder, packed):
    folder, sharded = (loader_of(root, "train") for root in (photo_folder, packed(photo_folder)))
    for one, other in ((folder, sharded), (sharded, folder)):
        with pytest.raises(ValueError, match=r"another loader .*\(files: '[0-9a-f]+' saved, '[0-9a-f]+' here\)"):
            one.load_state_dict(other.state_dict())


def test_a_state_of_other_settings_is_refused(photo_folder, packed, tmp_path):
    main([str(photo_folder), str(tmp_path / "out"), "--quality=80", "--workers=1"])
    saved = loader_of(packed(photo_folder), "train").state_dict()
    with pytest.raises(ValueError, match=r"\(files: '[0-9a-f]+' saved, '[0-9a-f]+' here\)"):
        loader_of(tmp_path / "out", "train").load_state_dict(saved)


def test_what_is_packed_is_no_folder_to_pack_or_to_measure(copy):
    with pytest.raises(ValueError, match="packed by dali_cutmix.pack; give the folder that was packed"):
        scan_folder(copy)


def test_classes_and_ranks_are_checked_as_for_a_folder(photo_folder, packed):
    with pytest.raises(ValueError, match=r"num_classes=3 given, but the data has 4 classes"):
        label_loader(packed(photo_folder), num_classes=3)
    with pytest.raises(ValueError, match=r"24 images for 25 shards; every shard needs at least one"):
        label_loader(packed(photo_folder), shard=(0, 25))
