"""Read images whose labels are in a CSV file."""

from collections.abc import Sequence
from typing import Any

from dali_cutmix._dali import verb
from dali_cutmix.ops.read import read_files
from dali_cutmix.sources import Column, csv_samples
from dali_cutmix.utils import MAX_BYTES, PathLike


@verb
def read_csv(
    path: PathLike,
    root: PathLike | None = None,
    *,
    image: Column,
    label: Column,
    suffix: str = "",
    delimiter: str | None = None,
    classes: Sequence[str] = (),
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[Any, Any]:
    """Read images that a CSV file lists with their labels, in its order.

    Labels that are whole numbers stay as they are; names become their places in sorted order, as class folders do:

        id,breed
        000bec18,dingo               train/000bec18.jpg → 1        dc.read_csv("labels.csv", "train",
        001513df,pug          ──▶    train/001513df.jpg → 2                    image="id", label="breed",
        001cdf01,bluetick            train/001cdf01.jpg → 0                    suffix=".jpg")

    Args:
        path: the CSV file, in UTF-8. Blank lines, and spaces around a cell, do not count.
        root: folder, or S3 bucket and prefix, that the images are named from; by default the file's folder. Without it
            names like ``../1.jpg`` may not lead out of that folder. Absolute paths are taken as they are.
        image, label: the columns, by their names in the first line, or by their numbers from 0 in a file without
            header.
        suffix: what to add to the names of images, such as ``".jpg"`` where the file has ids.
        delimiter: character between columns; by default the first of comma, tab, semicolon and space that the first
            line has.
        classes: names of all classes in the order of their numbers; labels are then these names, or such numbers.
        shard, shuffle, seed, num_classes, max_bytes: see :func:`read_folder`.

    Returns:
        See :func:`read_folder`.

    Raises:
        FileNotFoundError: the file is missing, or none of the first five images exists. Single images that are missing
            are bad files, see ``Loader``.
        ValueError: an invalid argument, or a damaged row: the message names its line.

    Example:
        >>> @pipeline_def(batch_size=2, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_csv("labels.csv", "photos", image="id", label="animal", suffix=".jpg")
        ...     return dc.random_resized_crop(jpegs, 64), labels
        >>> loader = dc.Loader(graph())
        >>> loader.classes, len(loader)
        (('cat', 'dog'), 2)
    """
    found = csv_samples(path, root, image=image, label=label, suffix=suffix, delimiter=delimiter, classes=classes)
    return read_files(
        zip(found.paths, found.labels, strict=True),
        shard=shard,
        shuffle=shuffle,
        seed=seed,
        num_classes=num_classes,
        classes=found.classes,
        max_bytes=max_bytes,
    )
