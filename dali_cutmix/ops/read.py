"""Read: which bytes, which label, which shard."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.sources import Listing, Shards, Source, is_packed, list_folders, names_below
from dali_cutmix.utils import check_classes, check_shard

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]


def nodes_of(source: Source, num_classes: int | None) -> tuple[Any, Any]:
    """Note down the source, and make the nodes that read it."""
    if num_classes is not None:
        check_classes(num_classes, source.num_classes)
    if len(source) < source.shard[1]:
        raise ValueError(
            f"{len(source)} images for {source.shard[1]} shards; every shard needs at least one. Read more images, or "
            "with fewer processes."
        )
    notes().source = source
    return source.nodes()


def read_folder(
    root: Paths,
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    cache: bool = True,
) -> tuple[Any, Any]:
    """Read a folder of classes, one subfolder for each class, labels in the sorted order of their names.

    Or what ``python -m dali_cutmix.pack`` made of one: the same samples, labels and order, from larger files.

    Args:
        root: the folder, or several: their classes are put together by name.
        shard: (rank, world_size). The shards of one epoch are disjoint and together hold every sample.
        shuffle: True for training: all samples are reshuffled over all shards in every epoch, and the ``Loader``
            drops the incomplete last batch. False for evaluation: sorted order, every sample exactly once.
        seed: of the shuffling; the same for all ranks.
        num_classes: refuse a folder with more classes than this.
        cache: remember the list of 50,000 images or more in ``$XDG_CACHE_HOME/dali_cutmix`` (``~/.cache``) until the
            folder or a class folder in it changes.

    Returns:
        ``(jpegs, labels)``: encoded bytes (1-D uint8, CPU) and int64 scalars (CPU).

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: it is empty, has no classes or too many, the shard is impossible, or what was packed is not
            complete.
    """
    notes()
    check_shard(shard)
    roots = [os.path.abspath(path) for path in local_paths(root, "read_folder")]
    order: Any = {"shard": shard, "seed": seed if shuffle else None}
    if len(roots) == 1 and is_packed(roots[0]):
        packed = Shards(roots[0])
        classes = packed.classes
        source = Source(packed, classes=classes, num_classes=len(classes), digest=packed.digest, **order)
        return nodes_of(source, num_classes)
    listing, classes = list_folders(roots, cache)
    digest = digest_of(listing.digest, classes)
    below = os.path.commonpath(roots)
    source = Source(listing, root=below, classes=classes, num_classes=len(classes), digest=digest, **order)
    return nodes_of(source, num_classes)


def read_files(
    samples: Iterable[tuple[PathLike, int]],
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
) -> tuple[Any, Any]:
    """Read a list of (path, label), in its own order.

    Args:
        samples: paths of images, local ones or all in one S3 bucket (``s3://bucket/…``; DALI takes region, endpoint
            and credentials from the environment, as AWS's tools do), with labels from 0.
        classes: their names, for ``Loader.classes``.
        shard, shuffle, seed, num_classes: see :func:`read_folder`; the number of classes is by default the largest
            label plus 1.

    Returns:
        See :func:`read_folder`.

    Raises:
        ValueError: no samples, a label that is none, a name that cannot be read, local paths and S3 mixed.
    """
    notes()
    check_shard(shard)
    root, listing, largest = listed(samples)
    names = tuple(classes)
    if names and len(names) <= largest:
        raise ValueError(f"{len(names)} classes named, but labels go up to {largest}; name all, or none.")
    source = Source(
        listing,
        root=root,
        shard=shard,
        seed=seed if shuffle else None,
        classes=names,
        num_classes=len(names) or largest + 1,
        digest=digest_of(listing.digest, names),
    )
    return nodes_of(source, num_classes)


def listed(samples: Iterable[tuple[PathLike, int]]) -> tuple[str, Listing, int]:
    """What all paths of (path, label) are below, the listing, and the largest label.

    Raises:
        ValueError: no samples, a path or a label that is none, local paths and S3 mixed.
    """
    pairs = list(samples)
    if not pairs:
        raise ValueError("read_files: no samples given; give at least one (path, label).")
    wrong = "read_files: {} given; wanted is (path, label) with a label of 0 or more."
    try:
        paths, given = [os.fspath(path) for path, _ in pairs], [label for _, label in pairs]
        if "" in paths:
            raise ValueError("an empty path")
    except (TypeError, ValueError) as error:
        raise ValueError(wrong.format(f"{pairs[0]!r} (first of {len(pairs)})")) from error
    labels = np.array(given)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        bad = next(pair for pair in pairs if not (isinstance(pair[1], Integral) and pair[1] >= 0))
        raise ValueError(wrong.format(repr(bad)))
    paths = [path if path[0] == "/" or path.startswith("s3://") else os.path.abspath(path) for path in paths]
    base, names = names_below(paths)
    if base in ("", "s3://"):
        remote = sum(path.startswith("s3://") for path in paths)
        raise ValueError(
            f"read_files: {remote} of {len(paths)} paths begin with s3://, below {base!r}; wanted are local paths, or "
            "paths that are all in one bucket."
        )
    return base, Listing.of(names, labels.tolist()), int(labels.max())


def local_paths(paths: Paths, verb: str) -> list[str]:
    """One path or several as a list; refuses none, and what is not on this machine."""
    found = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    if not found:
        raise ValueError(f"{verb}: no path given; give at least one.")
    for path in found:
        if "://" in path:
            raise ValueError(f"{verb}: {path} given; on S3 only single images are read, from a list by read_files.")
    return found


def digest_of(samples: str, classes: Sequence[str]) -> str:
    """Of what is read: the samples' own digest with the classes' names."""
    return hashlib.sha256("\0".join([samples, *classes]).encode(errors="surrogateescape")).hexdigest()
