"""PackedFolder: what ``python -m dali_cutmix.pack`` writes and ``read_folder`` reads.

A packed folder holds webdataset tar files (``shard-00000.tar`` with members ``00000000.jpg``, ``00000000.cls``, …),
DALI's index beside each (``shard-00000.idx``), and one manifest. The tar header of an image has its checksum. Samples
are numbered in the sorted order of the folder that was packed.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from dali_cutmix.sources.manifest import MANIFEST, Manifest, finished_manifest, member, read_index
from dali_cutmix.sources.record_files import RecordFiles
from dali_cutmix.sources.shard_header import HEADER_BYTES, checked_image


class PackedFolder(RecordFiles):
    """Bytes and labels of the samples of a packed folder.

    Args:
        root: a folder with a manifest.

    Raises:
        ValueError: the folder is not packed completely, or its manifest, a shard or an index is missing or damaged.
    """

    fix = (
        "Copy its shard again from where it came from; or repair that image in the folder that was packed, remove the "
        "shard and its .idx, and run the command that packed it again: it writes only what is missing"
    )

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._folder = Path(root)
        manifest = finished_manifest(self._folder)
        self.classes = tuple(manifest.classes)
        self.labels = manifest.labels
        tars = [self._folder / name for name in manifest.shards]
        counts = list(manifest.shards.values())
        if len(self.labels) != sum(counts):
            raise ValueError(
                f"{self._folder / MANIFEST}: it lists {len(self.labels)} files, but {sum(counts)} samples in its "
                "shards; copy it again from where the shards came from, or pack into an empty folder."
            )
        images = [read_index(tar, count) for tar, count in zip(tars, counts, strict=True)]
        super().__init__(tars, [place + np.array([[-HEADER_BYTES], [HEADER_BYTES]]) for place in images])
        self.digest = hashlib.sha256(manifest.to_json()).hexdigest()

    def name(self, number: int) -> str:
        """Where a sample is, as ``tar: member``, and the file that it was packed from, if the manifest can be read."""
        place = f"{self.paths[self._file[number]]}: {member(number, 'jpg')}"
        try:
            return f"{place} (was {self.packed_from(number)})"
        except (OSError, ValueError, IndexError):  # storage that is away, as when errors are named, has taken it along
            return place

    def packed_from(self, number: int) -> str:
        """The file that a sample was packed from, below the folder that was packed."""
        return Manifest.read(self._folder / MANIFEST).files[number]

    def parse(self, number: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of a sample, from its tar header and its bytes."""
        return checked_image(content, member(number, "jpg")), self.labels[number]
