"""What the pickles of CIFAR hold, read without running the code that a pickle may ask for."""

import io
import pickle
from typing import Any

import numpy as np

PIXELS = 3 * 32 * 32


class _Kept:
    """In the place of NumPy's array and dtype: keeps what they would be made of, and runs nothing of theirs."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Builds plain values and arrays, as far as they are kept; a pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            return _Kept
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of CIFAR does")


def _unpickle(content: bytes, *keys: str) -> list[Any]:
    found = _Unpickler(io.BytesIO(content), encoding="bytes").load()  # Python 2 wrote them: its strings are bytes
    if not isinstance(found, dict):
        raise ValueError("it holds no dict")
    for key in keys:
        if key.encode() not in found:
            raise ValueError(f"it has no {key}")
    return [found[key.encode()] for key in keys]


def pickled_names(key: str, content: bytes) -> list[str]:
    """The names of the classes in a pickle with them.

    Args:
        key: under which they are.

    Raises:
        Exception: whatever a pickle that is damaged, or none, brings about.
    """
    (names,) = _unpickle(content, key)
    return [name.decode() for name in names]


def pickled_images(key: str, content: bytes) -> tuple[np.ndarray, Any]:
    """Rows of N×3072 uint8, and the labels as they are, in a pickle with images.

    Args:
        key: under which the labels are.

    Raises:
        Exception: whatever a pickle that is damaged, or none, brings about.
    """
    data, labels = _unpickle(content, "data", key)
    match data:
        case _Kept(state=(_, (int(count), int(columns)), _Kept(arguments=(b"u1", *_)), is_fortran, bytes(raw))):
            if columns == PIXELS and len(raw) == count * columns:
                return np.frombuffer(raw, np.uint8).reshape(count, columns, order="F" if is_fortran else "C"), labels
    raise ValueError(f"its data are no N×{PIXELS} uint8")
