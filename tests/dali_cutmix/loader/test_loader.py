"""The Loader: epochs, shards, hand-off, reproducibility, and a state at the consumer's position."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types
from PIL import Image

import dali_cutmix as dc
from dali_cutmix.loader import state
from pipelines import imagenet
from tests.helpers import ROOT, tally
from tests.helpers.images import save


def label_loader(root, batch_size=4, *, threads=1, options=None, loader=None, **reading):
    """Nothing but labels: epochs and shards without the time that decoding takes."""
    executor = options or {}

    @pipeline_def(batch_size=batch_size, num_threads=threads, device_id=None, seed=0, **executor)
    def graph():
        _, labels = dc.read_folder(root, **reading)
        return labels

    return dc.Loader(graph(), **(loader or {}))


def epoch_of(loader):
    return [labels.tolist() for (labels,) in loader]


def flat(batches):
    return [label for batch in batches for label in batch]


@pytest.fixture(params=[False, True], ids=["dali", "fused"])
def fused(request):
    if request.param and not dc.can_fuse(None, None):
        pytest.skip("dali_cutmix was built without a C++ compiler")
    return request.param


# Epochs and shards


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (12, 4), (9, 2), (5, 5), (7, 1)])
def test_a_training_epoch_has_whole_batches_and_repeats_nothing(numbered_folder, n, batch_size):
    loader = label_loader(numbered_folder(n), batch_size)
    assert len(loader) == n // batch_size
    assert loader.num_samples == len(loader) * batch_size
    for _ in range(4):
        batches = epoch_of(loader)
        assert [len(batch) for batch in batches] == [batch_size] * len(loader)
        assert len(set(flat(batches))) == loader.num_samples


def test_over_the_epochs_every_sample_has_its_turn(numbered_folder):
    loader = label_loader(numbered_folder(10), 4)
    assert {label for _ in range(8) for label in flat(epoch_of(loader))} == set(range(10))


@pytest.mark.parametrize("world_size", [2, 3])
def test_training_shards_are_disjoint_in_every_epoch_and_change_between_epochs(numbered_folder, world_size):
    loaders = [label_loader(numbered_folder(24), 4, shard=(rank, world_size)) for rank in range(world_size)]
    shards = [[set(flat(epoch_of(loader))) for loader in loaders] for _ in range(3)]
    for epoch in shards:
        assert sum(map(len, epoch)) == len(set().union(*epoch)) == 24
    assert shards[0] != shards[1] != shards[2], "samples wander from shard to shard"


@pytest.mark.parametrize(("n", "world_size"), [(23, 3), (10, 4)])
def test_uneven_training_shards_have_the_same_number_of_batches(numbered_folder, n, world_size):
    loaders = [label_loader(numbered_folder(n), 2, shard=(rank, world_size)) for rank in range(world_size)]
    assert {len(loader) for loader in loaders} == {n // world_size // 2}
    for _ in range(5):
        epoch = flat([label for loader in loaders for label in epoch_of(loader)])
        assert len(epoch) == len(set(epoch)) == n // world_size // 2 * 2 * world_size


def test_the_order_comes_from_the_seed_and_changes_with_every_epoch(numbered_folder):
    root = numbered_folder(24)
    first, second = ([epoch_of(loader) for _ in range(3)] for loader in (label_loader(root, seed=7) for _ in "ab"))
    assert first == second
    assert first[0] != first[1] != first[2]
    other = label_loader(root, seed=8)
    assert epoch_of(other) != first[0], "the first epoch"
    assert epoch_of(other) != first[1], "and the later ones"


def test_the_first_batches_of_a_sorted_folder_are_well_mixed(tmp_path):
    """1,500 files in 3 classes, more than DALI's shuffling buffer: every batch of the first epoch has all classes."""
    for label in range(3):
        (tmp_path / str(label)).mkdir()
        for i in range(500):
            (tmp_path / str(label) / f"{i:03d}.jpg").write_bytes(b"not decoded here")
    batches = epoch_of(label_loader(tmp_path, 50))
    counts = np.array([np.bincount(batch, minlength=3) for batch in batches])
    assert counts.min() >= 5
    assert counts.max() <= 32


