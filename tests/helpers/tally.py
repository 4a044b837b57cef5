"""Counts of what the suite tried, printed at its end: resumes, kills, bad inputs, damaged states, samples lost."""

from collections import Counter
from collections.abc import Iterable

COUNTS: Counter[str] = Counter()
WORDS = {
    "resumes": "resumes tried",
    "kills": "kills survived",
    "bad": "bad inputs tried",
    "faults": "faults injected",
    "outages": "outages survived",
    "states": "states mutated",
    "lost": "samples lost",
}


def count(what: str, number: int = 1) -> None:
    """Count something that was tried, once it was seen to hold."""
    assert what in WORDS, what
    COUNTS[what] += number


def assert_none_lost(expected: Iterable[object], delivered: Iterable[object]) -> None:
    """Every expected sample was delivered, the expected number of times; whatever is missing is counted as lost."""
    missing = Counter(expected) - Counter(delivered)
    COUNTS["lost"] += missing.total()
    assert not missing


def summary() -> str:
    """One line."""
    return ", ".join(f"{words}: {COUNTS[what]}" for what, words in WORDS.items())
