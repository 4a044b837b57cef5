"""The two parts of a data set: what is trained on, and what is evaluated."""

from typing import Literal

Split = Literal["train", "val"]


def check_split(split: str) -> None:
    """Refuse what is no part of a data set.

    Raises:
        ValueError: it is neither ``"train"`` nor ``"val"``.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split={split!r} given; allowed are 'train' and 'val'.")
