"""Loaders measured in processes of their own: their rates and batches, and CPU time that others use."""

import itertools
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.common.timing import cpu_time
from bench.common.timing.cpu_time import group_seconds, machine_seconds, wait_until_quiet
from bench.loaders.command import loaders
from bench.loaders.contenders import CONTENDERS, PREFETCH, Contender, Settings
from bench.loaders.process.child import describe, measure

SETTINGS = Settings(Path(), 100, 3, 8, batch_size=10, threads=2, device="cpu", cache=Path())


def prepared_then_slow(prepared, pause):
    for number in itertools.count():
        if number >= prepared:
            time.sleep(pause)
        yield None


@pytest.mark.parametrize("processes", [False, True])
def test_batches_prepared_while_idle_do_not_count(processes):
    contender = Contender("fake", "Fake", "fake:batches", (), mixes=False, processes=processes)
    ahead = contender.prepared(SETTINGS)
    rate = measure(prepared_then_slow(ahead, 0.02), contender, SETTINGS, seconds=0.3)
    assert rate.images_per_second == pytest.approx(10 / 0.02, rel=0.25)
    assert rate.images_per_second <= 10 / 0.02
    assert rate.seconds >= 0.3


def test_rates_of_worker_processes_are_over_whole_bursts():
    contender = Contender("fake", "Fake", "fake:batches", (), mixes=False, processes=True)
    assert contender.prepared(SETTINGS) >= PREFETCH * SETTINGS.threads
    rate = measure(prepared_then_slow(0, 0.01), contender, SETTINGS, seconds=0.05)
    assert rate.batches % SETTINGS.threads == 0


def test_names_are_unique_and_options_of_the_command_line():
    names = [contender.name for contender in CONTENDERS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and " " not in name for name in names)
    assert all(name in (loaders.__doc__ or "") for name in names)


def test_odd_batches_are_not_given_to_a_loader_that_needs_even_ones():
    odd = Settings(Path(), 100, 3, 8, batch_size=5, threads=2, device="cuda:0", cache=Path(), packed=Path())
    assert [c.name for c in CONTENDERS if c.unfit_reason(odd)] == ["timm"]
    assert [c.name for c in CONTENDERS if c.unfit_reason(replace(SETTINGS, device="cuda:0"))] == [
        "ours-packed",
        "ffcv-packed",
    ]


def test_describe_tells_a_mixture_from_a_label():
    images = torch.zeros(2, 3, 8, 8)
    mixed = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    assert describe([(images, mixed)], 2)["mixed"]
    assert not describe([(images, torch.eye(2))], 2)["mixed"]
    assert not describe([(images, torch.tensor([0, 1]))], 2)["mixed"]
    assert describe([None], 2) == {}
    last = images.to(memory_format=torch.channels_last)
    assert describe([(last, torch.eye(2))], 2)["layout"] == "NHWC"


@pytest.mark.parametrize(
    ("images", "targets", "says"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.eye(2), "uint8"),
        (torch.zeros(2, 8, 8, 3), torch.eye(2), r"\(2, 8, 8, 3\)"),
        (torch.zeros(3, 3, 8, 8), torch.eye(3), "wanted 2×3"),
        (torch.zeros(2, 3, 8, 8), torch.ones(2, 2), "do not sum to 1"),
    ],
)
def test_describe_refuses_what_is_not_comparable(images, targets, says):
    with pytest.raises(RuntimeError, match=says):
        describe([(images, targets)], 2)


def test_describe_refuses_another_type_than_the_contender_is_to_give():
    half = torch.zeros(2, 3, 8, 8, dtype=torch.float16)
    assert describe([(half, torch.eye(2))], 2, "float16")["dtype"] == "float16"
    with pytest.raises(RuntimeError, match="float16; wanted 2×3×H×W float32"):
        describe([(half, torch.eye(2))], 2)
    with pytest.raises(RuntimeError, match="float32; wanted 2×3×H×W float16"):
        describe([(half.float(), torch.eye(2))], 2, "float16")


def test_one_tick_of_cpu_time_is_quiet(monkeypatch):
    """CPU time is counted in ticks: one of them is more than the share of a short wait."""
    ticks = itertools.count()
    monkeypatch.setattr(cpu_time, "group_seconds", lambda *_: 3.07 + next(ticks) / 100)
    assert cpu_time.wait_until_quiet([1], limit=0.3)
    twice = itertools.count()
    monkeypatch.setattr(cpu_time, "group_seconds", lambda *_: 3.07 + 2 * next(twice) / 100)
    assert not cpu_time.wait_until_quiet([1], limit=0.3)


def test_quiet_means_that_a_group_uses_no_cpu():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"], process_group=0)
    try:
        assert not wait_until_quiet([busy.pid], limit=0.7)
        before, machine = group_seconds(busy.pid), machine_seconds()
        time.sleep(0.3)
        assert group_seconds(busy.pid) > before
        assert machine_seconds() > machine
    finally:
        busy.kill()
        busy.wait()
    assert wait_until_quiet([busy.pid], limit=2)
    assert wait_until_quiet([])
    assert group_seconds(os.getpgrp()) > 0
