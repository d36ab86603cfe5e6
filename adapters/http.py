"""HTTP to processes of ours: blocking requests for the command line, a session for event loops.

A proxy of the environment is for the outside, never for the stack beside us. What speaks to an aggregator is in
`adapters.aggregators`.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

PAGE_SECONDS = 2.0

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CaError(Exception):
    """A file with authorities cannot be used; the text is for the user."""


def believing(ca: Path | None) -> ssl.SSLContext | None:
    """Whom a client believes: the authorities in a file, None for those of the system.

    Raises:
        CaError: it cannot be read, or holds no certificate.
    """
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise CaError(f"{ca} holds no certificates in PEM: name the file of the authority that vouches") from error
    except OSError as error:
        raise CaError(f"cannot read {ca}: {error.strerror}") from error


def believing_all() -> ssl.SSLContext:
    """For questions to a process beside us, under an address that is not in its certificate: they hold no secret."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request(
    url: str,
    *,
    timeout: float,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
) -> http.client.HTTPResponse:
    """The answer to a request, whose body is still to be read. `trust`: whom to believe by HTTPS (the system's).

    Raises:
        urllib.error.HTTPError: the answer is 400 or above.
        OSError, http.client.HTTPException: there is no answer (HTTPError is an OSError too).
    """
    made = urllib.request.Request(url, body, dict(headers or {}), method=method)
    opener = _opener
    if trust is not None:
        own = urllib.request.HTTPSHandler(context=trust)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), own)
    answer: http.client.HTTPResponse = opener.open(made, timeout=timeout)
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


def page(url: str, timeout: float = PAGE_SECONDS, *, trust: ssl.SSLContext | None = None) -> str:
    """The text at `url`, for instance metrics; "" where it is refused or nobody answers."""
    try:
        with request(url, timeout=timeout, trust=trust) as answer:
            return answer.read().decode()
    except (OSError, http.client.HTTPException):
        return ""


def session(
    connections: int = 100, timeout: float = 300.0, *, trust: ssl.SSLContext | None = None
) -> aiohttp.ClientSession:
    """A session without cookies for one event loop; `timeout` (seconds) is that of a whole request, `trust` is whom
    to believe by HTTPS (the system's)."""
    import aiohttp  # the command line would wait for it

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=trust or True),
        timeout=aiohttp.ClientTimeout(total=timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