COMBINATIONS = [
    (n, world_size, batch_size)
    for n in (1, 2, 5, 8, 13)
    for world_size in (1, 2, 3, 5)
    for batch_size in (1, 3, 4, 20)
    if n >= world_size
]


@pytest.mark.parametrize(("n", "world_size", "batch_size"), COMBINATIONS)
def test_evaluation_gives_every_sample_exactly_once(numbered_folder, n, world_size, batch_size):
    loaders = [
        label_loader(numbered_folder(n), batch_size, shuffle=False, shard=(rank, world_size))
        for rank in range(world_size)
    ]
    assert len({len(loader) for loader in loaders}) == 1, "ranks would wait for each other"
    for _ in range(2):
        epochs = [epoch_of(loader) for loader in loaders]
        assert [len(epoch) for epoch in epochs] == [len(loader) for loader in loaders]
        assert [len(flat(epoch)) for epoch in epochs] == [loader.num_samples for loader in loaders]
        assert flat([flat(epoch) for epoch in epochs]) == list(range(n)), "in sorted order"


def test_a_shard_that_is_one_smaller_may_end_with_an_empty_batch(numbered_folder):
    loaders = [imagenet.val(numbered_folder(3), batch_size=1, size=8, shard=(r, 2), device="cpu") for r in (0, 1)]
    assert [[len(labels) for _, labels in loader] for loader in loaders] == [[1, 0], [1, 1]]
    images, labels = list(loaders[0])[-1]
    assert images.shape == (0, 3, 8, 8)
    assert labels.shape == (0,)


def test_drop_last_may_be_chosen(numbered_folder):
    dropping = label_loader(numbered_folder(10), 4, shuffle=False, loader={"drop_last": True})
    assert epoch_of(dropping) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert epoch_of(dropping) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    keeping = label_loader(numbered_folder(10), 4, loader={"drop_last": False})
    assert len(keeping) == 3
    for _ in range(2):
        assert sorted(flat(epoch_of(keeping))) == list(range(10))


def test_training_left_early_goes_on_with_the_rest_of_the_epoch(numbered_folder):
    root = numbered_folder(24)
    whole = label_loader(root, 4)
    expected = [epoch_of(whole), epoch_of(whole)]
    loader = label_loader(root, 4)
    begun = []
    for (labels,) in loader:
        begun.append(labels.tolist())
        if len(begun) == 2:
            break
    assert begun + epoch_of(loader) == expected[0]
    assert epoch_of(loader) == expected[1]


def test_evaluation_left_early_starts_anew(numbered_folder):
    loader = label_loader(numbered_folder(10), 4, shuffle=False)
    for _ in loader:
        break
    assert flat(epoch_of(loader)) == list(range(10))
    assert flat(epoch_of(loader)) == list(range(10))


def test_the_classes_are_the_folders(colour_folder):
    loader = imagenet.val(colour_folder, batch_size=50, size=8, resize=8, device="cpu")
    assert loader.classes == tuple(f"class{i:02d}" for i in range(12))
    assert loader.num_classes == 12


