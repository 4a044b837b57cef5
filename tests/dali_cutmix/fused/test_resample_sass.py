"""The fused pass's machine code for an H100, executed without one: what it costs, what it makes, what it reads."""

import numpy as np
import pytest
import torch

import dali_cutmix as dc
from dali_cutmix.fused import cuda
from dali_cutmix.fused.batch_layout import DTYPES, sample_table
from dali_cutmix.fused.cpu import CpuKernel, is_compiled
from dali_cutmix.mixing.plan import make_plan
from tests.helpers import host_kernel, sass
from tests.helpers.resampling import format_of

pytestmark = [
    pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler"),
    pytest.mark.skipif(not (sass.tool("nvdisasm") and sass.tool("cuobjdump")), reason="needs nvdisasm and cuobjdump"),
]

KNOWN = [(12, 9), (13, 0)]
SIZE = 224
POLICIES = {"no mixing": None, "CutMix": dc.CutMix()}
FORMATS = {"float16, NHWC": (torch.float16, True), "float32, NCHW": (torch.float32, False)}
BLOCKS = 8
"""Of a batch that are executed."""
FIRST = {
    ("no mixing", "float16, NHWC"): 3074,
    ("CutMix", "float16, NHWC"): 3592,
    ("no mixing", "float32, NCHW"): 3032,
    ("CutMix", "float32, NCHW"): 3550,
}
"""Warp instructions for a row of 224 output pixels of the kernel as it first was (commit 9d0c67f), with NVRTC 13.0:
measured by ``execute`` below, as now, in 100 blocks (of 8 rows and 224 columns) of the batch of 64 below."""


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """``build(*macros)``: a file with the machine code."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    if (version := nvrtc.nvrtcVersion()[1:]) not in KNOWN:
        pytest.skip(f"sass.py knows the machine code of NVRTC 12.9 and 13.0; installed is {version}")

    def build(*macros):
        path = tmp_path_factory.mktemp("resample_sass") / "resample.cubin"
        path.write_bytes(host_kernel.compile_for_gpu("resample", "sm_90", *macros))
        return path

    return build


@pytest.fixture(scope="session")
def cubin(build):
    return build("COLUMNS=224")


def photographs(n, policy, size, seed=0):
    """Crops as random_resized_crop takes them of photographs (8 to 100 % of the area, 3:4 to 4:3), and a plan."""
    random = np.random.default_rng(seed)
    crops = []
    while len(crops) < n:
        height, width = [(375, 500), (500, 375), (333, 500), (500, 333)][random.integers(4)]
        area, aspect = height * width * random.uniform(0.08, 1), np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
        sides = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
        if sides[0] <= height and sides[1] <= width:
            crops.append(random.integers(0, 256, (*sides, 3), dtype=np.uint8))
    draws = [random.beta(1, 1, n)] if policy else []
    return crops, make_plan(policy, 0.5, size, size, random.permutation(n), random.random((n, 5)), *draws).rows


def execute(cubin, crops, plan, how, blocks=None):
    """The batch, NaN where no block of those wrote, and the machine; blocks chosen at random, or all of them."""
    samples, memory = sample_table(crops, plan), sass.Memory()
    samples["pixels"] = [memory.put(crop, offset=i % 16) for i, crop in enumerate(crops)]
    out = np.full(how.bytes(len(crops)), 255, np.uint8)
    rows, images = memory.put(samples), memory.put(out)
    columns = -(-how.size // cuda.MOST_THREADS)
    threads = 32 * -(-how.size // (32 * columns))
    grid = columns, -(-how.size // cuda.ROWS), len(crops)
    every = list(np.ndindex(grid))
    if blocks is not None:
        every = [every[i] for i in np.random.default_rng(3).choice(len(every), blocks, replace=False)]
    machine = sass.Machine(cubin, memory)
    integers = map(np.int32, (how.size, DTYPES[how.dtype], how.channels_last))
    arguments = np.uint64(rows), np.uint64(images), *integers, *map(np.float32, (*how.scale, *how.shift))
    machine.launch(grid, threads, arguments, every)
    return how.view(torch.from_numpy(memory.get(out).copy()), len(crops)).double(), machine


def assert_equal(images, crops, plan, how):
    """Where blocks wrote, what the CPU makes, to one unit of the output's type."""
    expected, wrote = CpuKernel(how, 1)(sample_table(crops, plan)).double(), ~images.isnan()
    unit = 1e-5 if how.dtype == torch.float32 else torch.finfo(how.dtype).eps * expected.abs().clamp(min=1)
    assert (((images - expected).abs() <= unit) | ~wrote).all()
    return wrote.double().mean().item()


@pytest.mark.parametrize(("mixing", "form"), FIRST)
def test_a_row_takes_at_most_half_of_the_instructions_that_it_first_took(cubin, mixing, form):
    crops, plan = photographs(64, POLICIES[mixing], SIZE)
    how = format_of(SIZE, *FORMATS[form])
    images, machine = execute(cubin, crops, plan, how, BLOCKS)
    rows = len(crops) * SIZE * assert_equal(images, crops, plan, how)
    assert machine.count / rows <= FIRST[mixing, form] / 2
    assert max(machine.cycles, key=machine.cycles.get) == "issue", "a narrower pipe takes longer"


@pytest.mark.parametrize("columns", [128, 224])
def test_its_blocks_fill_half_of_the_warps_of_an_h100(build, columns):
    needs = sass.resources(build(f"COLUMNS={columns}"))
    assert needs.occupancy(columns) >= 0.5
    assert needs.spilled == 0


def test_each_launch_is_compiled_for_its_number_of_threads(monkeypatch):
    """So that small blocks take no more shared memory than they need."""
    cupy = pytest.importorskip("cupy")
    monkeypatch.setattr(cupy, "RawKernel", lambda source, name: (source, name))
    source, name = cuda._kernel.__wrapped__(160)
    assert source == "#define COLUMNS 160\n" + host_kernel.source("resample")
    assert name == "resample_and_mix"


@pytest.mark.parametrize("dtype", list(DTYPES), ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_machine_code_makes_what_the_cpu_makes(cubin, dtype, channels_last):
    """In rows that don't end at whole words, from crops that begin and end anywhere: no word beyond them is read."""
    random = np.random.default_rng(0)
    crops = [random.integers(0, 256, (*sides, 3), dtype=np.uint8) for sides in [(1, 1), (37, 50), (20, 9), (80, 61)]]
    plan = np.array(
        [(1, 5, 6, 30, 20, 0, 0), (3, 0, 0, 33, 33, 1, 30000), (-1, 0, 2, 9, 33, 1, 0), (2, 0, 0, 33, 40, 0, 0)]
    )
    how = format_of(33, dtype, channels_last)
    images, _ = execute(cubin, crops, plan.astype(np.int32), how)
    assert assert_equal(images, crops, plan.astype(np.int32), how) == 1


def test_the_machine_code_takes_large_crops_in_parts(cubin):
    crops = [np.random.default_rng(0).integers(0, 256, (300, 700, 3), dtype=np.uint8)]
    how, plan = format_of(33, torch.float16, True), np.array([(0, 3, 0, 20, 9, 1, 0)], np.int32)
    images, _ = execute(cubin, crops, plan, how, blocks=1)
    assert assert_equal(images, crops, plan, how) > 0
