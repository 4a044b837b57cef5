"""The README's "In your trainer": every example runs as printed, and what it saves resumes bit for bit."""

import contextlib
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from timm.loss import SoftTargetCrossEntropy
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

import dali_cutmix as dc
from tests.helpers import ROOT, tally
from tests.helpers.images import save

TITLES = ["torchvision", "timm", "Lightning", "Accelerate", "A graph of your own"]
LOSSES = (nn.CrossEntropyLoss, SoftTargetCrossEntropy)
SAMPLES, BATCH, EPOCHS = 24, 4, 2
STEPS = SAMPLES // BATCH  # of an epoch

# All that differs from the print, besides the folder in place of /data/imagenet.
SMALLER = {
    "batch_size=256": f"batch_size={BATCH}",
    "size=224": "size=32",
    'get_model("resnet50"': 'get_model("shufflenet_v2_x0_5"',
    'create_model("resnet50"': 'create_model("test_resnet"',
    "90, 80": f"{EPOCHS}, 1",
    "epochs = 90": f"epochs = {EPOCHS}",
    "epochs=90": f"epochs={EPOCHS}",
    "range(90)": f"range({EPOCHS})",
    "5000": "2",
}


@dataclass(frozen=True)
class Step:
    """One step of training: digests of the batch, the samples in it, whether any was mixed with another, the loss."""

    images: str
    targets: str
    samples: tuple[int, ...]
    mixed: bool
    loss: float


class StoppedError(Exception):
    """Ends a run as a kill would: between two steps, and nothing is saved any more."""