def test_a_reader_of_ones_own_will_do(numbered_folder):
    root = numbered_folder(10)

    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        _, labels = fn.readers.file(file_root=str(root), pad_last_batch=True)
        return labels

    loader = dc.Loader(graph())
    assert loader.classes == ()
    assert [labels.flatten().tolist() for (labels,) in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


# Hand-off


OUTPUTS = [("float32", False), ("float32", True), ("float16", False), ("float16", True)]


@pytest.mark.parametrize(("dtype", "channels_last"), OUTPUTS)
def test_a_batch_lies_where_dali_wrote_it(photo_folder, dtype, channels_last, monkeypatch):
    """Every tensor is on DALI's own memory: nothing was copied."""
    addresses = set()
    real = torch.from_dlpack

    def spy(tensor):
        addresses.add(tensor.data_ptr())
        return real(tensor)

    monkeypatch.setattr(torch, "from_dlpack", spy)
    loader = imagenet.train(
        photo_folder,
        batch_size=4,
        size=16,
        device="cpu",
        dtype=dtype,
        channels_last=channels_last,
        fused=False,
    )
    images, targets = next(iter(loader))
    assert {images.data_ptr(), targets.data_ptr()} <= addresses


@pytest.mark.parametrize("executor", [{}, {"exec_dynamic": False}], ids=str)
def test_batches_that_are_kept_stay_as_they_were(photo_folder, executor):
    @pipeline_def(**dc.pipeline_options(4, device="cpu"), **executor)
    def graph():
        jpegs, labels = dc.read_folder(photo_folder)
        images, targets = dc.mix(dc.random_resized_crop(jpegs, 16), labels)
        return dc.normalize(images), targets

    check_kept(dc.Loader(graph()))


def test_finished_batches_that_are_kept_stay_as_they_were(photo_folder, fused):
    check_kept(imagenet.train(photo_folder, batch_size=4, size=16, device="cpu", fused=fused))


def check_kept(loader):
    """Whole batches, single images and views in NumPy are kept while the loader goes on."""
    kept, copies = [], []
    for epoch in range(3):
        for i, (images, targets) in enumerate(loader):
            part = [images, images[1], images[:2].permute(0, 2, 3, 1).numpy()][(epoch + i) % 3]
            kept.append((part, targets))
            copies.append((torch.as_tensor(part).clone(), targets.clone()))
    for (part, targets), (part_then, targets_then) in zip(kept, copies, strict=True):
        assert torch.equal(torch.as_tensor(part), part_then)
        assert torch.equal(targets, targets_then)
    assert len({copy.numpy().tobytes() for copy, _ in copies}) == len(copies), "the batches differ"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", torch.float32, torch.float16, torch.bfloat16])
def test_dtype_and_channels_last_change_the_format_and_not_the_images(photo_folder, dtype, fused):
    def batch(**output):
        loader = imagenet.train(photo_folder, batch_size=4, size=16, device="cpu", fused=fused, **output)
        return next(iter(loader))

    expected, expected_targets = batch()
    for channels_last in (False, True):
        images, targets = batch(dtype=dtype, channels_last=channels_last)
        assert images.dtype == (getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        assert images.shape == (4, 3, 16, 16)
        assert images.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        assert torch.equal(targets, expected_targets)
        assert targets.dtype == torch.float32
        if images.dtype == torch.bfloat16:
            torch.testing.assert_close(images.float(), expected, rtol=2**-8, atol=1e-6)
        else:  # DALI's own rounding to half precision
            torch.testing.assert_close(images.float(), expected, rtol=2**-10, atol=1e-6)
    assert expected.dtype == torch.float32


def test_evaluation_has_the_same_formats(photo_folder):
    images, labels = next(iter(imagenet.val(photo_folder, batch_size=4, size=16, resize=16, device="cpu")))
    other, _ = next(
        iter(
            imagenet.val(
                photo_folder,
                batch_size=4,
                size=16,
                resize=16,
                device="cpu",
                dtype="bfloat16",
                channels_last=True,
            )
        )
    )
    assert images.is_contiguous()
    assert images.dtype == torch.float32
    assert other.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(other, images.bfloat16())
    assert labels.dtype == torch.int64


# Reproducibility


def fingerprint(loader, batches=9):
    """The bits of some batches, across the border of an epoch."""
    found = []
    while len(found) < batches:
        found += [tuple(tensor.numpy().tobytes() for tensor in batch) for batch in loader]
    return found[:batches]


def test_threads_and_prefetch_change_no_bit(photo_folder, fused):
    def batches(**options):
        return fingerprint(imagenet.train(photo_folder, batch_size=7, size=16, device="cpu", fused=fused, **options))

    expected = batches(num_threads=1, prefetch=1)
    assert len(set(expected)) == 9
    for options in (
        {"num_threads": 2},
        {"num_threads": 4},
        {"prefetch": 2},
        {"prefetch": 4, "num_threads": 3},
    ):
        assert batches(**options) == expected


def test_the_executor_changes_no_bit(photo_folder):
    def batches(**executor):
        @pipeline_def(**dc.pipeline_options(7, device="cpu", num_threads=2), **executor)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder)
            images, targets = dc.mix(dc.random_resized_crop(jpegs, 16), labels)
            return dc.normalize(images), targets

        return fingerprint(dc.Loader(graph()))

    expected = batches()
    for executor in (
        {"exec_dynamic": False},
        {"exec_dynamic": False, "exec_async": False, "exec_pipelined": False},
    ):
        assert batches(**executor) == expected


def test_the_seed_decides_over_crops_flips_and_mixing_and_so_does_the_rank(tmp_path, photos, fused):
    """A folder of one image, again and again: what differs is augmentation."""
    for i in range(8):
        save(photos[0][:200, :200], tmp_path / "a" / f"{i}.jpg")

    def batches(**options):
        options = {"batch_size": 4, "size": 16, "device": "cpu", "mix": None, "fused": fused} | options
        return fingerprint(imagenet.train(tmp_path, **options), 4)

    assert batches(seed=1) == batches(seed=1)
    assert not set(batches(seed=1)) & set(batches(seed=2))
    ranks = [set(batches(seed=1, shard=(rank, 2))) for rank in (0, 1)]
    assert not ranks[0] & ranks[1]


# State


POLICIES = [
    dc.CutMix(),
    dc.CutMix(probability=0.5, per_sample=True),
    dc.Mixup(0.2),
    dc.Cutout(per_sample=True),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None), (3, 2, 1, 1)),
    None,
]


