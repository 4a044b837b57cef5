"""WebDataset: tar files with an image and a label for each sample, with DALI's index or without."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from dali_cutmix.sources.record_files import RecordFiles
from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.sources.webdataset.label_member import LabelMember
from dali_cutmix.sources.webdataset.tar_headers import tar_members
from dali_cutmix.sources.webdataset.tar_index import read_index
from dali_cutmix.utils import shown_paths

_LONGEST_LABEL = 64 << 20  # bytes of the file that a label is in


class WebDataset(RecordFiles):
    """Samples of webdataset tar files: consecutive members with the same name up to its first dot.

    Upper and lower case of extensions make no difference. Hidden files, such as macOS's ``._0.jpg``, are left out.

    Args:
        paths: of the tar files.
        images: extensions of the image; of several that a sample has, the first in this list is taken.
        label: extension of the label; None to read images only, with label 0.
        missing: what to do about a sample without image or label: refuse its shard, or skip the sample.
        label_member: how the label is read from that file.

    Raises:
        ValueError: a shard is cut off, compressed or not a tar file, its index is damaged, or a sample has no image, no
            label, or two files with one extension.
        FileNotFoundError: a shard is missing.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        images: Sequence[str],
        label: str | None,
        missing: Literal["error", "skip"],
        label_member: LabelMember = LabelMember(),
    ) -> None:
        images = [extension.lower() for extension in images]
        label = None if label is None else label.lower()
        found = [_complete(path, images, label, missing) for path in paths]
        super().__init__(paths, [places[:2] for places in found])
        self._label_offsets, self._label_sizes = np.concatenate(found, axis=1)[2:]
        self._label_member = label_member if label is not None else None
        self._names = lru_cache(1)(_names)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files' names, of the samples' places in them, and of the label's key, if it has one."""
        key = self._label_member.key if self._label_member else ()
        return hashlib.sha256("\0".join([super().digest, *key]).encode()).hexdigest() if key else super().digest

    def name(self, number: int) -> str:
        """Where a sample is, as ``tar: member``."""
        return self._member_at(number, self._offsets[number].item()) or super().name(number)

    def _member_at(self, number: int, offset: int) -> str:
        """The member that begins at an offset in the tar of a sample, as ``tar: member``; empty where nobody knows."""
        path = self.paths[self._file[number]]
        try:
            return f"{path}: {self._names(path)[offset]}"
        except (OSError, ValueError, KeyError):  # the tar itself may be damaged by now
            return ""

    def parse(self, number: int, content: np.ndarray) -> tuple[np.ndarray, int]:
        """Image and label of a sample; the label is in a member of its own."""
        if self._label_member is None:
            return content, 0
        offset, size = self._label_offsets[number].item(), self._label_sizes[number].item()
        if size > _LONGEST_LABEL:
            raise SampleError(f"the file of its label has {size} bytes; at most {_LONGEST_LABEL} are read")
        try:
            return content, self._label_member.number(self.bytes_at(number, offset, size).tobytes())
        except SampleError as error:
            _, _, member = self._member_at(number, offset).rpartition(": ")
            raise SampleError(f"{member}: {error}" if member else str(error)) from error


def _names(path: Path) -> dict[int, str]:
    """Name of each member by the offset of its content."""
    return {member.offset: member.name for member in tar_members(path)}


def tar_extensions(path: Path) -> set[str]:
    """Extensions of the files that the samples of a tar have."""
    return set().union(*read_index(path))


def _complete(path: Path, images: Sequence[str], label: str | None, missing: str) -> np.ndarray:
    """Offset and size of image and label, 4×n int64, for every sample that has both."""
    samples = read_index(path)
    rows, lacking = [], []
    for number, parts in enumerate(samples):
        image = next((parts[extension] for extension in images if extension in parts), None)
        if image is None or (label is not None and label not in parts):
            lacking.append(f"sample {number} has {shown_paths(sorted(parts)) or 'nothing'}")
        else:
            rows.append((*image, *(parts[label] if label is not None else (0, 0))))
    if lacking and missing == "error":
        expected = f"one of {', '.join(images)}" + (f", and {label}" if label else "")
        found = Counter(extension for parts in samples for extension in parts)
        most = f"{dict(found.most_common(10))}{', …' * (len(found) > 10)}"
        raise ValueError(
            f"{path}: {len(lacking)} of {len(samples)} samples lack image or label ({lacking[0]}; expected {expected}; "
            f"the tar has {most}). Name the extensions that are there, or give missing='skip' to leave these "
            "samples out."
        )
    return np.array(rows, np.int64).reshape(-1, 4).T
