"""Read record files: webdataset shards, TFRecord and RecordIO.

DALI's own readers of these formats shuffle within a window; these verbs reshuffle all samples in each epoch, exactly as
``read_folder`` does.
"""

from collections.abc import Sequence
from typing import Any, Literal

from dali_cutmix._dali import verb
from dali_cutmix.ops.graph_notes import Notes, notes
from dali_cutmix.ops.read import source_nodes
from dali_cutmix.sources import LabelMember, RecordFiles, RecordIO, Source, TFRecord, WebDataset
from dali_cutmix.utils import MAX_BYTES, Paths, check_choice, check_classes, check_shard, local_files


@verb
def read_webdataset(
    paths: Paths,
    *,
    image: str | Sequence[str] = ("jpg", "jpeg", "png", "webp"),
    label: str = "cls",
    key: str | Sequence[str] = (),
    missing: Literal["error", "skip"] = "error",
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read webdataset tar files; all samples are reshuffled in each epoch, as those of a folder are.

        7.jpg, 7.cls     3                              label="cls"
        7.jpg, 7.txt     dog                            label="txt", classes=["cat", "dog"]
        7.jpg, 7.json    {"label": 3, "width": 500}     label="json", key="label"
        7.jpg, 7.json    {"object": {"id": 3}}          label="json", key=["object", "id"]

    Args:
        paths: tar files, or patterns such as ``"/data/train-*.tar"`` or ``"/data/train-{000000..000146}.tar"``, of
            which none may be missing. Compressed files are refused. DALI's index (``wds2idx``, ending in .idx) beside
            a tar is used. Without one the whole tar is scanned at the first start, and its index is cached.
        image: extension of the image, or several; each sample has one of them. Upper and lower case are the same.
        label: extension of the file that holds the label: a whole number in the digits 0 to 9, a class's name, or JSON.
        key: key of the label in JSON; several that lead to it where it is in an object in an object.
        missing: what to do about a sample without image or label: ``"error"`` refuses its shard, ``"skip"`` leaves the
            sample out.
        shard, shuffle, seed: see :func:`read_folder`.
        max_bytes: size of the largest record that is read; a larger one is a bad sample.
        num_classes: number of classes; a sample whose label is none of them is a bad one.
        classes: names of all classes in the order of their numbers; labels are then these names, or such numbers. A
            sample with another label is a bad one.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: a file is missing, or none matches a pattern.
        ValueError: an invalid argument; or a shard is cut off or compressed, its index is damaged, or a sample has no
            image, no label, or two files with one extension.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_webdataset("photos-*.tar")
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> len(loader)
        4
    """
    graph = notes()
    check_shard(shard)
    check_choice("missing", missing, ("error", "skip"))
    images = [image] if isinstance(image, str) else list(image)
    member = LabelMember.of(key, classes)
    records = WebDataset(local_files(paths, "read_webdataset"), images, label, missing, member)
    return _record_nodes(graph, records, shard, seed if shuffle else None, num_classes, max_bytes, member.classes)


@verb
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
    verify: bool = True,
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read TFRecord files of ``tf.train.Example``; all samples are reshuffled in each epoch, as those of a folder are.

    Args:
        paths: files, or patterns, see :func:`read_webdataset`. DALI's index (``tfrecord2idx``) beside a file is used;
            its name ends in .idx, added or in place of the file's own ending.
        image: name of the feature with the encoded bytes.
        label: name of the feature with the label, an int64.
        first_label: label of the first class, which becomes 0 (1 in TensorFlow's ImageNet).
        shard, shuffle, seed: see :func:`read_folder`.
        max_bytes: size of the largest record that is read; a larger one is a bad sample.
        num_classes: number of classes; a sample whose label is none of them is a bad one.
        verify: compare the checksums (CRC-32C) of each record; one whose checksum is wrong is a bad sample. False reads
            files whose checksums were never written.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: a file is missing, or none matches a pattern.
        ValueError: an invalid argument; or a file is cut off or damaged between its records, or its index is damaged.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_tfrecord("photos.tfrecord", first_label=1)
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> len(loader)
        4
    """
    graph = notes()
    check_shard(shard)
    records = TFRecord(local_files(paths, "read_tfrecord"), image, label, first_label, verify)
    return _record_nodes(graph, records, shard, seed if shuffle else None, num_classes, max_bytes)


@verb
def read_recordio(
    paths: Paths,
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read MXNet's RecordIO files; all samples are reshuffled in each epoch, as those of a folder are.

    Args:
        paths: .rec files, or patterns, see :func:`read_webdataset`. An index (.idx, by ``im2rec`` or ``rec2idx``)
            beside a file is used.
        classes: names of all classes, for ``Loader.classes``. A sample whose label has no name is a bad one.
        shard, shuffle, seed: see :func:`read_folder`.
        max_bytes: size of the largest record that is read; a larger one is a bad sample.
        num_classes: number of classes; a sample whose label is none of them is a bad one.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: a file is missing, or none matches a pattern.
        ValueError: an invalid argument; or a file is cut off or in another format, or its index is damaged.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_recordio("photos.rec", classes=["cat", "dog"])
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> len(loader)
        4
    """
    graph = notes()
    check_shard(shard)
    records = RecordIO(local_files(paths, "read_recordio"))
    return _record_nodes(graph, records, shard, seed if shuffle else None, num_classes, max_bytes, tuple(classes))


def _record_nodes(
    graph: Notes,
    records: RecordFiles,
    shard: tuple[int, int],
    seed: int | None,
    num_classes: int | None,
    max_bytes: int,
    classes: tuple[str, ...] = (),
) -> tuple[Any, Any]:
    if num_classes is not None:
        check_classes(num_classes, len(classes))
    records.num_classes = len(classes) or num_classes or 0
    source = Source(records, shard=shard, seed=seed, classes=classes, num_classes=len(classes), max_bytes=max_bytes)
    return source_nodes(graph, source, num_classes)