def bits(batch):
    return tuple(tensor.numpy().tobytes() for tensor in batch)


def endless(loader):
    while True:
        yield from loader


def take(loader, n):
    batches = endless(loader)
    return [bits(next(batches)) for _ in range(n)]


def check_resume(make, *, per_epoch, epochs=2):
    """From a state after every batch of two epochs and a bit, a fresh loader goes on with the very same batches."""
    reference = make()
    states, batches = [json.dumps(reference.state_dict())], []
    running = endless(reference)
    for _ in range(per_epoch * epochs + 3):
        batches.append(bits(next(running)))
        states.append(json.dumps(reference.state_dict()))
    assert len(set(batches)) == len(batches)
    for i in range(per_epoch * epochs + 1):
        resumed = make()
        resumed.load_state_dict(json.loads(states[i]))
        assert json.dumps(resumed.state_dict()) == states[i], "the state of a resumed loader is the state"
        assert take(resumed, 2) == batches[i : i + 2], f"after batch {i}"
        assert json.dumps(resumed.state_dict()) == states[i + 2]
        tally.count("resumes")


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_training_goes_on_bit_for_bit_from_every_position(photo_folder, policy, fused):
    check_resume(
        lambda: imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", mix=policy, fused=fused),
        per_epoch=3,
    )


def test_pairs_go_on_too(photo_folder, fused):
    check_resume(
        lambda: imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", targets="pairs", fused=fused),
        per_epoch=3,
        epochs=1,
    )


def test_evaluation_goes_on_from_the_middle_and_then_starts_anew(numbered_folder):
    def make():
        return label_loader(numbered_folder(10), 4, shuffle=False)

    loader = make()
    batches = iter(loader)
    next(batches)
    saved = loader.state_dict()
    resumed = make()
    resumed.load_state_dict(saved)
    assert epoch_of(resumed) == [[4, 5, 6, 7], [8, 9]]
    assert flat(epoch_of(resumed)) == list(range(10))


def test_after_the_last_batch_the_next_epoch_begins(numbered_folder):
    root = numbered_folder(24)
    reference = label_loader(root, 4)
    epochs = [epoch_of(reference), epoch_of(reference)]
    loader = label_loader(root, 4)
    assert epoch_of(loader) == epochs[0]
    resumed = label_loader(root, 4)
    resumed.load_state_dict(loader.state_dict())
    assert epoch_of(resumed) == epochs[1], "one whole epoch, not an empty one first"


def test_resuming_in_the_middle_gives_the_rest_of_the_epoch_then_whole_ones(numbered_folder):
    root = numbered_folder(24)
    reference = label_loader(root, 4)
    epochs = [epoch_of(reference), epoch_of(reference)]
    loader = label_loader(root, 4)
    batches = iter(loader)
    next(batches), next(batches)
    resumed = label_loader(root, 4)
    resumed.load_state_dict(loader.state_dict())
    assert epoch_of(resumed) == epochs[0][2:]
    assert epoch_of(resumed) == epochs[1]


