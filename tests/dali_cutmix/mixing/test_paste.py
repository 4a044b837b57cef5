"""The custom operator: NumPy, the CUDA source and DALI's own multi_paste all give the same bits."""

import ctypes
import functools
import sys
import types as python_types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nvidia.dali import fn, pipeline_def, types

from dali_cutmix.mixing import paste_operator as paste_module
from dali_cutmix.mixing import plan
from dali_cutmix.mixing.paste_operator import paste, paste_cupy, paste_numpy
from tests.helpers import host_kernel, oracle

FILL = (124, 116, 104)
HOLE = plan.HOLE


# Random batches


@st.composite
def boxes(draw, width, height):
    """Mostly any box; also empty, full, touching corners, and one with its corners crossed."""
    kind = draw(st.sampled_from(["any", "any", "empty", "full", "corner", "crossed"]))
    x = sorted(draw(st.tuples(st.integers(0, width), st.integers(0, width))))
    y = sorted(draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    return {
        "any": (x[0], y[0], x[1], y[1]),
        "empty": (x[0], y[0], x[0], y[1]),
        "full": (0, 0, width, height),
        "corner": (0, y[1], x[0], height),
        "crossed": (x[1], y[1], x[0], y[0]),
    }[kind]


@st.composite
def batches(draw, channels=st.sampled_from([1, 3, 4])):
    """``(images, rows, fill)`` of one random batch."""
    n, height, width, c = (
        draw(st.integers(1, 5)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 50)),
        draw(channels),
    )
    images = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 256, (n, height, width, c), np.uint8)
    weight = st.one_of(st.sampled_from([0, 1, 32767, 32768, 65535, 65536]), st.integers(0, 65536))
    rows = [
        (
            draw(st.one_of(st.integers(0, n - 1), st.just(HOLE))),
            *draw(boxes(width, height)),
            draw(st.integers(0, 1)),
            draw(st.one_of(st.just(0), weight)),
        )
        for _ in range(n)
    ]
    return images, np.array(rows, np.int32), tuple(draw(st.integers(0, 255)) for _ in range(max(c, 3)))


# NumPy


@settings(max_examples=200)
@given(batches())
def test_numpy_pastes_as_the_oracle(batch):
    images, rows, fill = batch
    before = images.copy()
    mixed = paste_numpy(list(images), list(rows), fill)
    assert len(mixed) == len(images)
    assert all(image.dtype == np.uint8 for image in mixed)
    np.testing.assert_array_equal(mixed, oracle.paste(images, rows, fill))
    np.testing.assert_array_equal(images, before, "DALI's own memory was written to")


@given(weight=st.integers(0, 65536), own=st.integers(0, 255), other=st.integers(0, 255))
def test_a_blend_is_the_float_blend_rounded(weight, own, other):
    images = np.array([own, other], np.uint8).reshape(2, 1, 1, 1)
    rows = np.array([(1, 0, 0, 1, 1, 0, weight), (0, 0, 0, 0, 0, 0, 0)], np.int32)
    mixed, untouched = paste_numpy(list(images), list(rows), FILL)
    share = weight / 65536
    assert abs(int(mixed[0, 0, 0]) - (share * own + (1 - share) * other)) <= 0.5
    assert untouched[0, 0, 0] == other


def test_every_extreme_of_a_blend():
    """White by white stays white, at every weight: nothing overflows."""
    images = list(np.full((2, 1, 1, 3), 255, np.uint8))
    for weight in (0, 1, 255, 32767, 32768, 65535, 65536):
        rows = np.array([(1, 0, 0, 1, 1, 0, weight)] * 2, np.int32)
        assert (np.array(paste_numpy(images, list(rows), FILL)) == 255).all()


def test_the_output_is_new_memory():
    images = list(np.zeros((2, 4, 4, 3), np.uint8))
    rows = list(np.zeros((2, 7), np.int32))
    assert not any(np.shares_memory(a, b) for a in paste_numpy(images, rows, FILL) for b in images)


def test_images_that_do_not_lie_one_after_the_other_are_read_right():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 20, 3), np.uint8)[:, ::2, 1:17]
    rows = np.array([(1, 1, 0, 9, 2, 1, 0), (2, 0, 0, 16, 3, 0, 300), (HOLE, 2, 1, 4, 3, 1, 0)], np.int32)
    np.testing.assert_array_equal(paste_numpy(list(images), list(rows), FILL), oracle.paste(images, rows, FILL))


@pytest.mark.parametrize("function", [paste_numpy, paste_cupy])
def test_different_shapes_in_one_batch_are_refused_with_both_named(function, fake_cupy):
    images = [fake_cupy.of(np.zeros(shape, np.uint8)) for shape in ((4, 5, 3), (5, 4, 3))]
    rows = [fake_cupy.of(np.zeros(7, np.int32))] * 2
    with pytest.raises(ValueError, match=r"different shapes .*\(4, 5, 3\), \(5, 4, 3\).*resize or crop before dc.mix"):
        function(images, rows, FILL)


