"""LabelMember: the number of a class, from the file that holds a sample's label."""

import codecs
import json
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dali_cutmix.sources.sample_error import SampleError
from dali_cutmix.utils import check_named_classes

_LONGEST = 4096  # bytes of a label that is the whole file
_MOST_DIGITS = re.compile(r"0*([0-9]{1,19})")  # of a number below 2**64


@dataclass(frozen=True)
class LabelMember:
    """How a sample's label is read from its file.

        key=()                 cls, txt   7            → 7
        key=("label",)         json       {"label": 7} → 7
        classes=("cat", "dog") txt        dog          → 1

    Args:
        key: names that lead to the label in a JSON object; empty where the whole file is the label.
        classes: names of all classes, in the order of their numbers; empty where labels are numbers.
    """

    key: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str | Sequence[str], classes: Sequence[str]) -> "LabelMember":
        """Check what a user gave.

        Raises:
            ValueError: the key or the classes are not names, or a class is named twice.
        """
        keys = (key,) if isinstance(key, str) else tuple(key)
        if not all(isinstance(part, str) and part for part in keys):
            raise ValueError(
                f"key={key!r} given; allowed is the name of a key of the JSON, or several that lead to it."
            )
        return cls(keys, check_named_classes(classes))

    def number(self, content: bytes) -> int:
        """The class of a sample.

        Raises:
            SampleError: the file does not hold one.
        """
        if not self.key:
            if len(content) > _LONGEST:
                raise SampleError(f"its label's file has {len(content)} bytes; at most {_LONGEST} are read")
            return self._number(content.removeprefix(codecs.BOM_UTF8).strip().decode(errors="replace"))
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise SampleError(f"its label's file is not JSON ({error}): it begins with {content[:20]!r}") from error
        for part in self.key:
            if not isinstance(value, dict) or part not in value:
                keys = ", ".join(map(_shown, list(value)[:10])) or "none" if isinstance(value, dict) else ""
                there = f"only {keys}" if keys else f"but {_shown(value)}"
                raise SampleError(f"its JSON has no key {part!r}, {there}; key={self.key} leads to no label")
            value = value[part]
        return self._number(value)

    def _number(self, value: Any) -> int:
        if isinstance(value, list):
            raise SampleError(
                f"its label is {_shown(value)}; a sample has one label here. Images with several are read from a list, "
                "by dc.read_files"
            )
        if isinstance(value, str) and value.strip() in self.classes:
            return self.classes.index(value.strip())
        if (number := _whole_number(value)) is not None and (not self.classes or number < len(self.classes)):
            return number
        if self.classes:
            shown = ", ".join(map(repr, self.classes[:5])) + ", …" * (len(self.classes) > 5)
            raise SampleError(
                f"its label is {_shown(value)}; it must be one of the {len(self.classes)} names in classes= ({shown}), "
                f"or a whole number from 0 to {len(self.classes) - 1}"
            )
        raise SampleError(
            f"its label is {_shown(value)}; it must be a whole number of 0 or more. Where it is a name, give all names "
            "as classes=; where it is in JSON, give its key="
        )


def _whole_number(value: Any) -> int | None:
    """A whole number of 0 or more, in the digits 0 to 9 or as JSON has it; pandas writes 3.0 for 3."""
    if isinstance(value, str) and (digits := _MOST_DIGITS.fullmatch(value.strip())):
        value = int(digits[1])
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**63 and value == value // 1:
        return int(value)
    return None


def _shown(value: Any) -> str:
    """The beginning of a value, for errors."""
    text = reprlib.repr(value) if isinstance(value, (dict, list)) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