def test_a_loader_in_use_takes_a_state_and_takes_it_twice(photo_folder, fused):
    loader = imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", fused=fused)
    take(loader, 2)
    saved = loader.state_dict()
    expected = take(loader, 5)
    for _ in range(2):
        loader.load_state_dict(saved)
        assert take(loader, 5) == expected
        tally.count("resumes")


def test_the_state_is_where_the_consumer_stands_for_any_prefetch(photo_folder, fused):
    def make(prefetch):
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", prefetch=prefetch, fused=fused)

    saving, loading = make(4), make(1)
    take(saving, 2)
    saved = saving.state_dict()
    loading.load_state_dict(saved)
    assert take(loading, 4) == take(saving, 4)
    assert (saved["epoch"], saved["batch"]) == (0, 2)


def test_taking_a_state_disturbs_nothing(photo_folder, fused):
    def make():
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", fused=fused)

    loader, batches = make(), []
    running = endless(loader)
    for _ in range(5):
        loader.state_dict()
        batches.append(bits(next(running)))
        loader.state_dict()
    assert batches == take(make(), 5)


PROCESS = """
import hashlib, json, sys
from pipelines import imagenet

root, saved, batches = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
loader = imagenet.train(root, batch_size=7, size=8, device="cpu")
if saved:
    loader.load_state_dict(saved)
found = []
while len(found) < batches:
    for batch in loader:
        found.append(hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in batch)).hexdigest())
        if len(found) == batches:
            break
print(json.dumps([found, loader.state_dict()]))
"""