@pytest.mark.parametrize("function", [paste_numpy, paste_cupy])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 4), (1, 4, 5, 3)])
def test_what_is_no_image_is_refused(function, shape, fake_cupy):
    with pytest.raises(ValueError, match=r"shape \(.*\) given; expected height×width×channels, up to 3") as caught:
        function([fake_cupy.of(np.zeros(shape, np.uint8))], [fake_cupy.of(np.zeros(7, np.int32))], FILL)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("function", [paste_numpy, paste_cupy])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.bool_])
def test_images_of_another_type_are_refused_and_not_converted(function, dtype, fake_cupy):
    with pytest.raises(ValueError, match=rf"images of {np.dtype(dtype)} given; expected uint8.*before dc\.normalize"):
        function([fake_cupy.of(np.zeros((4, 5, 3), dtype))], [fake_cupy.of(np.zeros(7, np.int32))], FILL)


# In a graph


def run_graph(images, rows, operator):
    """One run of ``operator(images, rows)`` in a graph."""
    n = len(images)

    @pipeline_def(batch_size=n, num_threads=2, device_id=None)
    def graph():
        pixels = fn.external_source(source=lambda: list(images), layout="HWC", dtype=types.UINT8, ndim=3)
        plans = fn.external_source(source=lambda: list(rows), dtype=types.INT32, ndim=1)
        return operator(pixels, plans)

    pipe = graph()
    pipe.build()
    outputs = pipe.run()
    return outputs[0].as_array() if len(outputs) == 1 else [output.as_array() for output in outputs]


def multi_paste(images, rows):
    """DALI's own operator: the whole own image, then the partner's box on top."""
    height_width = images.shape(dtype=types.INT32)[:2]
    partner, x1, y1, x2, y2 = (rows[i] for i in range(5))
    own = fn.external_source(source=lambda info: np.int32(info.idx_in_batch), batch=False, dtype=types.INT32, ndim=0)
    corner = fn.stack(y1, x1)
    anchors = fn.stack(corner * 0, corner)
    return fn.multi_paste(
        images,
        in_ids=fn.stack(own, partner),
        in_anchors=anchors,
        out_anchors=anchors,
        shapes=fn.stack(height_width, fn.stack(y2 - y1, x2 - x1)),
        output_size=height_width,
        dtype=types.UINT8,
    )


@pytest.mark.parametrize("seed", range(4))
def test_cutmix_is_dalis_own_multi_paste(seed):
    """64 boxes: empty ones, full ones, all four corners, and random ones."""
    rng = np.random.default_rng(seed)
    height, width, n = 30 + seed, 50 - seed, 16
    special = [(0, 0, 0, 0), (7, 0, 7, 9), (3, 4, 9, 4), (0, 0, width, height)]
    special += [
        (0, 0, 5, 6),
        (width - 5, 0, width, 6),
        (0, height - 6, 5, height),
        (width - 5, height - 6, width, height),
    ]
    random = np.stack([*np.sort(rng.integers(0, [[width], [height]], (8, 2, 2)), 2).transpose(2, 0, 1)], 1).reshape(
        8, 4
    )
    rows = np.zeros((n, 7), np.int32)
    rows[:, 0] = rng.permutation(n)
    rows[:, 1:5] = np.concatenate([special, random])
    images = rng.integers(0, 256, (n, height, width, 3), np.uint8)
    dalis, ours = run_graph(images, rows, lambda x, plans: (multi_paste(x, plans), paste(x, plans, FILL)))
    np.testing.assert_array_equal(ours, dalis)
    assert (ours != images).any(), "something was pasted"


def test_the_operator_in_a_graph_is_the_numpy_function_and_keeps_the_layout():
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (3, 8, 9, 3), np.uint8)
    rows = np.array([(2, 1, 1, 8, 7, 1, 0), (HOLE, 0, 2, 4, 8, 0, 0), (0, 0, 0, 9, 8, 1, 20000)], np.int32)
    layouts = []

    def operator(x, plans):
        mixed = paste(x, plans, FILL)
        layouts.append(mixed)
        return mixed, fn.crop_mirror_normalize(mixed, output_layout="HWC", dtype=types.FLOAT)

    mixed, floats = run_graph(images, rows, operator)
    np.testing.assert_array_equal(mixed, oracle.paste(images, rows, FILL))
    np.testing.assert_array_equal(floats, mixed.astype(np.float32))


# The CUDA source, on the CPU


@pytest.fixture(scope="session")
def launch(tmp_path_factory):
    if host_kernel.compiler() is None:
        pytest.skip("needs a C++ compiler (g++ or clang++) to run paste.cu on the CPU")
    return host_kernel.build_paste(tmp_path_factory.mktemp("paste_cu"))


