"""Pipeline options: where and how a pipeline runs."""

import os

import pytest
import torch

import dali_cutmix as dc
from dali_cutmix._dali.pipeline_options import _num_threads


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", "auto", torch.device("cpu")])
def test_without_a_gpu_the_cpu_works(no_gpu, device):
    assert dc.pipeline_options(4, device=device)["device_id"] is None


@pytest.mark.parametrize(
    ("device", "number"),
    [("cuda:0", 0), ("cuda:1", 1), (torch.device("cuda", 1), 1), ("cuda", 1), ("auto", 1), ("cpu", None)],
)
def test_with_gpus_the_named_or_the_current_one_works(two_gpus, device, number):
    assert dc.pipeline_options(4, device=device)["device_id"] == number


@pytest.mark.parametrize("device", ["cuda:0", "cuda", "cuda:3", torch.device("cuda:0")])
def test_a_gpu_that_is_not_there_is_refused(no_gpu, device):
    with pytest.raises(ValueError, match=rf"device='{device}' given, but PyTorch finds no GPU here .*'cpu' or 'auto'"):
        dc.pipeline_options(4, device=device)


def test_a_number_beyond_the_gpus_is_refused(two_gpus):
    with pytest.raises(ValueError, match=r"device='cuda:2' given, but GPUs 0 to 1 are there; use another device"):
        dc.pipeline_options(4, device="cuda:2")


@pytest.mark.parametrize("device", ["gpu", "tpu", "cuda:x", "cuda:-1", "cuda:0:1", "CPU", "", None, 0])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(
        ValueError, match=rf"device='{device}' given; allowed are 'cpu', 'cuda:0', 'cuda:1', … and 'auto'"
    ):
        dc.pipeline_options(4, device=device)


@pytest.mark.parametrize("name", ["batch_size", "num_threads", "prefetch"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "4", 2**31])
def test_counts_are_whole_numbers_that_dali_can_hold(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value!r} given; allowed is a whole number from 1 to 2147483647"):
        dc.pipeline_options(**{"batch_size": 4, name: value})


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", None])
def test_a_seed_is_a_whole_number_of_32_bits(seed):
    with pytest.raises(ValueError, match=rf"seed={seed!r} given; allowed is a whole number from 0 to 2\*\*32 - 1"):
        dc.pipeline_options(4, seed=seed)


@pytest.mark.parametrize("shard", [(1, 1), 3])
def test_an_impossible_shard_is_refused(shard):
    with pytest.raises(ValueError, match=r"shard=.* given; it is \(rank, world_size\)"):
        dc.pipeline_options(4, shard=shard)


def test_every_rank_and_every_seed_draws_numbers_of_its_own():
    seeds = {dc.pipeline_options(4, seed=seed, shard=(rank, 8))["seed"] for seed in range(50) for rank in range(8)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert dc.pipeline_options(4, seed=3, shard=(1, 2))["seed"] == dc.pipeline_options(4, seed=3, shard=(1, 8))["seed"]


@pytest.mark.parametrize(("cores", "processes", "threads"), [(16, "4", 4), (2, "1", 2), (2, "8", 1), (6, None, 6)])
def test_processes_of_one_machine_share_its_cores(monkeypatch, cores, processes, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert _num_threads() == threads
    assert dc.pipeline_options(4, device="cpu")["num_threads"] == threads
    assert dc.pipeline_options(4, device="cpu", num_threads=3)["num_threads"] == 3


def test_batch_and_prefetch_are_handed_on():
    found = dc.pipeline_options(12, device="cpu", prefetch=5)
    assert (found["batch_size"], found["prefetch_queue_depth"]) == (12, 5)
