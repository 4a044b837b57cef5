"""JSON files of a study, checked when they are read: they may be damaged, or edited by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dali_cutmix.utils import read_regular
from train.study.step import result

_ROW = {"parameter": float, "top1": float, str: float}
_SCORE = float | None
_SET = {"confidence": float, "tnr95": float, "auroc": float, "accuracy": float, str: float}
_SHAPES: dict[str, Any] = {
    "eval": {"top1": float, "images": int, "classes": int, "weights": str},
    "robustness": {"curves": {"fgsm": [_ROW], str: [_ROW]}, "between": str, "pairs": str},
    "uncertainty": {"sets": {"in-distribution": {"confidence": float}, str: _SET}, "score": str},
    "localization": {
        **dict.fromkeys(("top1_loc", "gt_known_loc", "max_box_acc"), float),
        **dict.fromkeys(("map", "rule", "max_box_acc_rule"), str),
    },
    "detection": {"map07": _SCORE, "coco": {"mean": _SCORE}},
    "captioning": dict.fromkeys(("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider"), _SCORE),
}
"""What a report needs of each evaluation: types by name, ``str`` for any other name; lists have at least one entry."""

_ANEW = "remove it and give the command again: the evaluation is repeated."


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Args:
        path: the file.
        advice: what to do about a damaged one, for the message.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is not such a file.
    """
    try:
        content = json.loads(read_regular(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: damaged or not JSON ({error}); {advice}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: damaged or edited (it is not an object); {advice}")
    return content


def read_result(folder: Path, evaluation: str) -> dict[str, Any]:
    """Read what an evaluation of a training wrote.

    Raises:
        OSError: see `read_object`.
        ValueError: see `read_object`; or a value is missing or has another type. The message names it.
    """
    path = result(folder, evaluation)
    content = read_object(path, _ANEW)
    if wrong := _problem(content, _SHAPES[evaluation], ""):
        raise ValueError(f"{path}: damaged or edited ({wrong}); {_ANEW}")
    return content


def check_alike(evaluation: str, folders: Sequence[Path]) -> None:
    """Refuse results that cannot be compared: one has other experiments or sets of images than the first.

    Raises:
        OSError, ValueError: see `read_result`; or they differ.
    """
    first, *others = [_outline(read_result(folder, evaluation)) for folder in folders]
    for folder, other in zip(folders[1:], others, strict=True):
        if other != first:
            raise ValueError(
                f"{result(folder, evaluation)}: edited, or of another study (other experiments or sets of images than "
                f"in {result(folders[0], evaluation)}); {_ANEW}"
            )


def _outline(content: dict[str, Any]) -> tuple[dict[str, list[Any]], set[str]]:
    curves = content.get("curves", {})
    rows = {name: [(row["parameter"], sorted(row)) for row in rows] for name, rows in curves.items()}
    return rows, {*content.get("sets", {})}


def _problem(value: Any, shape: Any, name: str) -> str:
    """Say what is wrong with a value; empty if nothing is."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{name} is not an object"
        below = {key: f"{name}.{key}".lstrip(".") for key in (*shape, *value) if isinstance(key, str)}
        if missing := [below[key] for key in shape if key is not str and key not in value]:
            return f"{missing[0]} is missing"
        parts = [(one, shape.get(key, shape.get(str)), below[key]) for key, one in value.items()]
    elif isinstance(shape, list):
        if not isinstance(value, list) or not value:
            return f"{name} is not a list with an entry"
        parts = [(one, shape[0], f"{name}[{number}]") for number, one in enumerate(value)]
    else:
        return "" if shape is None or _fits(value, shape) else f"{name} is not {_WORDS[shape]}"
    return next((wrong for part in parts if (wrong := _problem(*part))), "")


_WORDS = {float: "a finite number", _SCORE: "a finite number or null", int: "a whole number", str: "text"}


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(value, bool) or kind is str:
        return kind is str and isinstance(value, str)
    if isinstance(value, int):
        return abs(value) < 2**63
    return isinstance(value, kind) and (value is None or math.isfinite(value))
