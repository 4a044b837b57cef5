"""Graphs that no Loader can take are refused before anything is decoded."""

import re

import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers.loaders import label_loader, take


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


def mixed_graph(root):
    @pipeline_def(batch_size=4, num_threads=1, device_id=None, seed=3)
    def graph():
        jpegs, labels = dc.read_folder(root)
        images, targets = dc.mix(dc.random_resized_crop(jpegs, 8), labels, dc.CutMix(), name="only")
        return dc.normalize(images), targets

    return graph


def test_a_graph_that_was_not_called_is_refused_with_the_call_to_write(photo_folder):
    message = r"Loader: pipeline=<function .*> given; allowed is a DALI pipeline, .*: call the function first: "
    with pytest.raises(ValueError, match=message + r"dc\.Loader\(graph\(\)\)\."):
        dc.Loader(mixed_graph(photo_folder))


@pytest.mark.parametrize("given", [None, 3, "/data/train", [], {"graph": 1}], ids=str)
def test_what_is_no_pipeline_is_refused(given):
    message = f"Loader: pipeline={given!r} given; allowed is a DALI pipeline, as a function decorated with"
    with pytest.raises(ValueError, match=re.escape(message) + r".*: dc\.Loader\(graph\(\)\)\."):
        dc.Loader(given)


def test_a_second_loader_of_one_pipeline_is_refused_and_the_first_goes_on(photo_folder):
    """They would share their mixes: switching those of one switched the other's."""
    graph = mixed_graph(photo_folder)
    pipeline, expected = graph(), take(dc.Loader(graph()), 3)
    first = dc.Loader(pipeline)
    found = take(first, 1)
    message = r"a pipeline given that another Loader has; .* Give each its own: call the function decorated with @pipe"
    with pytest.raises(ValueError, match=message):
        dc.Loader(pipeline)
    assert found + take(first, 2) == expected


def test_a_loader_that_could_not_be_made_leaves_its_pipeline_free(photo_folder):
    pipeline, expected = mixed_graph(photo_folder)(), take(dc.Loader(mixed_graph(photo_folder)()), 2)
    with pytest.raises(ValueError, match="max_bad=2 given"):
        dc.Loader(pipeline, max_bad=2)
    with pytest.raises(ValueError, match="epoch_size=10 given, but reader"):
        dc.Loader(pipeline, epoch_size=10)
    assert take(dc.Loader(pipeline), 2) == expected


def test_a_loader_that_is_gone_leaves_its_pipeline_as_it_was(photo_folder):
    pipeline, expected = mixed_graph(photo_folder)(), take(dc.Loader(mixed_graph(photo_folder)()), 2)
    loader = dc.Loader(pipeline)
    loader.mixup_enabled = False
    batches = iter(loader)
    del loader
    next(batches)
    with pytest.raises(ValueError, match="another Loader has"):
        dc.Loader(pipeline)
    del batches
    assert take(dc.Loader(pipeline), 2) == expected
