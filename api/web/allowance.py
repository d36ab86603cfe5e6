"""How often may be asked: requests of a key, and wrong keys from an address. Counted in each process on its own."""

from __future__ import annotations

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

GUESSES: Final = RateLimitItemPerMinute(10, 5)
"""Wrong keys from one address in five minutes; after them no key is looked at that comes from there."""


class Allowance:
    """Counts requests in moving windows."""

    def __init__(self, requests_per_second: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_key = RateLimitItemPerSecond(requests_per_second)

    def wrong_key(self, address: str) -> None:
        """A wrong key came from this address."""
        self._limiter.hit(GUESSES, address)

    def seconds_locked(self, address: str) -> int:
        """Seconds until keys from this address are looked at again; 0 for now."""
        return 0 if self._limiter.test(GUESSES, address) else self._seconds(GUESSES, address)

    def request(self, key_id: str) -> int:
        """Count a request of a key; seconds until it may be tried again, 0 if it may go on."""
        return 0 if self._limiter.hit(self._per_key, key_id) else self._seconds(self._per_key, key_id)

    def _seconds(self, limit: RateLimitItem, name: str) -> int:
        return max(1, math.ceil(self._limiter.get_window_stats(limit, name).reset_time - time.time()))
