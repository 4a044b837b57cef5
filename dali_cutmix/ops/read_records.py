"""Read records: samples from webdataset shards, TFRecord and RecordIO files."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.ops.read import Paths, digest_of, local_paths, nodes_of
from dali_cutmix.sources import InFiles, RecordIO, Source, Tars, TFRecords
from dali_cutmix.utils import check_shard


def read_webdataset(
    paths: Paths,
    *,
    image: str | Sequence[str] = ("jpg", "jpeg", "png", "webp"),
    label: str = "cls",
    missing: Literal["error", "skip"] = "error",
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
) -> tuple[Any, Any]:
    """Read webdataset tar files; all samples are reshuffled in every epoch, as those of a folder.

    Args:
        paths: tar files, or patterns such as ``"/data/train-*.tar"``. DALI's index (``wds2idx``), with the ending .idx
            beside a tar, spares the start a walk through the tar; one that was made so is kept in the cache.
        image: extension of the image, or several, of which a sample has one.
        label: extension of the label, a whole number in digits.
        missing: ``"error"`` refuses a shard with a sample that lacks image or label, ``"skip"`` leaves it out.
        shard, shuffle, seed, num_classes: see :func:`read_folder`.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a shard is cut off or compressed, its index is damaged, or a sample lacks a component.
    """
    if missing not in ("error", "skip"):
        raise ValueError(f"missing={missing!r} given; allowed are 'error' and 'skip'.")
    images = [image] if isinstance(image, str) else list(image)
    files = files_of(paths, "read_webdataset")
    return _read_records(Tars(files, images, label, missing), shard, shuffle, seed, num_classes)


def read_tfrecord(
    paths: Paths,
    *,
    image: str = "image/encoded",
    label: str = "image/class/label",
    first_label: int = 0,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
) -> tuple[Any, Any]:
    """Read TFRecord files of ``tf.train.Example``; all samples are reshuffled in every epoch, as those of a folder.

    Args:
        paths: files, or patterns. DALI's index (``tfrecord2idx``) is used where it lies beside a file, with the ending
            .idx added or in place of the file's own.
        image, label: names of the features: encoded bytes, and an int64.
        first_label: label of the first class, which becomes 0 (1 in TensorFlow's ImageNet).
        shard, shuffle, seed, num_classes: see :func:`read_folder`.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file is cut off, or its index is damaged.
    """
    records = TFRecords(files_of(paths, "read_tfrecord"), image, label, first_label)
    return _read_records(records, shard, shuffle, seed, num_classes)


def read_recordio(
    paths: Paths,
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
) -> tuple[Any, Any]:
    """Read MXNet's RecordIO files; all samples are reshuffled in every epoch, as those of a folder.

    Args:
        paths: .rec files, or patterns. An index (.idx, by ``im2rec`` or ``rec2idx``) beside a file is used.
        classes: their names, for ``Loader.classes``, all of them: which labels there are is not known before they are
            read, so that one without a name is noticed no earlier than in the batch that mixes it.
        shard, shuffle, seed, num_classes: see :func:`read_folder`.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file is cut off or none of RecordIO, or its index is damaged.
    """
    records = RecordIO(files_of(paths, "read_recordio"))
    return _read_records(records, shard, shuffle, seed, num_classes, tuple(classes))


def _read_records(
    records: InFiles,
    shard: tuple[int, int],
    shuffle: bool,
    seed: int,
    num_classes: int | None,
    classes: tuple[str, ...] = (),
) -> tuple[Any, Any]:
    notes()
    check_shard(shard)
    if not len(records):
        raise ValueError(f"{records.paths[0]}: no samples in {len(records.paths)} files; give files that have some.")
    source = Source(
        records,
        shard=shard,
        seed=seed if shuffle else None,
        classes=classes,
        num_classes=len(classes),
        # Without names the records' own: states saved before there were any stay valid.
        digest=digest_of(records.digest, classes) if classes else records.digest,
    )
    return nodes_of(source, num_classes)


def files_of(paths: Paths, verb: str) -> list[Path]:
    """Whole paths of files; patterns are sorted, and indexes are not meant by them."""
    found: list[Path] = []
    for path in local_paths(paths, verb):
        if not glob.has_magic(path) or Path(path).exists():
            found.append(Path(path).absolute())
        elif matching := [match for match in sorted(glob.glob(path)) if not match.endswith(".idx")]:  # noqa: PTH207
            found += [Path(match).absolute() for match in matching]
        else:
            raise FileNotFoundError(f"{verb}: no file matches {path!r}.")
    return found
