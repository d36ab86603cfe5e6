"""What a process does again and again beside its steps, by what ClickHouse says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from adapters.errors import StoreError

log = logging.getLogger(__name__)


async def in_rounds(what: str, seconds: float, one_round: Callable[[], Awaitable[object]]) -> NoReturn:
    """Call `one_round` forever, `seconds` after it has ended; while ClickHouse does not answer, the next round tries
    again. `what` names it in the log.

    Raises:
        Exception: whatever else a round raises.
    """
    while True:
        try:
            await one_round()
        except StoreError as error:
            log.warning("%s waits for ClickHouse: %s", what, error)
        await asyncio.sleep(seconds)
