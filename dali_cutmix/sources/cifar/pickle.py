"""Read the pickles of CIFAR without running the code that a pickle may ask for."""

import io
import pickle
from typing import Any

import numpy as np

PIXELS = 3 * 32 * 32
_MOST_NAMES, _LONGEST = 100, 100  # a pickle may hold one long object in a million places


class _Standin:
    """Stand-in for NumPy's array and dtype: keeps what they would be built from, and runs none of their code."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _refuse_bytearray(_: Any) -> None:
    raise pickle.UnpicklingError("it has a bytearray, which files of CIFAR never have")


class _Unpickler(pickle._Unpickler):
    """Builds plain values, and stand-ins for arrays; refuses a pickle that asks for anything else.

    The one that is written in Python keeps what a pickle numbers in a dict. The other keeps it in an array that is as
    long as the largest number, 64 GiB if a damaged file says so. Both take the memory of a bytearray before they look
    whether its bytes are there.
    """

    dispatch = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: _refuse_bytearray}

    def find_class(self, module: str, name: str) -> type:
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")):
            return _Standin
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which files of CIFAR never do")


def _unpickle(content: bytes, *keys: str) -> list[Any]:
    found = _Unpickler(io.BytesIO(content), encoding="bytes").load()  # Python 2 wrote them: its strings are bytes
    if not isinstance(found, dict):
        raise ValueError("it does not hold a dict")
    for key in keys:
        if key.encode() not in found:
            raise ValueError(f"it has no {key}")
    return [found[key.encode()] for key in keys]


def pickled_names(key: str, content: bytes) -> list[str]:
    """The names of the classes, from the pickle that has them.

    Args:
        key: their key in the pickled dict.
        content: the file's bytes.

    Raises:
        Exception: the file is damaged or not a pickle; damaged bytes make pickle raise exceptions of any type.
    """
    (names,) = _unpickle(content, key)
    if not isinstance(names, list) or len(names) > _MOST_NAMES or any(len(name) > _LONGEST for name in names):
        raise ValueError(f"its names are no list of at most {_MOST_NAMES} with {_LONGEST} characters each")
    return [name.decode() for name in names]


def pickled_images(key: str, content: bytes) -> tuple[np.ndarray, Any]:
    """Rows of N×3072 uint8 and the labels as they are, from a pickle with images.

    Args:
        key: key of the labels in the pickled dict.
        content: the file's bytes.

    Raises:
        Exception: the file is damaged or not a pickle; damaged bytes make pickle raise exceptions of any type.
    """
    data, labels = _unpickle(content, "data", key)
    match data:
        case _Standin(state=(_, (int(count), int(columns)), _Standin(arguments=(b"u1", *_)), is_fortran, bytes(raw))):
            if columns == PIXELS and len(raw) == count * columns:
                if not (isinstance(labels, list) and all(type(label) is int for label in labels)):
                    raise ValueError("its labels are not whole numbers")
                return np.frombuffer(raw, np.uint8).reshape(count, columns, order="F" if is_fortran else "C"), labels
    raise ValueError(f"its data are not N×{PIXELS} uint8")
