"""A loader resumes bit for bit from any position: a state is where the consumer stands, small and fit for JSON."""

import json
import re
import subprocess
import sys

import pytest
import torch

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import ROOT, tally
from tests.helpers.edited_states import as_version_2
from tests.helpers.loaders import bits, endless, epoch_of, flat, label_loader, take

POLICIES = [
    dc.CutMix(),
    dc.CutMix(probability=0.5, per_sample=True),
    dc.Mixup(0.2),
    dc.Cutout(per_sample=True),
    dc.OneOf((dc.CutMix(), dc.Mixup(), dc.Cutout(), None), (3, 2, 1, 1)),
    None,
]


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


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (dc.CutMix(alpha=1), "CutMix(alpha=1, probability=1.0, per_sample=False)"),
        (dc.CutMix(alpha=0.2), "CutMix(alpha=np.float64(0.2), probability=1, per_sample=False)"),
        (
            dc.OneOf((dc.Mixup(2), None), (3, 1)),
            "OneOf(policies=(Mixup(alpha=2, probability=1.0, per_sample=False), None), weights=(3, 1))",
        ),
    ],
    ids=["whole", "numpy", "weights"],
)
def test_a_state_of_a_policy_that_kept_its_numbers_as_given_loads(photo_folder, policy, text):
    def make(mix):
        return imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", mix=mix)

    loader = make(policy)
    take(loader, 1)
    saved = as_version_2(loader.state_dict())
    saved["binding"]["mix"] = text
    resumed = make(policy)
    resumed.load_state_dict(saved)
    assert take(resumed, 2) == take(loader, 2)
    with pytest.raises(ValueError, match=f"mix: '{re.escape(text)}' saved, 'CutMix"):
        make(dc.CutMix(alpha=10)).load_state_dict(saved)


def test_a_state_belongs_to_all_ways_to_write_its_policy(photo_folder):
    def make(mix):
        return imagenet.train(photo_folder, batch_size=4, size=8, device="cpu", mix=mix)

    make(dc.CutMix(alpha=1.0)).load_state_dict(make(dc.CutMix(alpha=1)).state_dict())
