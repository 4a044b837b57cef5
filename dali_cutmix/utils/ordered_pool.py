"""Pool: work that several threads or processes share, with its results in order and few of them in memory."""

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
    """Results in the order of ``items``, at most ``ahead`` of them in memory; ``advance`` is called at each."""
    remaining = iter(items)
    waiting: deque[Future] = deque(pool.submit(function, item) for item in islice(remaining, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
        advance()
        yield result