def blocks() -> dict[str, list[str]]:
    """The Python blocks below each heading of the README's section."""
    [section] = re.findall(r"^## In your trainer$(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)
    _, *parts = re.split(r"^### (.*)$", section, flags=re.M)
    texts = [re.findall(r"^```python\n(.*?)^```$", part, re.M | re.S) for part in parts[1::2]]
    return dict(zip(parts[::2], texts, strict=True))


@contextlib.contextmanager
def watched(stop_after: int | None) -> Iterator[list[Step]]:
    """What any model in this process is trained on, whoever trains it."""
    steps: list[Step] = []
    images: list[str] = []

    def digest(tensor: torch.Tensor) -> str:
        return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()

    def first_layer(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.training:
            if len(steps) == stop_after:
                raise StoppedError
            images.append(digest(inputs[0]))

    def loss(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if isinstance(module, LOSSES) and torch.is_grad_enabled():
            targets = inputs[1]
            samples = tuple(targets.sum(0).nonzero().flatten().tolist())
            mixed = bool((targets.count_nonzero(1) > 1).any())
            steps.append(Step(images.pop(), digest(targets), samples, mixed, output.item()))

    hooks = [register_module_forward_pre_hook(first_layer), register_module_forward_hook(loss)]
    try:
        yield steps
    finally:
        for hook in hooks:
            hook.remove()


def run(
    title: str,
    data: Path,
    *,
    seed: int = 0,
    stop_after: int | None = None,
    changes: dict[str, str] | None = None,
    names: dict[str, Any] | None = None,
) -> list[Step]:
    """Run the example under ``title`` in the current folder; return its steps, and in ``names`` what it defined."""
    [code] = blocks()[title]
    code = code.replace("/data/imagenet", str(data))
    for printed, small in (SMALLER | (changes or {})).items():
        code = code.replace(printed, small)
    names = {} if names is None else names
    names["__name__"] = "__main__"
    torch.manual_seed(seed)
    try:
        with watched(stop_after) as steps, contextlib.suppress(StoppedError):
            exec(compile(code, title, "exec"), names)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    return steps


@pytest.fixture(scope="module")
def data(tmp_path_factory, photos) -> Path:
    """Crops of photographs, each a class of its own, so that targets name the samples; some of them for validation."""
    root = tmp_path_factory.mktemp("data")
    for i in range(SAMPLES):
        crop = photos[i % 2][12 * i : 12 * i + 90 + i, 20 * i : 20 * i + 140 - i]
        save(crop, root / "train" / f"{i:02d}" / "a.jpg")
        if i < 17:  # of two ranks the first has an empty last batch
            save(crop, root / "val" / f"{i:02d}" / "a.jpg")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """``whole(title)``: the steps of a run from start to end; run once for each title."""
    made: dict[str, list[Step]] = {}

    def steps(title: str) -> list[Step]:
        if title not in made:
            with contextlib.chdir(tmp_path_factory.mktemp("whole")):
                made[title] = run(title, data)
        return made[title]

    return steps


@pytest.fixture(autouse=True)
def on_one_core(monkeypatch):
    """A GPU need not give the same loss twice; threads of a tiny model wait for each other on cores that are shared."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_example_fits_on_a_screen():
    assert list(blocks()) == TITLES
    for title, texts in blocks().items():
        for text in texts:
            assert len(text.splitlines()) <= 60, title


@pytest.mark.parametrize("title", TITLES)
def test_every_example_trains_as_printed(title, whole):
    steps = whole(title)
    assert len(steps) == EPOCHS * STEPS
    assert all(math.isfinite(step.loss) for step in steps)
    assert len({step.images for step in steps}) == len(steps)
    for epoch in range(EPOCHS):
        delivered = [sample for step in steps[epoch * STEPS :][:STEPS] for sample in step.samples]
        tally.assert_none_lost(range(SAMPLES), delivered)
        assert len(delivered) == SAMPLES
    assert any(step.mixed for step in steps[:STEPS])


def test_timm_switches_mixing_off_for_the_last_epochs(whole):
    assert not any(step.mixed for step in whole("timm")[STEPS:])


@pytest.mark.parametrize(
    ("title", "stop_after", "saved"),
    [
        ("torchvision", 8, 6),
        ("timm", 8, 6),
        ("Lightning", 3, 2),
        ("Lightning", 7, 6),
        ("Lightning", 9, 8),
        ("Accelerate", 3, 2),
        ("Accelerate", 7, 6),
        ("Accelerate", 9, 8),
    ],
)
def test_a_stopped_example_started_again_continues_to_the_bit(
    title, stop_after, saved, data, whole, tmp_path, monkeypatch
):
    """From the last checkpoint on: the same batches, and with them the same losses."""
    monkeypatch.chdir(tmp_path)
    assert run(title, data, stop_after=stop_after) == whole(title)[:stop_after]
    assert run(title, data, seed=1) == whole(title)[saved:]
    tally.count("resumes")


def test_lightnings_checkpoint_at_the_end_of_an_epoch_resumes_too(data, whole, tmp_path, monkeypatch):
    """There Lightning itself restores no loader."""
    monkeypatch.chdir(tmp_path)
    changes = {"every_n_train_steps=2": "every_n_epochs=1"}
    assert run("Lightning", data, stop_after=8, changes=changes) == whole("Lightning")[:8]
    assert run("Lightning", data, seed=1, changes=changes) == whole("Lightning")[6:]
    tally.count("resumes")


def test_random_numbers_of_the_users_own_operators_are_in_the_state(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run("A graph of your own", data, names=names)
    trained, fresh = names["loader"], dc.Loader(names["graph"]())
    next(iter(trained))
    fresh.load_state_dict(trained.state_dict())
    for ours, theirs in zip(trained, fresh, strict=True):
        assert all(map(torch.equal, ours, theirs))
    tally.count("resumes")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, data):
    """Of two processes: the steps of whole, stopped and resumed runs with Lightning and Accelerate."""
    folder = tmp_path_factory.mktemp("ranks")
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, __file__, data, folder],
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def main(data: Path, folder: Path) -> None:
    """What each of two processes does."""
    steps = {}
    for title in ("Lightning", "Accelerate"):
        for name, options in {"whole": {}, "stopped": {"stop_after": 5}, "resumed": {"seed": 1}}.items():
            place = folder / title / ("whole" if name == "whole" else "stopped")
            place.mkdir(parents=True, exist_ok=True)
            os.chdir(place)
            run_steps = run(title, data, changes={"L.Trainer(": "L.Trainer(devices=2, "}, **options)
            steps[f"{title} {name}"] = [asdict(step) for step in run_steps]
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(steps))


@pytest.mark.parametrize("title", ["Lightning", "Accelerate"])
def test_two_ranks_share_every_epoch_without_a_sample_twice(title, ranks):
    for epoch in range(EPOCHS):
        half = slice(epoch * STEPS // 2, (epoch + 1) * STEPS // 2)
        delivered = [sample for rank in ranks for step in rank[f"{title} whole"][half] for sample in step["samples"]]
        tally.assert_none_lost(range(SAMPLES), delivered)
        assert len(delivered) == SAMPLES


@pytest.mark.parametrize("title", ["Lightning", "Accelerate"])
def test_two_ranks_continue_each_with_its_own_batches(title, ranks):
    for rank in ranks:
        whole, stopped, resumed = (rank[f"{title} {name}"] for name in ("whole", "stopped", "resumed"))
        assert stopped == whole[:5]
        assert resumed == whole[4:]
    tally.count("resumes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
