"""Read files: from a folder of classes, a packed folder, or a list."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from dali_cutmix._dali import verb
from dali_cutmix.ops.graph_notes import Notes, notes
from dali_cutmix.sources import PackedFolder, Source, is_packed, list_folders, list_samples
from dali_cutmix.utils import MAX_BYTES, PathLike, Paths, check_classes, check_shard, local_paths


@verb
def read_folder(
    root: Paths,
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    cache: bool = True,
    refresh: bool = False,
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read a folder of classes, with one subfolder for each class; labels follow the sorted order of their names.

    Images may be at any depth below their class's folder: samples, labels and order are those of torchvision's
    ``ImageFolder``. Folders whose names begin with a dot are left out; so are images beside the class folders, with a
    warning. The folder ``val`` of Tiny ImageNet is read by its ``val_annotations.txt``.

    A folder that ``python -m dali_cutmix.pack`` wrote gives the same samples, labels and order, from larger files.

    Each process reads its own shard. Ten samples in two epochs on two ranks, ``shuffle=True``:

        epoch 0   rank 0: 3 9 0 7 1     rank 1: 5 2 8 6 4
        epoch 1   rank 0: 8 1 4 9 5     rank 1: 0 7 3 2 6

    In each epoch the shards are disjoint and together hold every sample; samples move between ranks.

    Args:
        root: the folder, or several: their classes are put together by name.
        shard: (rank, world_size).
        shuffle: True for training: all samples are reshuffled across all shards in each epoch, and the ``Loader``
            drops the incomplete last batch. False for evaluation: sorted order, each sample exactly once.
        seed: seed of the shuffling; the same on all ranks.
        num_classes: refuse a folder with more classes than this.
        cache: store the list of 50,000 images or more in ``$XDG_CACHE_HOME/dali_cutmix`` (``~/.cache``), valid until
            the folder or one in it changes.
        refresh: list the folder anew, and store that list. Changes are noticed by the times of folders; only on a file
            system that does not keep the time of an inode's change can a copy that sets times back hide them.
        max_bytes: size of the largest file that is read; a larger one is a bad file, and no memory is taken for it.

    Returns:
        ``(jpegs, labels)``: encoded bytes (1-D uint8, CPU) and int64 scalars (CPU).

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: an invalid argument, or the folder is empty, has no classes or too many, or is not packed
            completely.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_folder("photos", shard=(0, 2), seed=1)
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> loader.classes
        ('cat', 'dog')
        >>> [images.shape for images, labels in loader]
        [torch.Size([4, 3, 64, 64]), torch.Size([4, 3, 64, 64])]
    """
    graph = notes()
    check_shard(shard)
    roots = [os.path.abspath(path) for path in local_paths(root, "read_folder")]
    order: Any = {"shard": shard, "seed": seed if shuffle else None, "max_bytes": max_bytes}
    if len(roots) == 1 and is_packed(roots[0]):
        packed = PackedFolder(roots[0])
        classes = packed.classes
        source = Source(packed, classes=classes, num_classes=len(classes), digest=packed.digest, **order)
    else:
        samples, classes = list_folders(roots, cache, refresh)
        below = os.path.commonpath(roots)
        source = Source(samples, root=below, classes=classes, num_classes=len(classes), **order)
    return source_nodes(graph, source, num_classes)


@verb
def read_files(
    samples: Iterable[tuple[PathLike, int] | tuple[PathLike, Sequence[int]] | PathLike],
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read a list of files in its own order: with one label each, with several, or without.

        samples                              labels of a batch
        [(path, 2), (path, 0), …]            2, 0                  class labels, int64 scalars
        [(path, [0, 2]), (path, []), …]      1 0 1, 0 0 0          dense labels, K float32
        [path, path, …]                      None                  read_files returns (jpegs, None)

    Args:
        samples: paths of images, all local or all in one S3 bucket (``s3://bucket/…``; DALI takes region, endpoint
            and credentials from the environment, as AWS's tools do), in one of these forms, with labels from 0. A list
            of labels may be a tuple or a NumPy array of whole numbers; its order makes no difference.
        classes: names of the classes, for ``Loader.classes``.
        shard, shuffle, seed: see :func:`read_folder`.
        num_classes: refuse labels that need more classes than this. By default the number of classes is that of
            ``classes``, or the largest label plus 1; for samples with several labels each it is K.
        max_bytes: see :func:`read_folder`; images on S3 are not limited.

    Returns:
        Encoded bytes (1-D uint8, CPU), and labels on the CPU as above.

    Raises:
        ValueError: no samples, an invalid argument, path or label (the message has the sample's number), several forms
            in one list, or local paths and S3 mixed.

    Example:
        >>> samples = [("photos/cat/0.jpg", 0), ("photos/dog/0.jpg", 1)]
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_files(samples, shuffle=False, classes=["cat", "dog"])
        ...     return dc.resize_center_crop(jpegs, 56, resize=64), labels
        >>> [labels.tolist() for _, labels in dc.Loader(graph())]
        [[0, 1]]

        The first photograph shows both, the second a dog:

        >>> samples = [("photos/cat/0.jpg", [0, 1]), ("photos/dog/0.jpg", [1])]
        >>> [labels.tolist() for _, labels in dc.Loader(graph())]
        [[[1.0, 1.0], [0.0, 1.0]]]
    """
    graph = notes()
    check_shard(shard)
    listed = list_samples(samples)
    names = tuple(classes)
    if names and len(names) < listed.num_classes:
        raise ValueError(
            f"{len(names)} classes named, but labels go up to {listed.num_classes - 1}; name all, or none."
        )
    if num_classes is not None:
        num_classes = check_classes(num_classes, listed.num_classes)
    found = len(names) or listed.num_classes
    if listed.labels:
        found = len(names) or num_classes or found
        if not found:
            raise ValueError(
                "read_files: no sample has a label; labels need a number of classes, K: give classes or num_classes."
            )
    source = Source(
        listed.names,
        root=listed.root,
        shard=shard,
        seed=seed if shuffle else None,
        classes=names,
        num_classes=found,
        labels=listed.labels,
        is_labelled=listed.is_labelled,
        max_bytes=max_bytes,
    )
    return source_nodes(graph, source, num_classes)


def source_nodes(graph: Notes, source: Source, num_classes: int | None = None) -> tuple[Any, Any]:
    """Make the nodes that read a source, and keep it in the graph's notes.

    Args:
        graph: the notes.
        source: what to read.
        num_classes: refuse a source with more classes than this.

    Returns:
        See :func:`read_folder`.
    """
    if num_classes is not None:
        check_classes(num_classes, source.num_classes)
    if graph.source is not None:
        raise ValueError(
            "a second verb that reads was called in this graph, but a graph reads one data set. For two views of each "
            "image crop the same bytes twice; to read several folders or lists as one, give them to one verb; for "
            "different data make two graphs with a Loader each."
        )
    graph.source = source
    return source.nodes()
