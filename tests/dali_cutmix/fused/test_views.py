"""FusedMix serves several graphs and, with others, several views of one graph; whatever does not fit is refused."""

import gc

import pytest
import torch
from nvidia.dali import pipeline_def

import dali_cutmix as dc
from dali_cutmix.fused.cpu import is_compiled

pytestmark = pytest.mark.skipif(not is_compiled(), reason="dali_cutmix was built without a C++ compiler")

OPTIONS = {"batch_size": 4, "num_threads": 1, "device_id": None, "seed": 1}


def graph_of(root, make):
    """A graph of what ``make(jpegs, labels)`` returns."""

    @pipeline_def(**OPTIONS)
    def graph():
        return make(*dc.read_folder(root))

    return graph()


def one_view(root, finish, decode="region"):
    return graph_of(root, lambda jpegs, labels: finish.inputs(dc.random_crop(jpegs, decode=decode), labels))


def fused(policy=dc.CutMix(), size=24, **options):
    return dc.FusedMix(policy, resample=dc.Resample(size), **options)


def test_one_serves_two_loaders_at_once_that_decode_and_mix_in_their_own_way(photo_folder):
    """One graph gives crops and one whole images with windows; switched off in one, it goes on mixing in the other."""
    finish = fused()
    region = dc.Loader(one_view(photo_folder, finish, "region"), finish=finish)
    whole = dc.Loader(one_view(photo_folder, finish, "whole"), finish=finish)
    expected = list(dc.Loader(one_view(photo_folder, alone := fused()), finish=alone))
    whole.mixup_enabled = False
    assert region.mixup_enabled
    pairs = list(zip(region, whole, expected, strict=True))
    for (images, targets), (_, unmixed), (wanted, wanted_targets) in pairs:
        assert torch.equal(images, wanted)
        assert torch.equal(targets, wanted_targets)
        assert (unmixed.max(1).values == 1).all()
    assert any((targets.max(1).values < 1).any() for (_, targets), *_ in pairs)


def test_one_serves_data_with_different_numbers_of_classes(photo_folder, colour_folder):
    finish = fused()
    four = dc.Loader(one_view(photo_folder, finish), finish=finish)
    twelve = dc.Loader(one_view(colour_folder, finish), finish=finish)
    assert next(iter(four))[1].shape == (4, 4)
    assert next(iter(twelve))[1].shape == (4, 12)


def test_two_make_two_views_that_are_those_of_graphs_of_their_own(photo_folder):
    """Given in any order; what the graph returns besides stays in its place. Oracle: dc.mix with the same draws."""
    a, b = fused(dc.CutMix(), 24), fused(dc.Mixup(), 16, targets="pairs", name="small")

    def views(jpegs, labels):
        crops = dc.random_crop(jpegs)
        return labels, *a.inputs(crops, labels), dc.normalize(dc.padded_crop(jpegs, 8)), *b.inputs(crops, labels)

    def with_dali(jpegs, labels):
        crops = dc.random_resized_crop(jpegs, 24)
        dc.padded_crop(jpegs, 8)  # its draws come between
        return labels, *dc.mix(crops, labels, dc.CutMix())

    for finish in ((a, b), [b, a]):
        loader = dc.Loader(graph_of(photo_folder, views), finish=finish)
        assert loader.mixes == {"mix": True, "small": True}
        unfused = dc.Loader(graph_of(photo_folder, with_dali))
        for batch, (labels, images, targets) in zip(loader, unfused, strict=True):
            assert torch.equal(batch[0], labels)
            assert torch.equal(batch[2], targets)
            assert (batch[1] - dc_normalized(images)).abs().max() < 2 / 57
            assert batch[3].shape == (4, 3, 8, 8)
            assert batch[4].shape == (4, 3, 16, 16)
            assert torch.equal(batch[5][:, 0], labels)
            assert len(batch) == 7


def dc_normalized(levels):
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (dc.IMAGENET_MEAN, dc.IMAGENET_STD))
    return (levels.float() - mean) / std


def test_a_clean_view_beside_a_fused_one(photo_folder):
    finish = fused()

    def views(jpegs, labels):
        clean = dc.normalize(dc.random_resized_crop(jpegs, 16), dtype="bfloat16", channels_last=True)
        return *finish.inputs(dc.random_crop(jpegs, decode="whole"), labels), clean, labels

    for images, targets, clean, labels in dc.Loader(graph_of(photo_folder, views), finish=finish):
        assert images.shape == (4, 3, 24, 24)
        assert targets.shape == (4, 4)
        assert (clean.shape, clean.dtype) == ((4, 3, 16, 16), torch.bfloat16)
        assert clean.is_contiguous(memory_format=torch.channels_last)
        assert labels.shape == (4,)


def test_a_state_is_bound_to_the_size_of_each(photo_folder):
    def make(sizes):
        a, b = (fused(size=size) for size in sizes)

        def views(jpegs, labels):
            crops = dc.random_crop(jpegs)
            return *a.inputs(crops, labels), *b.inputs(crops, labels)

        return dc.Loader(graph_of(photo_folder, views), finish=(a, b))

    saved = make((24, 16)).state_dict()
    make((24, 16)).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"\(size: '24' saved, '32' here\)"):
        make((32, 16)).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"\(crop_2\.size: '16' saved, '32' here\)"):
        make((24, 32)).load_state_dict(saved)