def run_kernel(launch, images, rows, fill, threads):
    n, height, width, channels = images.shape
    pointers = np.array([array.ctypes.data for array in (*images, *rows)], np.uint64)
    out = np.full((n, height, width, channels), 77, np.uint8)
    fill4 = host_kernel.Uchar4(*(*fill, 0, 0, 0)[:4])
    blocks = -(-height * width // threads)
    address = out.ctypes.data
    launch(blocks, n, threads, pointers.ctypes.data, n, height, width, channels, fill4, address)
    return out


@settings(max_examples=300)
@given(batch=batches(), threads=st.sampled_from([1, 32, 256]))
def test_the_cuda_source_gives_the_bits_of_numpy(launch, batch, threads):
    images, rows, fill = batch
    on_the_cpu = paste_numpy(list(images), list(rows), fill)
    np.testing.assert_array_equal(run_kernel(launch, images, rows, fill, threads), on_the_cpu)


def test_the_cuda_source_blends_every_pair_of_levels_as_numpy_does(launch):
    """All 256 × 256 pairs of levels at 9 weights."""
    own, other = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    images = np.stack([own, other])[..., None]
    for weight in (0, 1, 2, 255, 21845, 32768, 43691, 65535, 65536):
        rows = np.array([(1, 0, 0, 256, 256, 0, weight), (0, 0, 0, 256, 256, 0, 65536 - weight)], np.int32)
        expected = paste_numpy(list(images), list(rows), FILL)
        np.testing.assert_array_equal(run_kernel(launch, images, rows, FILL, 256), expected)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_cuda_source_compiles_for_gpus(architecture):
    cubin = host_kernel.compile_for_gpu("paste", architecture)
    assert cubin.startswith(b"\x7fELF")
    assert b"paste" in cubin, "the kernel's name is not mangled"


# The launch, with a CuPy that is none


class FakeArray(np.ndarray):
    """A NumPy array with CuPy's ``data.ptr``; ``to_host`` counts what would synchronize."""

    @property
    def data(self):
        return python_types.SimpleNamespace(ptr=self.ctypes.data)


class FakeCupy(python_types.ModuleType):
    """As much of CuPy as a launch needs; kernels run on the CPU, and every launch is noted."""

    def __init__(self, launch):
        super().__init__("cupy")
        self.launch, self.launches, self.sources = launch, [], []
        self.uint8 = np.uint8

    @staticmethod
    def of(array):
        return np.ascontiguousarray(array).view(FakeArray)

    def empty(self, shape, dtype):
        return self.of(np.full(shape, 77, dtype))

    def asarray(self, array):
        return self.of(array)

    def RawKernel(self, source, name, **_):  # noqa: N802
        self.sources.append((source, name))
        return functools.partial(self._run)

    def _run(self, grid, block, arguments):
        self.launches.append((grid, block))
        pointers, n, height, width, channels, fill, out = arguments
        assert all(number.dtype == np.int32 for number in (n, height, width, channels)), "the kernel takes C ints"
        assert pointers.dtype == np.uint64
        assert fill.nbytes == 4, "uchar4"
        fill4 = host_kernel.Uchar4.from_buffer_copy(fill.tobytes())
        sizes = (int(n), int(height), int(width), int(channels))
        assert len(grid) == 2
        assert len(block) == 1
        self.launch(*grid, *block, pointers.data.ptr, *sizes, fill4, ctypes.c_void_p(out.data.ptr))


@pytest.fixture
def fake_cupy(launch, monkeypatch):
    module = FakeCupy(launch)
    monkeypatch.setitem(sys.modules, "cupy", module)
    paste_module._kernel.cache_clear()
    yield module
    paste_module._kernel.cache_clear()


@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 3), (5, 7, 1), (16, 16, 3), (33, 47, 3), (20, 30, 4)])
def test_one_launch_covers_the_batch_and_gives_the_bits_of_numpy(fake_cupy, height, width, channels):
    rng = np.random.default_rng(height)
    n, fill = 5, (1, 2, 3, 4)[: max(3, channels)]
    images = rng.integers(0, 256, (n, height, width, channels), np.uint8)
    rows = np.zeros((n, 7), np.int32)
    rows[:, 0] = [3, 0, HOLE, 1, 2]
    rows[:, 1:5] = [0, height // 3, width, height]
    rows[:, 5] = [1, 0, 1, 1, 0]
    rows[:, 6] = [0, 30000, 0, 65536, 1]
    mixed = paste_cupy([fake_cupy.of(x) for x in images], [fake_cupy.of(x) for x in rows], fill)
    assert len(fake_cupy.launches) == 1
    assert len(mixed) == n
    np.testing.assert_array_equal(np.array(mixed), paste_numpy(list(images), list(rows), fill))
    assert fake_cupy.sources == [(host_kernel.source("paste"), "paste")]


def test_the_kernel_is_compiled_once(fake_cupy):
    image, row = fake_cupy.of(np.zeros((2, 2, 3), np.uint8)), fake_cupy.of(np.zeros(7, np.int32))
    for _ in range(3):
        paste_cupy([image], [row], FILL)
    assert len(fake_cupy.sources) == 1
    assert len(fake_cupy.launches) == 3
