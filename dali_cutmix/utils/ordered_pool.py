"""Parallel map: several threads or processes work, results come in order, and only a few are in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Any


def in_order(
    pool: Executor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    ahead: int,
    advance: Callable[[], Any] = lambda: None,
) -> Iterator[Any]:
    """Map ``function`` over ``items`` in parallel.

    Args:
        pool: threads or processes that do the work.
        function: the work on one item.
        items: what to work on; taken only as fast as results are.
        ahead: most results in memory.
        advance: called once for each result, for a progress bar.

    Yields:
        Results in the order of ``items``.
    """
    remaining = iter(items)
    waiting: deque[Future] = deque(pool.submit(function, item) for item in islice(remaining, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
        advance()
        yield result
