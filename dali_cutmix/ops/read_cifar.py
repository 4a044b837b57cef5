"""Read CIFAR-10 and CIFAR-100 from their archives."""

import json
import os
from typing import Any

from dali_cutmix._dali import verb
from dali_cutmix.ops.graph_notes import notes
from dali_cutmix.ops.read_records import read_recordio
from dali_cutmix.sources import convert_cifar
from dali_cutmix.utils import Split, check_split


@verb
def read_cifar(
    path: str | os.PathLike[str],
    split: Split,
    *,
    shard: tuple[int, int] = (0, 1),
    shuffle: bool = True,
    seed: int = 0,
    num_classes: int | None = None,
) -> tuple[Any, Any]:
    """Read CIFAR-10, or CIFAR-100 with its 100 fine classes, from an archive as it is downloaded.

        cifar-10-python.tar.gz ──once──▶ ~/.cache/dali_cutmix/cifar-…/train.rec, val.rec ──each epoch──▶ images, labels

    The first call converts the archive without loss, which takes some seconds and 190 MB in the cache. No code in the
    archive is run.

    Args:
        path: ``cifar-10-python.tar.gz``, ``cifar-100-python.tar.gz``, ``cifar-10-binary.tar.gz`` or
            ``cifar-100-binary.tar.gz``, or the folder that one unpacks to.
        split: ``"train"``, or ``"val"`` for the archive's test images.
        shard, shuffle, seed, num_classes: see :func:`read_folder`.

    Returns:
        See :func:`read_folder`. The encoded images are PPM files of 32×32 pixels; ``Loader.classes`` has the names.

    Raises:
        FileNotFoundError: the archive, or a file in it, is missing.
        ValueError: it is damaged or not an archive of CIFAR, or another argument is invalid.
        OSError: the converted archive cannot be written.

    Example:
        >>> @pipeline_def(batch_size=4, num_threads=1, device_id=None)
        ... def graph():
        ...     jpegs, labels = dc.read_cifar("cifar-10-python.tar.gz", "train")
        ...     images, targets = dc.mix(dc.padded_crop(jpegs, 32), labels, dc.CutMix())
        ...     return dc.normalize(images), targets
        >>> images, targets = next(iter(dc.Loader(graph())))
        >>> images.shape, targets.shape
        (torch.Size([4, 3, 32, 32]), torch.Size([4, 10]))
    """
    notes()  # outside a graph, fail before anything is converted
    check_split(split)
    folder = convert_cifar(path)
    classes = json.loads((folder / "classes.json").read_text())
    records = folder / f"{split}.rec"
    return read_recordio(records, classes=classes, shard=shard, shuffle=shuffle, seed=seed, num_classes=num_classes)
