"""Loaders that deliver labels only, and the bits of what any loader delivers."""

from itertools import islice

import torch
from nvidia.dali import fn, pipeline_def

import dali_cutmix as dc


def label_loader(root, batch_size=4, *, threads=1, options=None, loader=None, **reading):
    """A loader of labels only: epochs and shards without the time that decoding takes."""
    executor = options or {}

    @pipeline_def(batch_size=batch_size, num_threads=threads, device_id=None, seed=0, **executor)
    def graph():
        _, labels = dc.read_folder(root, **reading)
        return labels

    return dc.Loader(graph(), **(loader or {}))


def own_reader_loader(root, *, loader=None, **reading):
    """A loader of labels from DALI's own reader, four in a batch."""

    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def graph():
        return fn.readers.file(file_root=str(root), pad_last_batch=True, **reading)[1]

    return dc.Loader(graph(), **(loader or {}))


def epoch_of(loader):
    """Labels of one epoch, batch by batch."""
    return [labels.tolist() for (labels,) in loader]


def batches_of(loader, count=None):
    """Labels of one pass, or of its first batches."""
    return [labels.tolist() for (labels,) in islice(loader, count)]


def flat(batches):
    """Labels of several batches in one list."""
    return [label for batch in batches for label in batch]


def bits(batch):
    """The bytes of a batch, to compare batches exactly."""
    plain = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor for tensor in batch)
    return tuple(tensor.numpy().tobytes() for tensor in plain)


def endless(loader):
    """Batches of one epoch after the other."""
    while True:
        yield from loader


def take(loader, n):
    """The bytes of the next n batches, over the ends of epochs."""
    batches = endless(loader)
    return [bits(next(batches)) for _ in range(n)]


def loader_of(read, *arguments, batch_size=4, **reading):
    """A loader of labels only, through any verb that reads."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=0)
    def graph():
        _, labels = read(*arguments, **reading)
        return labels

    return dc.Loader(graph())
