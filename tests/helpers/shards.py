"""Loaders over the shards that ``dali_cutmix.pack`` writes, and damage to a shard."""

import tarfile

from pipelines import imagenet


def loader_of(root, kind, batch_size=7, **options):
    """A loader of small images, of one kind: val, train or fused."""
    options = {"batch_size": batch_size, "size": 16, "device": "cpu"} | options
    if kind == "val":
        return imagenet.val(root, resize=16, **options)
    return imagenet.train(root, fused=kind == "fused", **options)


def take(loader, n):
    """The bytes of the first n batches; epochs are read to their ends."""
    found = []
    while len(found) < n:
        found += [tuple(tensor.numpy().tobytes() for tensor in batch) for batch in loader]
    return found[:n]


def overwrite(tar, name, content):
    """Write over the first bytes of a member."""
    with tarfile.open(tar) as archive:
        at = archive.getmember(name).offset_data
    with tar.open("r+b") as file:
        file.seek(at)
        file.write(content)