@pytest.mark.parametrize("order", [0, 1])
def test_the_size_is_bound_to_the_crop_that_is_resampled_whichever_comes_first(photo_folder, order):
    finish = fused(size=24)

    def views(jpegs, labels):
        crops = [dc.random_crop, lambda jpegs: dc.random_resized_crop(jpegs, 8)]
        made = {number: crops[number](jpegs) for number in (order, 1 - order)}
        return *finish.inputs(made[0], labels), made[1]

    binding = dc.Loader(graph_of(photo_folder, views), finish=finish).state_dict()["binding"]
    sizes = {name: value for name, value in binding.items() if name in ("size", "crop_2.size")}
    assert sizes == ({"size": "24", "crop_2.size": "8"} if order == 0 else {"size": "8", "crop_2.size": "24"})


def test_twice_in_one_graph_is_refused_in_words_that_help(photo_folder):
    finish = fused()

    def views(jpegs, labels):
        return *finish.inputs(dc.random_crop(jpegs), labels), *finish.inputs(dc.random_crop(jpegs), labels)

    with pytest.raises(
        ValueError, match=r"twice in one graph, .* one for each view .* finish=\(a, b\); or use dc\.mix"
    ):
        graph_of(photo_folder, views)


def test_a_graph_of_a_fused_mix_without_it_is_refused(photo_folder):
    finish, other = fused(), fused()
    for given in (None, other, (), (finish, other), (finish, finish)):
        told = r"finish= has \d FusedMix, but the graph calls inputs\(\) of 1, or of others; give .* finish=\(a, b\)"
        with pytest.raises(ValueError, match=told):
            dc.Loader(one_view(photo_folder, finish), finish=given)
    with pytest.raises(ValueError, match=r"finish= has 1 FusedMix, but the graph calls inputs\(\) of 0"):
        dc.Loader(graph_of(photo_folder, lambda jpegs, labels: labels), finish=finish)


@pytest.mark.parametrize("finish", ["fused", 3, (len, len), [None]], ids=repr)
def test_what_cannot_finish_a_batch_is_refused(photo_folder, finish):
    with pytest.raises(
        ValueError, match=r"finish=.* given; it is a function, or one dc.FusedMix or several in a tuple"
    ):
        dc.Loader(graph_of(photo_folder, lambda jpegs, labels: labels), finish=finish)


@pytest.mark.parametrize("change", [lambda made: made[:-1], lambda made: made[::-1]], ids=["a part", "another order"])
def test_inputs_that_are_not_returned_as_they_are_are_refused(photo_folder, change):
    finish = fused()

    def views(jpegs, labels):
        return change(finish.inputs(dc.random_crop(jpegs), labels))

    with pytest.raises(ValueError, match=r"does not return all that FusedMix.inputs\(\) gave it, .*return \*finish"):
        dc.Loader(graph_of(photo_folder, views), finish=finish)


def test_labels_that_are_no_node_are_refused(photo_folder):
    with pytest.raises(ValueError, match=r"FusedMix: labels=1 given; expected a node of the graph: .*use dc\.mix"):
        graph_of(photo_folder, lambda jpegs, _: fused().inputs(dc.random_crop(jpegs), 1))


def test_a_function_of_ones_own_around_it_works_as_before(photo_folder):
    finish = fused()
    seen = dc.Loader(one_view(photo_folder, finish), finish=lambda *outputs: (*finish(*outputs), torch.zeros(4)))
    plain = dc.Loader(one_view(photo_folder, other := fused()), finish=other)
    for (images, _, extra), (expected, _) in zip(seen, plain, strict=True):
        assert torch.equal(images, expected)
        assert not extra.any()


def test_it_finishes_the_outputs_of_a_pipeline_that_is_gone(photo_folder):
    finish = fused()
    outputs = one_view(photo_folder, finish).run()
    gc.collect()
    images, targets = finish(*outputs)
    assert (images.shape, targets.shape) == ((4, 3, 24, 24), (4, 4))


def test_called_by_ones_own_function_for_graphs_that_differ_it_says_so(photo_folder, colour_folder):
    finish = fused()
    with pytest.raises(RuntimeError, match=r"inputs\(\) was called in 0\. Call inputs\(\) in the graph"):
        finish(None)
    loaders = [
        dc.Loader(one_view(root, finish), finish=lambda *outputs: finish(*outputs))
        for root in (photo_folder, colour_folder)
    ]
    with pytest.raises(RuntimeError, match=r"called in 2, which differ\. .* give the Loader the FusedMix itself"):
        next(iter(loaders[0]))


def test_it_keeps_no_graph_alive(photo_folder):
    finish = fused()
    for _ in range(3):
        loader = dc.Loader(one_view(photo_folder, finish), finish=finish)
        next(iter(loader))
    loader._producer.wait()
    del loader
    gc.collect()
    assert len(finish._views) <= 1
