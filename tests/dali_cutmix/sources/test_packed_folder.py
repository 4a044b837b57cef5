"""Shards: read as the folder that was packed, to the bit; damage is named."""

import json
import os
import re
import shutil
import tarfile

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from dali_cutmix.pack.cli import main
from dali_cutmix.sources import manifest, packed_folder, record_files
from dali_cutmix.sources.image_folder import scan_folder
from dali_cutmix.sources.manifest import MANIFEST, UNFINISHED
from pipelines import imagenet


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """``packed(folder)``: the folder in shards of five samples, whose files keep their bytes."""
    made = {}

    def of(folder):
        if folder not in made:
            made[folder] = tmp_path_factory.mktemp("packed") / folder.name
            assert main([str(folder), str(made[folder]), "--samples-per-shard=5", "--quality=100", "--workers=1"]) == 0
        return made[folder]

    return of


@pytest.fixture
def copy(packed, photo_folder, tmp_path):
    """Shards of the photo folder for a test to spoil."""
    return shutil.copytree(packed(photo_folder), tmp_path / "copy")


@pytest.fixture(params=["val", "train", "fused"])
def kind(request):
    if request.param == "fused" and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param


def loader_of(root, kind, batch_size=7, **options):
    options = {"batch_size": batch_size, "size": 16, "device": "cpu"} | options
    if kind == "val":
        return imagenet.val(root, resize=16, **options)
    return imagenet.train(root, fused=kind == "fused", **options)


def label_loader(root, batch_size=4, *, executor=None, **reading):
    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=0, **(executor or {}))
    def graph():
        _, labels = dc.read_folder(root, **reading)
        return labels

    return dc.Loader(graph())


def epoch_of(loader):
    return [labels.tolist() for (labels,) in loader]


def flat(batches):
    return [label for batch in batches for label in batch]


def take(loader, n):
    found = []
    while len(found) < n:
        found += [tuple(tensor.numpy().tobytes() for tensor in batch) for batch in loader]
    return found[:n]


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
    one, other = label_loader(root), label_loader(root, executor=executor)
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


# Damage

MEND = r"Copy the shard and its \.idx again from where they came from, or remove both and run the command that packed"


def overwrite(tar, name, content):
    """Write over the first bytes of a member."""
    with tarfile.open(tar) as archive:
        at = archive.getmember(name).offset_data
    with tar.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_a_bad_sample_is_named_by_shard_and_member_and_no_good_one_is(copy, kind):
    tar = copy / "shard-00002.tar"
    overwrite(tar, "00000013.jpg", b"this is no picture" * 20)
    loader = loader_of(copy, kind, 8)
    with pytest.raises(dc.DecodeError) as caught:
        take(loader, 7)
    message = str(caught.value)
    named = f"{tar}: 00000013.jpg (was c/06.jpg) (not an image: it begins with b'this is no pictu')"
    assert f"cannot be decoded: {named}. Repair that image in the folder that" in message
    assert "remove the shard and its .idx, and run the command that packed it again" in message
    assert "every other file of its batch is fine. " in message
    assert "DALI says: " in message
    assert set(re.findall(r"[^\s,:]+\.jpg", message)) == {"00000013.jpg", "c/06.jpg"}


def test_two_bad_samples_of_a_batch_are_both_named(copy):
    for name in ("00000009.jpg", "00000011.jpg"):
        overwrite(copy / f"shard-0000{int(name[:8]) // 5}.tar", name, bytes(300))
    with pytest.raises(dc.DecodeError, match=r"shard-00001\.tar: 00000009\.jpg .*, .*shard-00002\.tar: 00000011\.jpg "):
        take(loader_of(copy, "val", 8), 3)


def test_a_shard_that_shrinks_while_it_is_read_is_an_error_and_no_crash(copy, kind):
    loader = loader_of(copy, kind, 4)
    take(loader, 1)
    for tar in copy.glob("*.tar"):
        os.truncate(tar, 600)
    with pytest.raises(
        dc.DecodeError,
        match=r": .*shard-0000\d\.tar: .*\.jpg \(was .*\) \(cannot be read: the file is shorter than",
    ):
        take(loader, 12)