def test_a_fresh_process_goes_on_where_the_last_one_stood(photo_folder):
    def process(saved, batches):
        command = [sys.executable, "-c", PROCESS, str(photo_folder), json.dumps(saved), str(batches)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return json.loads(done.stdout)

    whole, _ = process(None, 8)
    first, saved = process(None, 5)
    rest, _ = process(saved, 3)
    assert first + rest == whole
    tally.count("resumes")


def test_mixing_may_be_switched_off_and_on_and_the_state_has_it(photo_folder, fused):
    """timm's loop does so in the last epochs; the samples, their order and crops stay the same."""

    def make():
        return imagenet.train(photo_folder, batch_size=6, size=8, device="cpu", fused=fused)

    def mixed(batch):
        return bool((batch[1].max(dim=1).values < 1).any())

    reference = [mixed(batch) for batch in make()]
    assert any(reference)
    loader = make()
    assert loader.mixup_enabled
    batches = iter(loader)
    assert mixed(next(batches)) == reference[0]
    loader.mixup_enabled = False
    off = [next(batches) for _ in range(2)]
    assert not any(map(mixed, off))
    saved = json.loads(json.dumps(loader.state_dict()))
    expected = [bits(batch) for batch in batches]
    loader.mixup_enabled = True
    on = [mixed(batch) for batch in loader]
    resumed = make()
    resumed.load_state_dict(saved)
    assert not resumed.mixup_enabled
    assert [bits(batch) for batch in resumed] == expected
    resumed.mixup_enabled = True
    assert [mixed(batch) for batch in resumed] == on
    tally.count("resumes")


def test_a_loader_without_mixing_cannot_be_told_to_mix(photo_folder, fused):
    loader = imagenet.train(photo_folder, batch_size=6, size=8, device="cpu", mix=None, fused=fused)
    assert not loader.mixup_enabled
    loader.mixup_enabled = False
    with pytest.raises(ValueError, match="mixup_enabled=True given, but the graph has no mixing policy; build the"):
        loader.mixup_enabled = True


def test_threads_dtype_and_format_may_change_between_save_and_load(photo_folder):
    saving = imagenet.train(photo_folder, batch_size=7, size=8, device="cpu", num_threads=1)
    take(saving, 2)
    loading = imagenet.train(
        photo_folder, batch_size=7, size=8, device="cpu", num_threads=2, dtype="float16", channels_last=True
    )
    loading.load_state_dict(saving.state_dict())
    for (images, targets), (half, same) in zip(loading_pair(saving), loading_pair(loading), strict=True):
        torch.testing.assert_close(half.float(), images, rtol=2**-10, atol=1e-6)
        assert torch.equal(targets, same)


def loading_pair(loader):
    return [batch for batch, _ in zip(endless(loader), range(3), strict=False)]


def test_a_state_is_small_and_fit_for_json_and_for_torch(photo_folder, tmp_path):
    loader = imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")
    take(loader, 4)
    saved = loader.state_dict()
    text = json.dumps(saved)
    assert json.loads(text) == saved
    assert len(text) < 8000
    torch.save(saved, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == saved


MISMATCHES = {
    "batch_size": ({"batch_size": 6}, "batch_size: 7 saved, 6 here"),
    "world": ({"shard": (0, 2)}, "world_size: 1 saved, 2 here"),
    "seed": ({"seed": 5}, "shuffle_seed: 0 saved, 5 here"),
    "flip": ({"flip": 0.25}, r"flip: 0.5 saved, 0.25 here"),
    "targets": ({"targets": "pairs"}, r"targets: 'dense' saved, 'pairs' here"),
    "scale": ({"scale": (0.5, 1)}, r"scale: '\(0\.08, 1\.0\)' saved, '\(0\.5, 1\.0\)' here"),
    "ratio": ({"ratio": (1, 1)}, r"ratio: .* saved, '\(1\.0, 1\.0\)' here"),
    "size": ({"size": 9}, r"[( ]size: '8' saved, '9' here"),
    "mix": ({"mix": None}, r"mix: 'CutMix\(alpha=1.0, .*\)' saved, 'None' here"),
    "alpha": (
        {"mix": dc.CutMix(0.5)},
        r"mix: 'CutMix\(alpha=1.0, .*\)' saved, 'CutMix\(alpha=0.5, .*\)' here",
    ),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_state_of_another_loader_is_refused_with_both_values_named(photo_folder, name):
    change, message = MISMATCHES[name]
    options = {"batch_size": 7, "size": 8, "device": "cpu"}
    saved = imagenet.train(photo_folder, **options).state_dict()
    with pytest.raises(ValueError, match=rf"another loader and cannot be continued exactly .*{message}.*Build the"):
        imagenet.train(photo_folder, **(options | change)).load_state_dict(saved)


def test_the_state_of_another_rank_is_refused(photo_folder):
    def make(rank):
        return imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", shard=(rank, 2))

    with pytest.raises(ValueError, match="rank: 0 saved, 1 here"):
        make(1).load_state_dict(make(0).state_dict())


def test_the_state_of_other_files_is_refused(numbered_folder, tmp_path):
    for i in range(10):
        save(Image.new("L", (8, 8)), tmp_path / f"{i:04d}" / "b.jpg")
    saved = label_loader(numbered_folder(10)).state_dict()
    with pytest.raises(ValueError, match=r"\(files: '[0-9a-f]+' saved, '[0-9a-f]+' here\)"):
        label_loader(tmp_path).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"\(\w+: 10 saved, 12 here; files: "):
        label_loader(numbered_folder(12)).load_state_dict(saved)


def test_a_state_of_evaluation_is_refused_by_training(numbered_folder):
    saved = label_loader(numbered_folder(10), shuffle=False).state_dict()
    with pytest.raises(ValueError, match="drop_last: False saved, True here"):
        label_loader(numbered_folder(10)).load_state_dict(saved)


def test_a_state_of_a_graph_with_other_operators_is_refused_and_the_loader_goes_on(photo_folder):
    def make(invert):
        @pipeline_def(batch_size=7, num_threads=1, device_id=None, seed=1)
        def graph():
            jpegs, labels = dc.read_folder(photo_folder)
            images = dc.random_resized_crop(jpegs, 8)
            return dc.normalize(255 - images if invert else images), labels

        return dc.Loader(graph())

    expected, loader = take(make(False), 4), make(False)
    assert take(loader, 2) == expected[:2]
    with pytest.raises(ValueError, match=r"load_state_dict: .*graph with other operators.*DALI says"):
        loader.load_state_dict(make(True).state_dict())
    assert take(loader, 2) == expected[2:]


def test_another_decoder_is_told_with_both_values_and_the_batches_go_on(photo_folder):
    """Pixels depend on the GPU, its nvJPEG and the share of its JPEG engine; order, crops and mixing do not."""

    def make():
        return imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")

    reference = make()
    take(reference, 2)
    saved = reference.state_dict()
    saved["decoder"] = {"gpu": "NVIDIA H100", "nvjpeg": "12.4.0", "hw_decoder_load": 0.65}
    resumed = make()
    message = r"another decoder .*\(gpu: 'NVIDIA H100' saved, None here; nvjpeg: '12\.4\.0' saved, None here; hw_dec"
    with pytest.warns(UserWarning, match=message):
        resumed.load_state_dict(saved)
    assert take(resumed, 2) == take(reference, 2)


@pytest.mark.parametrize("says", [True, False], ids=["same decoder", "state without one"])
def test_the_same_decoder_gives_no_warning(photo_folder, says):
    loader = imagenet.train(photo_folder, batch_size=7, size=8, device="cpu")
    saved = loader.state_dict()
    if not says:
        del saved["decoder"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader.load_state_dict(saved)


@pytest.mark.parametrize("version", [state.VERSION + 1, state.VERSION - 1], ids=["newer", "older"])
def test_a_state_of_another_version_is_refused_with_both_named(numbered_folder, version):
    loader = label_loader(numbered_folder(10))
    other = loader.state_dict() | {"version": version}
    with pytest.raises(
        ValueError,
        match=rf"version {version}, this dali_cutmix reads version {state.VERSION}; use the version",
    ):
        loader.load_state_dict(other)


@pytest.mark.parametrize("thing", [{}, None, {"epoch": 3}, "state"], ids=str)
def test_what_is_no_state_is_refused(numbered_folder, thing):
    with pytest.raises(ValueError, match=r"not a state of a dali_cutmix Loader; give what state_dict\(\) returned"):
        label_loader(numbered_folder(10)).load_state_dict(thing)


# Graphs that no Loader can take


def test_a_batch_larger_than_the_shard_is_refused_before_anything_is_decoded(numbered_folder):
    with pytest.raises(
        ValueError, match=r"batch_size=6 given, but the smallest shard holds 5 samples \(10 in 2 shards"
    ):
        label_loader(numbered_folder(10), 6, shard=(1, 2))


def test_a_graph_without_a_reader_is_refused():
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        return fn.random.uniform()

    with pytest.raises(ValueError, match="the graph has 0 readers; one is needed"):
        dc.Loader(graph())


def test_a_graph_with_two_readers_is_refused(numbered_folder):
    root = str(numbered_folder(10))

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, one = fn.readers.file(file_root=root, pad_last_batch=True, name="one")
        _, two = fn.readers.file(file_root=root, pad_last_batch=True, name="two")
        return one + two

    with pytest.raises(ValueError, match="the graph has 2 readers; one is needed"):
        dc.Loader(graph())


def test_a_reader_without_padding_is_refused(numbered_folder):
    root = str(numbered_folder(10))

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, labels = fn.readers.file(file_root=root, name="mine")
        return labels

    with pytest.raises(ValueError, match="reader 'mine' has pad_last_batch=False.*give it pad_last_batch=True"):
        dc.Loader(graph())


def test_a_built_pipeline_is_refused(numbered_folder):
    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, labels = dc.read_folder(numbered_folder(10))
        return labels

    pipe = graph()
    pipe.build()
    with pytest.raises(ValueError, match="has been built or run already; give it as the function"):
        dc.Loader(pipe)


def test_constants_and_numbers_reach_the_consumer_too(numbered_folder):
    """Outputs without a layout are handed on as they are."""

    @pipeline_def(batch_size=2, num_threads=1, device_id=None)
    def graph():
        _, labels = dc.read_folder(numbered_folder(10), shuffle=False)
        return labels, fn.stack(labels, labels + 1), fn.cast(labels, dtype=types.FLOAT)

    labels, pairs, floats = next(iter(dc.Loader(graph())))
    assert labels.tolist() == [0, 1]
    assert pairs.tolist() == [[0, 1], [1, 2]]
    assert floats.tolist() == [0.0, 1.0]
