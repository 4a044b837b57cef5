"""Loaders that deliver labels only, and the bits of what any loader delivers."""

from nvidia.dali import pipeline_def

import dali_cutmix as dc


def label_loader(root, batch_size=4, *, threads=1, options=None, loader=None, **reading):
    """Nothing but labels: epochs and shards without the time that decoding takes."""
    executor = options or {}

    @pipeline_def(batch_size=batch_size, num_threads=threads, device_id=None, seed=0, **executor)
    def graph():
        _, labels = dc.read_folder(root, **reading)
        return labels

    return dc.Loader(graph(), **(loader or {}))


def epoch_of(loader):
    return [labels.tolist() for (labels,) in loader]


def flat(batches):
    return [label for batch in batches for label in batch]


def bits(batch):
    return tuple(tensor.numpy().tobytes() for tensor in batch)


def endless(loader):
    while True:
        yield from loader


def take(loader, n):
    batches = endless(loader)
    return [bits(next(batches)) for _ in range(n)]


def loader_of(read, *arguments, batch_size=4, **reading):
    """A loader of labels only, through any verb that reads."""

    @pipeline_def(batch_size=batch_size, num_threads=1, device_id=None, seed=0)
    def graph():
        _, labels = read(*arguments, **reading)
        return labels

    return dc.Loader(graph())
