"""Doing the next things while the last one is still in use, and never too many of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREAD_NAME = "ahead"
_END = object()


class Ahead:
    """Threads that compute ahead; they end with the ``with`` block, however that is left.

    Whoever leaves early waits for the items in the making, and no longer.
    """

    def __init__(self) -> None:
        self._pools: list[ThreadPoolExecutor] = []

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # All are told before one is waited for: a thread may be waiting for an item of another.
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown(wait=True)

    def of(self, items: Iterator[T], depth: int) -> Iterator[T]:
        """``items`` in their order, computed in one thread, at most ``depth`` ahead of their use.

        The item in the making counts. What computing an item raises is raised in its place; with
        ``depth`` 0 there is no thread.
        """
        if depth == 0:
            return items
        pool = ThreadPoolExecutor(1, thread_name_prefix=THREAD_NAME)
        self._pools.append(pool)
        return _coming(pool, items, depth)


def _coming(pool: Executor, items: Iterator[T], depth: int) -> Iterator[T]:
    coming = deque(pool.submit(next, items, _END) for _ in range(depth))
    while (item := coming.popleft().result()) is not _END:
        coming.append(pool.submit(next, items, _END))
        yield item  # type: ignore[misc]  # it is not the end, so it is a T


def mapped(
    pool: Executor | None, work: Callable[[T], R], items: Iterator[T], depth: int
) -> Iterator[R]:
    """``work(item)`` of ``items`` in their order, at most ``depth`` of them in ``pool`` at a time.

    What the work raises is raised in its place. Without a pool each is done when it is asked for.
    """
    if pool is None:
        yield from map(work, items)
        return
    begun: deque[Future[R]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        while begun and (len(begun) >= depth or begun[0].done()):
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
