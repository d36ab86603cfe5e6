"""A pipe from the engine, which writes a result into it, to the event loop, which sends it on.

The engine formats a result as it would into a file, so every FORMAT streams, headers and footers included,
and a slow reader holds the query back instead of filling memory.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from types import TracebackType

_CHUNK = 1 << 20


class ResultPipe:
    """`path` is for the engine; the thread that ran the query calls `end_writing`, the loop reads."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        with suppress(AttributeError, OSError):  # not on macOS, and limited for some users
            fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, _CHUNK)
        self.path = f"/dev/fd/{self._writing}"

    def __enter__(self) -> ResultPipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._reading)

    def end_writing(self) -> None:
        """Let the reader see the end. Called exactly once, after the engine closed its own handle."""
        os.close(self._writing)

    async def read(self) -> bytes:
        """The next piece of the result; empty at its end."""
        while True:
            try:
                return os.read(self._reading, _CHUNK)
            except BlockingIOError:
                await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._reading, _done, ready)
        try:
            await ready
        finally:
            loop.remove_reader(self._reading)


def _done(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
