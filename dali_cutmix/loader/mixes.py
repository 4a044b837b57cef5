"""Mixes: the mixes of a loader's graph, switched on and off by name, and what a state holds of them."""

from typing import Any

import numpy as np

from dali_cutmix.loader.state_form import damaged, shortened
from dali_cutmix.ops import Mixing


class Mixes:
    """The mixes of a graph, by name.

    Args:
        mixings: from the graph's notes; the graph's operators read them whenever they make a batch.
    """

    def __init__(self, mixings: dict[str, Mixing]) -> None:
        self._mixings = mixings
        self.apply(dict.fromkeys(mixings, True))  # a loader before, which is gone by now, may have switched them

    @property
    def enabled(self) -> dict[str, bool]:
        """Whether each mix is switched on; never one whose policy is None."""
        return {name: mixing.mixes for name, mixing in self._mixings.items()}

    @property
    def packed(self) -> bool | dict[str, bool]:
        """What a state holds: a bool for one mix or none, as it was before there could be several; else by name."""
        return self.enabled if len(self._mixings) > 1 else any(self.enabled.values())

    def changed_by(self, enabled: dict[str, bool]) -> bool:
        """Whether switching these mixes changes any batch."""
        mixings = self._mixings
        return any(mixings[name].policy is not None and mixings[name].enabled != on for name, on in enabled.items())

    def apply(self, enabled: dict[str, bool]) -> None:
        """Switch mixes on and off."""
        for name, on in enabled.items():
            self._mixings[name].enabled = on

    def all(self, enabled: bool) -> dict[str, bool]:
        """What to ``apply`` to switch all of them.

        Raises:
            ValueError: ``enabled`` is not a bool, or there is none to switch on.
        """
        enabled = _as_bool("mixup_enabled", enabled)
        if enabled and not any(mixing.policy for mixing in self._mixings.values()):
            raise ValueError("mixup_enabled=True given, but the graph has no mixing policy; build the loader with one.")
        return dict.fromkeys(self._mixings, enabled)

    def one(self, name: str, enabled: bool) -> dict[str, bool]:
        """What to ``apply`` to switch one of them.

        Raises:
            ValueError: ``enabled`` is not a bool, there is no such mix, or it has no policy to switch on.
        """
        enabled = _as_bool("switch_mix: enabled", enabled)
        if name not in self._mixings:
            names = ", ".join(map(repr, self._mixings)) or "none"
            raise ValueError(f"switch_mix: name={name!r} given; the mixes of this graph are: {names}.")
        if enabled and self._mixings[name].policy is None:
            raise ValueError(
                f"switch_mix: {name!r} given, which has no policy to switch on; build the loader with one."
            )
        return {name: enabled}

    def unpack(self, saved: Any) -> dict[str, bool]:
        """Read what a state holds of them.

        Args:
            saved: ``mixup_enabled`` of the state.

        Raises:
            ValueError: the state is damaged.
        """
        names = [*self._mixings]
        values = saved.values() if isinstance(saved, dict) and {*saved} == {*names} else [None]
        if len(names) > 1 and all(isinstance(on, bool) for on in values):
            return dict(saved)
        if len(names) <= 1 and isinstance(saved, bool):
            return dict.fromkeys(names, saved)
        each = f" for each of {', '.join(map(repr, names))}" if len(names) > 1 else ""
        raise damaged(f"mixup_enabled={shortened(saved)} given; allowed is True or False{each}")


def _as_bool(name: str, given: Any) -> bool:
    if not isinstance(given, (bool, np.bool_)):
        raise ValueError(
            f"{name}={given!r} given; allowed are True and False. Convert it first: a text such as 'False' is true in "
            "Python."
        )
    return bool(given)
