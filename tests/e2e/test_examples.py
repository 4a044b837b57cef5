"""Every file of examples/ trains as it is, and what it saves resumes bit for bit."""

import ast
import contextlib
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from timm.loss import SoftTargetCrossEntropy
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

import dali_cutmix as dc
from tests.helpers import ROOT, tally
from tests.helpers.images import save

LOSSES = (nn.CrossEntropyLoss, SoftTargetCrossEntropy)
SAMPLES, BATCH, EPOCHS = 24, 4, 2
STEPS = SAMPLES // BATCH  # of an epoch
VALIDATED = 17  # of two ranks the first has an empty last batch
TRANSFORMERS = "transformers_resnet50"

SMALL = f"--size 32 --batch-size {BATCH} --epochs {EPOCHS}"
TORCHVISION, TIMM = f"{SMALL} --model shufflenet_v2_x0_5", f"{SMALL} --model test_resnet"
ARGUMENTS = {
    "torchvision_resnet50": TORCHVISION,
    "timm_resnet50": f"{TIMM} --mixup-off-epoch 1",
    "lightning_resnet50": f"{TORCHVISION} --checkpoint-every 2",
    "accelerate_resnet50": f"{TORCHVISION} --checkpoint-every 2",
    TRANSFORMERS: f"{TORCHVISION} --checkpoint-every 2",
    "custom_graph": TORCHVISION,
}
"""Options of each example that make it small, besides the folder."""


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


def path_of(example: str) -> Path:
    return ROOT / "examples" / f"{example}.py"


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
    example: str,
    data: Path,
    more: str = "",
    *,
    seed: int = 0,
    stop_after: int | None = None,
    names: dict[str, Any] | None = None,
) -> list[Step]:
    """Run an example in the current folder; return its steps, and in ``names`` what it defined.

    Args:
        more: options besides ``ARGUMENTS``; of two values the last one counts.
    """
    path = path_of(example)
    names = {} if names is None else names
    names["__name__"] = "__main__"
    names["__doc__"] = None
    arguments = f"{ARGUMENTS[example]} {more}".split()
    torch.manual_seed(seed)
    try:
        with pytest.MonkeyPatch.context() as patch, watched(stop_after) as steps, contextlib.suppress(StoppedError):
            patch.setattr(sys, "argv", [str(path), str(data), *arguments])
            exec(compile(path.read_text(), path, "exec"), names)
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
        if i < VALIDATED:
            save(crop, root / "val" / f"{i:02d}" / "a.jpg")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """``whole(example)``: the steps of a run from start to end; run once for each example."""
    made: dict[str, list[Step]] = {}

    def steps(example: str) -> list[Step]:
        if example not in made:
            with contextlib.chdir(tmp_path_factory.mktemp("whole")):
                made[example] = run(example, data)
        return made[example]

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


def test_every_example_is_run_here():
    assert {path_of(example) for example in ARGUMENTS} == set((ROOT / "examples").iterdir()) - {path_of("__pycache__")}


@pytest.mark.parametrize("example", ARGUMENTS)
def test_every_example_fits_on_a_screen(example):
    """Besides the docstring, which says how to run it, comments and the command line."""
    parsed = ast.parse(text := path_of(example).read_text())
    assert f"python -m examples.{example} " in (ast.get_docstring(parsed) or "")
    code = text.splitlines()[parsed.body[0].end_lineno :]
    assert len([line for line in code if not line.startswith(("#", "parser", "args ="))]) <= 64


@pytest.mark.parametrize("example", ARGUMENTS)
def test_every_example_trains_as_it_is(example, whole):
    steps = whole(example)
    assert len(steps) == EPOCHS * STEPS
    assert all(math.isfinite(step.loss) for step in steps)
    assert len({step.images for step in steps}) == len(steps)
    for epoch in range(EPOCHS):
        delivered = [sample for step in steps[epoch * STEPS :][:STEPS] for sample in step.samples]
        tally.assert_none_lost(range(SAMPLES), delivered)
        assert len(delivered) == SAMPLES
    assert any(step.mixed for step in steps[:STEPS])


def test_timm_switches_mixing_off_for_the_last_epochs(whole):
    assert not any(step.mixed for step in whole("timm_resnet50")[STEPS:])


