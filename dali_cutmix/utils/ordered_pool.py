"""Parallel map: several threads work, results come in order, and only a few are in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from typing import TypeVar

from dali_cutmix.utils.worker import Task, Worker

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Map ``function`` over ``items`` in parallel.

    Args:
        function: the work on one item.
        items: what to work on; taken only as fast as results are.
        threads: number of threads that work; each takes every ``threads``-th item.
        ahead: most results in memory.

    Yields:
        Results in the order of ``items``. After an error, or once it is closed, work on those that were taken goes on.

    Example:
        >>> from dali_cutmix.utils import in_order
        >>> list(in_order(abs, [-1, 2, -3], threads=2, ahead=4))
        [1, 2, 3]
    """
    workers: list[Worker] = []
    waiting: deque[Task[Result]] = deque()
    try:
        for _ in range(threads):
            workers.append(Worker())  # an interrupt in between stops those that were made
        for item, worker in zip(items, cycle(workers), strict=False):
            if len(waiting) == ahead:
                yield waiting.popleft().result()
            waiting.append(worker.submit(partial(function, item)))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for worker in workers:
            worker.stop()
