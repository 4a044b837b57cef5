"""SampleList: the name and label of every sample, compact, in the form that DALI's file reader takes."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from dali_cutmix.sources.multi_labels import LARGEST, MultiLabels
from dali_cutmix.sources.sound_lines import are_sound
from dali_cutmix.utils import check_name, check_no_url, one_byte


class SampleList:
    """Names and labels as lines of text, as in DALI's ``file_list``: 60 bytes a sample instead of a Python string.

    Args:
        content: one line for each sample, each with its line break.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    @classmethod
    def of(cls, names: Sequence[str], labels: Iterable[int]) -> "SampleList":
        """Make a list from names and labels; labels are 0 or more.

        Raises:
            ValueError: a name cannot be written as a line.
        """
        lines = "".join(f"{name} {label}\n" for name, label in zip(names, labels, strict=True))
        try:
            content = os.fsencode(lines)
        except UnicodeEncodeError:  # half of a surrogate pair
            for name in names:
                check_name(name, "read_files")
            raise
        odd = re.match(rb" \d+\n", content) or b"\0" in content or re.search(rb"\s \d+\n", content)
        if odd or content.count(b"\n") != len(names):
            name = next(name for name in names if name != name.rstrip() or not name or set(name) & set("\n\0"))
            raise ValueError(
                f"{name!r}: a name that is empty, ends with a space or holds a line break or NUL cannot be read; "
                "rename it."
            )
        return cls(content)

    @classmethod
    def numbered(cls, count: int) -> "SampleList":
        """Make a list for DALI's file reader to draw numbers from: each sample's label is its number.

        All have the bytes of one file, below ``DESCRIPTORS``.
        """
        name = one_byte()
        return cls("".join([f"{name} {number}\n" for number in range(count)]).encode())

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.flatnonzero(np.frombuffer(self.content, np.uint8) == ord("\n"))

    def __len__(self) -> int:
        return len(self._ends)

    def _line(self, number: int) -> bytes:
        start = self._ends[number - 1] + 1 if number else 0
        return self.content[start : self._ends[number]]

    def entry(self, number: int) -> tuple[bytes, int]:
        """Name and label of a sample."""
        name, _, label = self._line(number).rpartition(b" ")
        return name, int(label)

    def name(self, number: int) -> str:
        """Name of a sample."""
        return os.fsdecode(self.entry(number)[0])

    def label(self, number: int) -> int:
        """Label of a sample."""
        return self.entry(number)[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all names and labels."""
        return hashlib.sha256(self.content).hexdigest()

    def is_sound(self, num_classes: int) -> bool:
        """Whether all names stay below their root, and all labels are below ``num_classes``."""
        return are_sound(self.content, self._ends, num_classes)

    def replaced(self, substitutes: Mapping[int, int]) -> "SampleList":
        """A copy with other samples in place of some.

        Args:
            substitutes: number of each place, and of the sample that comes there.
        """
        parts, done = [], 0
        for number, other in sorted(substitutes.items()):
            start = self._ends[number - 1] + 1 if number else 0
            parts += [self.content[done:start], self._line(other)]
            done = self._ends[number]
        return SampleList(b"".join([*parts, self.content[done:]]))


class ListedSamples(NamedTuple):
    """Samples that were given one by one.

    Args:
        root: the longest folder that all paths share.
        names: names below it. The labels of this list are class labels, or with ``labels`` the samples' numbers.
        labels: of samples with several classes each; None for all others.
        num_classes: the least number of classes that the labels need; 0 where there are none.
        is_labelled: whether the samples have labels.
    """

    root: str
    names: SampleList
    labels: MultiLabels | None
    num_classes: int
    is_labelled: bool


_ONE_FORM = "(path, label), (path, [label, …]) or a path alone"


def list_samples(samples: Iterable[Any]) -> ListedSamples:
    """List files that are given one by one: all as (path, label), all as (path, [label, …]), or all as a path alone.

    Raises:
        ValueError: no samples, an invalid path or label, several forms, or local paths and S3 mixed.
    """
    if isinstance(samples, (str, os.PathLike)):
        raise ValueError(
            f"read_files: samples={samples!r} given; expected a list of {_ONE_FORM}. For a folder use dc.read_folder."
        )
    if isinstance(samples, Mapping):
        raise ValueError(
            f"read_files: a {type(samples).__name__} given; expected a list of {_ONE_FORM}: give its .items(), which "
            "are (path, label)."
        )
    items = list(samples)
    if not items:
        raise ValueError("read_files: no samples given; give at least one (path, label).")
    paths, labels = _split(items)
    root, names = _below_root(_absolute(items, paths))
    if labels is None:
        return ListedSamples(root, SampleList.of(names, repeat(0, len(names))), None, 0, False)
    if _are_lists(items, labels):
        several = MultiLabels.of(labels)
        return ListedSamples(root, SampleList.of(names, range(len(names))), several, several.num_classes, True)
    classes = _class_labels(items, labels)
    return ListedSamples(root, SampleList.of(names, classes.tolist()), None, int(classes.max()) + 1, True)


def _split(items: list[Any]) -> tuple[list[Any], list[Any] | None]:
    """Paths and labels; None instead of the labels where there are none."""
    alone = {kind: issubclass(kind, (str, bytes, os.PathLike)) for kind in set(map(type, items))}
    if all(alone.values()):
        return items, None
    if any(alone.values()):
        raise _several_forms(items, [alone[type(item)] for item in items])
    try:
        return [path for path, _ in items], [label for _, label in items]
    except (TypeError, ValueError):
        raise _refusal(items, (hasattr(item, "__len__") and len(item) == 2 for item in items)) from None


def _absolute(items: list[Any], paths: list[Any]) -> list[str]:
    """The paths as absolute paths or addresses on S3."""
    try:
        found = [os.fspath(path) for path in paths]
    except TypeError:
        found = [""]
    if "" in found or not all(issubclass(kind, str) for kind in set(map(type, found))):
        raise _refusal(items, (isinstance(path, (str, os.PathLike)) and path != "" for path in paths))
    return [path if path[0] == "/" or path.startswith("s3://") else _local(path) for path in found]


def _local(path: str) -> str:
    check_no_url(path, "read_files")
    return os.path.abspath(path)


def _below_root(paths: list[str]) -> tuple[str, list[str]]:
    """The longest folder that all paths share, and the names below it."""
    common = os.path.commonprefix([min(paths), max(paths)])  # noqa: RUF071  (commonpath would unite s3:// to s3:/)
    root = common[: common.rfind("/") + 1]
    if root in ("", "s3://"):
        remote = sum(path.startswith("s3://") for path in paths)
        raise ValueError(
            f"read_files: {remote} of {len(paths)} paths begin with s3://, below {root!r}; give local paths, or "
            "paths that are all in one bucket."
        )
    return root, [path[len(root) :] for path in paths]


def _are_lists(items: list[Any], labels: list[Any]) -> bool:
    """Whether the labels are lists of classes, which all or none have to be."""
    if not any(issubclass(kind, (list, tuple, np.ndarray)) for kind in set(map(type, labels))):
        return False
    lists = [isinstance(label, (list, tuple)) or (isinstance(label, np.ndarray) and label.ndim > 0) for label in labels]
    if any(lists) and not all(lists):
        raise _several_forms(items, lists)
    return lists[0]


def _class_labels(items: list[Any], labels: list[Any]) -> np.ndarray:
    """Class labels, N whole numbers."""
    try:
        found = np.array(labels)
    except (TypeError, ValueError):
        found = np.array(None)
    is_whole = found.ndim == 1 and found.dtype.kind in "iu" and not {bool, np.bool_} & set(map(type, labels))
    if is_whole and found.min() >= 0 and found.max() <= LARGEST:
        return found
    are_good = list(map(_is_class_label, labels))
    if not all(are_good):
        raise _refusal(items, are_good)
    return np.array(list(map(int, labels)))  # of types that NumPy has no common one for


def _is_class_label(label: Any) -> bool:
    array = np.asarray(label)
    return array.ndim == 0 and array.dtype.kind in "iu" and 0 <= array.item() <= LARGEST


def _refusal(items: list[Any], are_good: Iterable[bool]) -> ValueError:
    """The error for the first sample that is not good."""
    number = next((number for number, is_good in enumerate(are_good) if not is_good), 0)
    return ValueError(
        f"read_files: sample {number}: {items[number]!r} given; expected (path, label) with a label of 0 or more, "
        "(path, [label, …]) for several, or a path alone."
    )


def _several_forms(items: list[Any], forms: list[bool]) -> ValueError:
    number = forms.index(not forms[0])
    return ValueError(
        f"read_files: sample {number}: {items[number]!r} given after {items[0]!r}; expected one form for all samples: "
        f"{_ONE_FORM}. A single label may be written as a list, [0]."
    )
