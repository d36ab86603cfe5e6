"""Gathers what several requests bring for the same record, so that Kafka and the agents get few large records.

A Faust event costs the same with one receipt as with two thousand. What arrives within `LINGER_SECONDS` for one
key goes out together; each caller waits until the record that holds its items was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

LINGER_SECONDS: Final = 0.01
ITEMS_LIMIT: Final = 2000
"""Items in one record at most: some 200 kB."""

K = TypeVar("K")
T = TypeVar("T")


async def all_of(writes: Sequence[Awaitable[object]]) -> None:
    """Wait for all, then raise the first failure: an answer must not overtake what is still being written."""
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


class _Group(Generic[T]):
    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.items: list[T] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timer = timer


class Coalescer(Generic[K, T]):
    """`emit(key, items)` writes one record and returns on its acknowledgement. Used in one event loop."""

    def __init__(self, emit: Callable[[K, list[T]], Awaitable[None]]) -> None:
        self._emit = emit
        self._open: dict[K, _Group[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, key: K, items: list[T]) -> None:
        """Have items written; returns when all are acknowledged. Raises what `emit` raised, if any failed."""
        waits = [self._put(key, items[at : at + ITEMS_LIMIT]) for at in range(0, len(items), ITEMS_LIMIT)]
        await all_of([asyncio.shield(wait) for wait in waits])

    async def close(self) -> None:
        """Write what is open and wait for it."""
        for key in list(self._open):
            self._flush(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _put(self, key: K, items: list[T]) -> asyncio.Future[None]:
        group = self._open.get(key)
        if group is not None and len(group.items) + len(items) > ITEMS_LIMIT:
            self._flush(key)
            group = None
        if group is None:
            timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._flush, key)
            group = self._open[key] = _Group(timer)
        group.items.extend(items)
        if len(group.items) >= ITEMS_LIMIT:
            self._flush(key)
        return group.done

    def _flush(self, key: K) -> None:
        group = self._open.pop(key)
        group.timer.cancel()
        task = asyncio.create_task(self._write(key, group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, key: K, group: _Group[T]) -> None:
        try:
            await self._emit(key, group.items)
        except Exception as error:  # noqa: BLE001  every caller that waits for this record must hear of it
            group.done.set_exception(error)
            group.done.exception()  # heard here, in case every caller has gone
        else:
            group.done.set_result(None)
