"""Uncopyable: objects that own operating-system resources."""

from typing import Any, NoReturn


class Uncopyable:
    """Base of objects whose copies would share, and close, what only one of them owns.

    ``copy.copy``, ``copy.deepcopy`` and ``pickle`` raise a TypeError and leave the object as it was.
    """

    def __copy__(self) -> NoReturn:
        self._refuse()

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        self._refuse()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds operating-system resources and cannot be copied or pickled; keep the loader "
            "out of what is copied (a module, a config), and save loader.state_dict() instead."
        )
