"""Who holds connections to a server now."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from adapters.doors.names import group_of
from adapters.doors.proxies import Networks

TooMany = Literal["connections", "connections_per_address"]


class Places:
    """Counts connections, all of them and those from each address but a proxy's."""

    def __init__(self, most: int, most_per_address: int, proxies: Networks) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._proxies = proxies
        self._taken = 0
        self._by_address: Counter[str] = Counter()

    def take(self, address: str) -> TooMany | None:
        """Take a place for a connection from an address, or say which limit it would pass."""
        if self._taken >= self._most:
            return "connections"
        if address not in self._proxies:
            group = group_of(address)
            if self._by_address[group] >= self._most_per_address:
                return "connections_per_address"
            self._by_address[group] += 1
        self._taken += 1
        return None

    def give_back(self, address: str) -> None:
        """A connection that has a place has ended."""
        self._taken -= 1
        group = group_of(address)
        if group in self._by_address:
            self._by_address[group] -= 1
            if self._by_address[group] <= 0:
                del self._by_address[group]