def test_a_shard_that_vanished_after_the_loader_was_built_is_named(copy):
    loader = loader_of(copy, "val", 4, prefetch=1)
    next(iter(loader))
    (copy / "shard-00004.tar").unlink()
    with pytest.raises(dc.DecodeError, match=r": .*shard-00004\.tar: 00000020\.jpg .* \(cannot be read: No such"):
        take(loader, 6)


def without_index(tar):
    tar.with_suffix(".idx").unlink()


def cut_off(tar):
    os.truncate(tar, 3000)


def other_index(tar):
    shutil.copy(tar.with_name("shard-00004.idx"), tar.with_suffix(".idx"))


def empty_index(tar):
    tar.with_suffix(".idx").write_text("")


def half_an_index(tar):
    os.truncate(tar.with_suffix(".idx"), 120)


def flipped_digits(tar):
    index = tar.with_suffix(".idx")
    index.write_bytes(index.read_bytes().replace(b"jpg 512", b"jpg 5!2"))


DAMAGE = {
    "no shard": (lambda tar: tar.unlink(), r"\S+/shard-00001\.tar is missing"),
    "no index": (without_index, r"\S+/shard-00001\.idx is missing"),
    "cut off": (cut_off, r"3000 bytes long, its index needs \d+"),
    "index of another": (other_index, r"its index begins with 'v1\.2 4', the manifest has 5 samples"),
    "empty index": (empty_index, r"its index begins with '', the manifest has 5 samples"),
    "half an index": (half_an_index, r"its index is damaged \(cannot reshape .*\)"),
    "flipped digits": (flipped_digits, r"its index is damaged \(invalid literal .*\)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_named_before_anything_is_read(copy, damage):
    spoil, message = DAMAGE[damage]
    spoil(copy / "shard-00001.tar")
    with pytest.raises(ValueError, match=rf"shard-00001\.tar: {message}\. {MEND}"):
        label_loader(copy)


def change_manifest(folder, **changes):
    content = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(content | changes))


def test_a_newer_manifest_is_refused_with_both_versions_named(copy):
    change_manifest(copy, version=manifest.VERSION + 1)
    with pytest.raises(
        ValueError, match=r"dali_cutmix\.json: version 2 given, this dali_cutmix reads version 1; insta"
    ):
        label_loader(copy)


@pytest.mark.parametrize("part", ["shards", "classes"])
@pytest.mark.parametrize("value", [{}, [], None], ids=repr)
def test_a_manifest_without_shards_or_classes_is_refused(copy, part, value):
    change_manifest(copy, **{part: value})
    with pytest.raises(ValueError, match=r"not a manifest of dali_cutmix\.pack \(no shards or no classes\)"):
        label_loader(copy)


def test_what_is_packed_is_no_folder_to_pack_or_to_measure(copy):
    with pytest.raises(ValueError, match="packed by dali_cutmix.pack; wanted is the folder that was packed"):
        scan_folder(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"version": 1}', b"\xff\xfe"], ids=repr)
def test_what_is_no_manifest_is_refused(copy, content):
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ValueError, match=r"dali_cutmix\.json: not a manifest of dali_cutmix\.pack \(.*copy it again"):
        label_loader(copy)


def test_a_manifest_whose_lists_differ_in_length_is_refused(copy):
    change_manifest(copy, classes={"a": ["1.jpg"]})
    with pytest.raises(ValueError, match=r"it lists 1 files, but 24 samples in its shards; copy it again"):
        label_loader(copy)


def test_an_unfinished_pack_says_how_to_finish_it(copy):
    (copy / MANIFEST).rename(copy / UNFINISHED)
    (copy / "shard-00003.tar").unlink()
    command = f"python -m dali_cutmix.pack SRC {copy} --short-side 400 --quality 100 --samples-per-shard 5"
    with pytest.raises(ValueError, match=r"not packed completely, 4 of 5 shards are there\. Run the same") as caught:
        label_loader(copy)
    assert command in str(caught.value)


def test_classes_and_ranks_are_checked_as_for_a_folder(photo_folder, packed):
    with pytest.raises(ValueError, match=r"num_classes=3 given, but the data has 4 classes"):
        label_loader(packed(photo_folder), num_classes=3)
    with pytest.raises(ValueError, match=r"24 images for 25 shards; every shard needs at least one"):
        label_loader(packed(photo_folder), shard=(0, 25))
