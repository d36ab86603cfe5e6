"""HTTP to processes of ours: blocking requests for the command line, a session for event loops.

A proxy of the environment is for the outside, never for the stack beside us. What speaks to an aggregator is in
`adapters.aggregators`.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

PAGE_SECONDS = 2.0

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(
    url: str,
    *,
    timeout: float,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> http.client.HTTPResponse:
    """The answer to a request, whose body is still to be read.

    Raises:
        urllib.error.HTTPError: the answer is 400 or above.
        OSError, http.client.HTTPException: there is no answer (HTTPError is an OSError too).
    """
    made = urllib.request.Request(url, body, dict(headers or {}), method=method)
    answer: http.client.HTTPResponse = _opener.open(made, timeout=timeout)
    return answer


def answers(url: str) -> bool:
    """Whether `url` answers below 500."""
    try:
        with request(url, timeout=PAGE_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, http.client.HTTPException):
        return False


def page(url: str, timeout: float = PAGE_SECONDS) -> str:
    """The text at `url`, for instance metrics; "" where it is refused or nobody answers."""
    try:
        with request(url, timeout=timeout) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return ""


def session(connections: int = 100, timeout: float = 300.0) -> aiohttp.ClientSession:
    """A session without cookies for one event loop; `timeout` (seconds) is that of a whole request."""
    import aiohttp  # the command line would wait for it

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
