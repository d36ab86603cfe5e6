"""Alerts by POST to the address that an account names. The answer's status counts, nothing of its body is read.

2xx: it is there. 410 and an address that is not allowed are final; anything else is tried again, a redirect too,
which is never followed: it could lead anywhere, and a POST that is repeated elsewhere is no delivery.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from adapters.alerts.addresses import Allowed, PrivateAddress, PublicResolver
from adapters.alerts.outcome import SENT, Outcome, again, refused

SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
CONNECTIONS: Final = 64
GONE: Final = 410


class Webhooks:
    """Sends POSTs; made and used in one event loop."""

    def __init__(self, allowed: Allowed, seconds: float = SECONDS) -> None:
        self._allowed = allowed
        self._session = aiohttp.ClientSession(
            # A new connection each time: the address that was checked is the one that is used.
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS, force_close=True, use_dns_cache=False, resolver=PublicResolver(allowed)
            ),
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=8190,
            max_field_size=8190,
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """POST a body of JSON; returns within the time-out."""
        try:
            self._check_literal(url)
            async with self._session.post(
                url,
                data=body,
                headers={"Content-Type": "application/json", "User-Agent": "Longwave", **headers},
                allow_redirects=False,
            ) as answer:
                status = answer.status
                answer.close()  # with what is left of the answer, however long it is
        except TimeoutError:
            return again("it did not answer in time")
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, PrivateAddress):
                return refused(str(error.os_error))
            return again("its name is not known")
        except PrivateAddress as error:
            return refused(str(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return again(f"it cannot be reached: {error}")
        return _answered(status)

    def _check_literal(self, url: str) -> None:
        """aiohttp asks no resolver about an address."""
        with contextlib.suppress(ValueError):
            self._allowed.check(urlsplit(url).hostname or "")


def _answered(status: int) -> Outcome:
    if 200 <= status < 300:
        return SENT
    if status == GONE:
        return refused("it answers 410: the address is gone")
    if 300 <= status < 400:
        return again(f"it answers {status}, a redirect, which is not followed: name the address that it leads to")
    return again(f"it answers {status}")
