"""Several views in one graph: each normalize finds the holes of its own mix, and gives its own output its dtype."""

import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.pipeline import do_not_convert
from PIL import Image

import dali_cutmix as dc
from tests.helpers.images import save

SIZE = 40


@pytest.fixture(scope="module")
def white(tmp_path_factory):
    """Eight white JPEGs in two classes: what is not white in a mixed image is its hole."""
    root = tmp_path_factory.mktemp("white")
    for number in range(8):
        save(Image.new("RGB", (60, 50), (255, 255, 255)), root / "ab"[number % 2] / f"{number}.jpg")
    return root


def loader_of(white, make, batch_size=4, **options):
    """A loader of what ``make(crops, labels)`` returns."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=3, **options)
    def graph():
        jpegs, labels = dc.read_folder(white)
        return make(dc.random_resized_crop(jpegs, SIZE), labels)

    return dc.Loader(graph())


def batches_of(loader, epochs=5):
    return [batch for _ in range(epochs) for batch in loader]


def holes(mixed):
    """The holes of mixed white images, N×3×H×W bool."""
    return (mixed != 255).any(1, keepdim=True).expand(-1, 3, -1, -1)


def test_two_cutouts_each_have_their_own_holes(white):
    def make(crops, labels):
        small, _ = dc.mix(crops, labels, dc.Cutout(0.25, per_sample=True))
        large, _ = dc.mix(crops, labels, dc.Cutout(0.75, per_sample=True))
        return dc.normalize(small), small, dc.normalize(large, channels_last=True), large

    for small, small_levels, large, large_levels in batches_of(loader_of(white, make)):
        assert torch.equal(small == 0, holes(small_levels))
        assert torch.equal(large == 0, holes(large_levels))
        assert holes(small_levels).any()
        assert not torch.equal(small == 0, large == 0)


@pytest.mark.parametrize("first", ["clean", "mixed"])
def test_a_clean_view_has_no_holes_whichever_is_normalized_first(white, first):
    def make(crops, labels):
        mixed, _ = dc.mix(crops, labels, dc.Cutout(0.5))
        outputs = {"clean": crops, "mixed": mixed}
        order = sorted(outputs, key=lambda name: name != first)
        normal = {name: dc.normalize(outputs[name]) for name in order}
        return normal["clean"], normal["mixed"]

    for clean, mixed in batches_of(loader_of(white, make), 1):
        assert (clean != 0).all()
        assert (mixed == 0).any()


def test_two_views_of_two_crops_with_other_sizes_and_policies(white):
    """The example of the issue: two crops of the same files, three outputs."""

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=3)
    def graph():
        jpegs, labels = dc.read_folder(white)
        a = dc.random_resized_crop(jpegs, 64)
        b = dc.random_resized_crop(jpegs, 96, scale=(0.5, 1))
        clean = dc.normalize(b, dtype="bfloat16")
        mixed, t = dc.mix(a, labels, dc.CutMix())
        mixed2, *pairs = dc.mix(b, labels, dc.Cutout(0.5), targets="pairs")
        return clean, dc.normalize(mixed), dc.normalize(mixed2, channels_last=True, dtype="float16"), t, *pairs

    for clean, mixed, cut, dense, labels, lam in dc.Loader(graph()):
        assert (clean.dtype, clean.shape) == (torch.bfloat16, (4, 3, 96, 96))
        assert (mixed.dtype, mixed.shape) == (torch.float32, (4, 3, 64, 64))
        assert (cut.dtype, cut.shape) == (torch.float16, (4, 3, 96, 96))
        assert cut.is_contiguous(memory_format=torch.channels_last)
        assert not (clean == 0).any()
        assert not (mixed == 0).any()
        assert (cut == 0).any()
        assert dense.sum(1).tolist() == [1] * 4
        assert (lam == 1).all()
        assert labels.shape == (4, 2)


BETWEEN = {
    "blur": lambda images: fn.gaussian_blur(images, sigma=0.5),
    "cast": lambda images: fn.cast(fn.cast(images, dtype=types.FLOAT), dtype=types.UINT8),
    "colours": lambda images: fn.color_twist(images, brightness=fn.random.uniform(range=(0.9, 1.0))),
    "arithmetic": lambda images: 255 - images,
    "arithmetic with other images": lambda images: images & fn.cast(fn.zeros_like(images) + 254, dtype=types.UINT8),
    "a function of its own": lambda images: fn.python_function(
        images, function=lambda x: x.copy(), num_outputs=1, output_layouts="HWC"
    ),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_hole_is_found_behind_nodes_of_ones_own(white, name):
    def make(crops, labels):
        mixed, _ = dc.mix(crops, labels, dc.Cutout(0.5))
        return dc.normalize(BETWEEN[name](mixed)), mixed

    for images, mixed in batches_of(loader_of(white, make), 2):
        assert torch.equal(images == 0, holes(mixed))


def test_a_hole_is_found_behind_a_conditional_branch(white):
    read, crop, mix, normalize = map(do_not_convert, (dc.read_folder, dc.random_resized_crop, dc.mix, dc.normalize))

    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=3, enable_conditionals=True)
    def graph():
        jpegs, labels = read(white)
        mixed, _ = mix(crop(jpegs, SIZE), labels, dc.Cutout(0.5, per_sample=True))
        if fn.random.coin_flip(dtype=types.BOOL):
            seen = fn.brightness(mixed, brightness=0.5)
        else:
            seen = fn.brightness(mixed, brightness=0.9)
        return normalize(seen), mixed

    for images, mixed in batches_of(dc.Loader(graph()), 3):
        assert torch.equal(images == 0, holes(mixed))


def test_images_joined_from_two_mixes_are_refused_if_one_makes_holes(white):
    def make(crops, labels):
        one, _ = dc.mix(crops, labels, dc.Cutout(0.5))
        other, _ = dc.mix(crops, labels, dc.CutMix(), name="pasted")
        return dc.normalize(fn.cat(one, other, axis=1))

    with pytest.raises(ValueError, match="normalize: .* mixes 'mix' and 'pasted' given, .* Normalize .* by themselves"):
        loader_of(white, make)


def test_images_joined_from_two_mixes_without_holes_are_normalized(white):
    def make(crops, labels):
        one, other = (dc.mix(crops, labels, dc.CutMix())[0] for _ in range(2))
        return dc.normalize(fn.cat(one, other, axis=1))

    for (images,) in loader_of(white, make):
        assert images.shape == (4, 3, SIZE, 2 * SIZE)


def test_holes_that_a_second_mix_would_move_are_refused(white):
    def make(crops, labels):
        cut, _ = dc.mix(crops, labels, dc.OneOf((dc.Cutout(0.5), None)), name="cut")
        return dc.normalize(dc.mix(fn.brightness(cut), labels, dc.CutMix())[0])

    with pytest.raises(ValueError, match=r"mix: images that come from the mix 'cut' given, .* let Cutout come last"):
        loader_of(white, make)


def test_a_cutout_after_another_mix_has_its_holes(white):
    def make(crops, labels):
        mixed, _ = dc.mix(crops, labels, dc.CutMix())
        cut, _ = dc.mix(mixed, labels, dc.Cutout(0.5))
        return dc.normalize(cut), cut

    for images, cut in loader_of(white, make):
        assert torch.equal(images == 0, holes(cut))
        assert holes(cut).any()


@pytest.mark.parametrize("name", ["", "two words", "a.b", "1st", 3, ["mix"]], ids=repr)
def test_a_name_that_is_none_is_refused(white, name):
    with pytest.raises(ValueError, match=r"mix: name=.* given; it is a name such as 'weak' or 'view_2'"):
        loader_of(white, lambda crops, labels: dc.mix(crops, labels, name=name))


def test_a_name_that_is_taken_is_refused(white):
    def make(crops, labels):
        one, _ = dc.mix(crops, labels)
        return one, dc.mix(crops, labels, name="mix")[0]

    with pytest.raises(ValueError, match="mix: name='mix' given, but another mix of this graph has it; give each its"):
        loader_of(white, make)


def test_mixes_are_named_in_the_order_of_their_calls(white):
    def make(crops, labels):
        names = (None, "mix_3", None, None)
        return tuple(dc.mix(crops, labels, name=name)[0] for name in names)

    assert list(loader_of(white, make).mixes) == ["mix", "mix_3", "mix_4", "mix_5"]


@pytest.mark.parametrize("executor", [{}, {"exec_dynamic": False}], ids=["dynamic", "other"])
def test_only_what_normalize_made_gets_its_dtype(white, executor):
    """Levels beside it stay as they are, and so does what was made of the normalized images and is no image."""

    def make(crops, labels):
        half = dc.normalize(crops, dtype="bfloat16")
        padded = fn.pad(dc.normalize(crops, dtype="bfloat16", channels_last=True), axis_names="HW")
        single = dc.normalize(crops)
        return crops, half, padded, single, fn.reductions.mean(half, axes=(1, 2)), half > 0, labels

    for levels, half, padded, single, means, positive, labels in loader_of(white, make, **executor):
        assert levels.dtype == torch.uint8
        assert half.dtype == padded.dtype == torch.bfloat16
        assert single.dtype == means.dtype == torch.float32
        assert positive.dtype == torch.bool
        assert labels.dtype == torch.int64
        assert torch.equal(half, single.bfloat16())
        assert torch.equal(padded, half)


def test_an_output_of_two_dtypes_is_refused(white):
    def make(crops, labels):
        return labels, fn.cat(dc.normalize(crops), dc.normalize(crops, dtype="bfloat16"), axis=1)

    with pytest.raises(ValueError, match=r"output 1 .* writes as torch.bfloat16 and torch.float32; give them the same"):
        loader_of(white, make)


def test_the_smallest_limit_of_a_graphs_crops_says_what_is_a_bad_file(white):
    """50×60 pixels: the second crop refuses what the first decodes, and the message says so."""

    def make(second):
        @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        def graph():
            jpegs, _ = dc.read_folder(white)
            limits = (10_000, second) if second else (2_999, 10_000)
            return tuple(dc.random_resized_crop(jpegs, 8, max_pixels=limit) for limit in limits)

        return dc.Loader(graph())

    for second in (2_999, None):
        with pytest.raises(dc.DecodeError, match=r"60×50 pixels, more than max_pixels=2999"):
            next(iter(make(second)))
    assert len(list(make(3_000))) == 2


def test_a_view_is_the_same_to_the_bit_as_in_a_graph_of_its_own(white, photo_folder):
    """Oracle: the normalized view computed from its levels by NumPy."""

    def make(crops, labels):
        weak, _ = dc.mix(crops, labels, None)
        strong, targets = dc.mix(crops, labels, dc.CutMix())
        return weak, dc.normalize(weak, mean=10, std=20), strong, dc.normalize(strong, mean=(1, 2, 3), std=5), targets

    for weak, weak_seen, strong, strong_seen, _ in loader_of(photo_folder, make):
        assert np.allclose(weak_seen, (weak.numpy() - 10.0) / 20, atol=1e-5)
        assert np.allclose(strong_seen, (strong.numpy() - np.reshape([1.0, 2, 3], (3, 1, 1))) / 5, atol=1e-5)


def test_a_second_verb_that_reads_is_refused(photo_folder):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        return *dc.read_folder(photo_folder), *dc.read_files(["a.jpg"])[:1]

    with pytest.raises(ValueError, match=r"a graph reads one data set.*crop the same bytes twice.*a Loader each"):
        graph()
