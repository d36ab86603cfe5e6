"""What a process is doing, for when it stands still: on SIGUSR1 it writes the stacks of its threads, and what each of
its asyncio tasks awaits, to standard error, and goes on.

    kill -USR1 PID

A process whose threads are stuck outside of Python writes the first part only.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakSet

STANDARD_ERROR: Final = 2
_loops: Final[WeakSet[asyncio.AbstractEventLoop]] = WeakSet()


def on_signal() -> None:
    """Have this process answer SIGUSR1; must be called in the main thread."""
    # It puts itself before the handler that it finds when it is registered, and only then.
    faulthandler.unregister(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda *_: _write_tasks())
    faulthandler.register(signal.SIGUSR1, file=STANDARD_ERROR, all_threads=True, chain=True)


def include(loop: asyncio.AbstractEventLoop) -> None:
    """Write the tasks of this event loop too; that of the main thread is included anyway."""
    _loops.add(loop)


def _write_tasks() -> None:
    with contextlib.suppress(RuntimeError):
        include(asyncio.get_running_loop())
    lines = [line for loop in list(_loops) for line in _of(loop)]
    sys.stderr.write("\n".join([*lines, "end of stacks", ""]))
    sys.stderr.flush()


def _of(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    for task in sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name):
        yield f"Task {task.get_name()}:"
        yield from _awaited(task.get_coro())


def _awaited(awaitable: Any) -> Iterator[str]:
    """A line for each coroutine or generator that waits for the one after it; `Task.get_stack` has the first only."""
    while awaitable is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaitable, f"{kind}_frame")), "")
        if not kind:
            yield f"  {awaitable!r:.200}"
            return
        frame = getattr(awaitable, f"{kind}_frame")
        if frame is not None:
            yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_qualname}'
        awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