@pytest.mark.parametrize(
    ("example", "stop_after", "saved"),
    [
        ("torchvision_resnet50", 8, 6),
        ("timm_resnet50", 8, 6),
        ("lightning_resnet50", 3, 2),
        ("lightning_resnet50", 7, 6),
        ("lightning_resnet50", 9, 8),
        ("accelerate_resnet50", 3, 2),
        ("accelerate_resnet50", 7, 6),
        ("accelerate_resnet50", 9, 8),
        (TRANSFORMERS, 3, 2),
        (TRANSFORMERS, 7, 6),
        (TRANSFORMERS, 9, 8),
    ],
)
def test_a_stopped_example_started_again_continues_to_the_bit(
    example, stop_after, saved, data, whole, tmp_path, monkeypatch
):
    """From the last checkpoint on: the same batches, and with them the same losses."""
    monkeypatch.chdir(tmp_path)
    assert run(example, data, stop_after=stop_after) == whole(example)[:stop_after]
    assert run(example, data, seed=1) == whole(example)[saved:]
    tally.count("resumes")


def test_lightnings_checkpoint_at_the_end_of_an_epoch_resumes_too(data, whole, tmp_path, monkeypatch):
    """There Lightning itself restores no loader."""
    monkeypatch.chdir(tmp_path)
    example, at_the_end = "lightning_resnet50", "--checkpoint-every 0"
    assert run(example, data, at_the_end, stop_after=8) == whole(example)[:8]
    assert run(example, data, at_the_end, seed=1) == whole(example)[6:]
    tally.count("resumes")


def test_random_numbers_of_the_users_own_operators_are_in_the_state(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run("custom_graph", data, names=names)
    trained, fresh = names["loader"], dc.Loader(names["graph"]())
    next(iter(trained))
    fresh.load_state_dict(trained.state_dict())
    rest = list(fresh)
    assert len(rest) == len(fresh) - 1
    for ours, theirs in zip(trained, rest, strict=False):
        assert all(map(torch.equal, ours, theirs))
    tally.count("resumes")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, data):
    """Of two processes: the steps of whole, stopped and resumed runs, and what is counted in an evaluation."""
    folder = tmp_path_factory.mktemp("ranks")
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, __file__, data, folder],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "ACCELERATE_USE_CPU": "true",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def evaluate_with_accelerate(accelerator: Accelerator, val: dc.Loader) -> dict[str, list[int]]:
    """Labels that the two recipes of docs/trainers.md gather."""
    objects: list[int] = []
    padded: list[int] = []
    for _, labels in val:
        objects += accelerator.gather_for_metrics(labels.tolist(), use_gather_object=True)
    for _, labels in val:
        gathered = accelerator.gather_for_metrics(accelerator.pad_across_processes(labels, pad_index=-1))
        padded += gathered[gathered >= 0].tolist()
    return {"objects": objects, "padded": padded}


def main(data: Path, folder: Path) -> None:
    """What each of two processes does."""
    steps: dict[str, Any] = {}
    for example, more in {"lightning_resnet50": "--devices 2", "accelerate_resnet50": "", TRANSFORMERS: ""}.items():
        for name, options in {"whole": {}, "stopped": {"stop_after": 5}, "resumed": {"seed": 1}}.items():
            place = folder / example / ("whole" if name == "whole" else "stopped")
            place.mkdir(parents=True, exist_ok=True)
            os.chdir(place)
            names: dict[str, Any] = {}
            steps[f"{example} {name}"] = [asdict(step) for step in run(example, data, more, names=names, **options)]
    accelerator, trainer = Accelerator(), names["trainer"]  # run() has reset the state that Accelerate shares
    trainer.compute_metrics = lambda prediction: {"labels": prediction.label_ids.tolist()}
    steps["evaluated by Trainer"] = trainer.evaluate()["eval_labels"]
    steps["evaluated by Accelerate"] = evaluate_with_accelerate(accelerator, names["val"])
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(steps))


@pytest.mark.parametrize("example", ["lightning_resnet50", "accelerate_resnet50", TRANSFORMERS])
def test_two_ranks_share_every_epoch_without_a_sample_twice(example, ranks):
    for epoch in range(EPOCHS):
        half = slice(epoch * STEPS // 2, (epoch + 1) * STEPS // 2)
        delivered = [sample for rank in ranks for step in rank[f"{example} whole"][half] for sample in step["samples"]]
        tally.assert_none_lost(range(SAMPLES), delivered)
        assert len(delivered) == SAMPLES


@pytest.mark.parametrize("example", ["lightning_resnet50", "accelerate_resnet50", TRANSFORMERS])
def test_two_ranks_continue_each_with_its_own_batches(example, ranks):
    for rank in ranks:
        whole, stopped, resumed = (rank[f"{example} {name}"] for name in ("whole", "stopped", "resumed"))
        assert stopped == whole[:5]
        assert resumed == whole[4:]
    tally.count("resumes")


def test_an_evaluation_on_two_ranks_whose_last_batches_differ_counts_every_sample_once(ranks):
    for rank in ranks:
        counted = [label for label in rank["evaluated by Trainer"] if label >= 0]
        for labels in (counted, *rank["evaluated by Accelerate"].values()):
            assert sorted(labels) == list(range(VALIDATED))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
