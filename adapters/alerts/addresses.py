"""Which addresses a webhook may lead to: an account's administrator names it, and must not reach servers behind our
firewall. What counts is the address that is connected to, so that a name that changes its mind (DNS rebinding) does
not get in."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class PrivateAddress(OSError):
    """A webhook leads to an address that is not public."""


class Allowed:
    """Public addresses, those of some networks, and with `this_machine` the loopback."""

    def __init__(self, networks: Collection[str], *, this_machine: bool) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._this_machine = this_machine

    def check(self, address: str) -> None:
        """
        Raises:
            PrivateAddress: nothing may be sent there.
            ValueError: it is no address.
        """
        parsed: Address = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self._networks):
            return
        if self._this_machine and parsed.is_loopback:
            return
        if not _is_public(parsed):
            raise PrivateAddress(f"{address} is not a public address, so nothing is sent there")


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # These hold an IPv4 address that a gateway goes on to.
        return (
            address.sixtofour is None and address.teredo is None and not any(address in network for network in _NAT64)
        )
    return True


class PublicResolver(AbstractResolver):
    """Resolves names, and gives only addresses that are allowed: aiohttp connects to nothing else."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """
        Raises:
            OSError: there is no such name; PrivateAddress: one of its addresses is not allowed.
        """
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            self._allowed.check(result["host"])
        return results

    async def close(self) -> None:
        await self._resolver.close()
