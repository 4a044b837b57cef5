"""Graphs that no Loader can take are refused before anything is decoded."""

import pytest
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc
from tests.helpers.loaders import label_loader


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
