"""Who may call back: the aggregator named in the path, with a signature that only it can make."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from adapters import clock
from adapters.aggregators import signing
from adapters.settings import Settings
from api.ingress.http import Receive, Refused, Scope, header, read_body

NEWEST: Final = 253402300799999


async def genuine_body(settings: Settings, aggregator: str, scope: Scope, receive: Receive) -> bytes:
    """The body of a callback whose signature is right.

    Raises:
        Refused: 404 no such aggregator, 413 too long, 401 signature missing, wrong or too old.
        Gone: the client went away.
    """
    account = settings.aggregators.get(aggregator)
    if account is None:
        raise Refused(404, f"no aggregator {aggregator!r} is configured")
    body = await read_body(scope, receive)
    verdict = signing.check(
        account.secret.get_secret_value().encode(),
        header(scope, signing.TIMESTAMP_HEADER),
        header(scope, signing.SIGNATURE_HEADER),
        body,
        clock.now_ms(),
    )
    if verdict != "ok":
        raise Refused(401, f"signature {verdict}: sign timestamp + '.' + body with the shared secret")
    return body


def instant(value: int | str | None, received: int, where: str) -> int:
    """Milliseconds since the epoch of an item's `at`: milliseconds, ISO 8601 with an offset, or None (now).

    Raises:
        Refused: 400, naming `where`.
    """
    if value is None:
        return received
    if isinstance(value, str):
        value = _from_iso(value, where)
    if not 0 <= value <= NEWEST:
        raise Refused(400, f"{where}: {value} is no time in milliseconds since 1970")
    return value


def _from_iso(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(400, f"{where}: {text[:40]!r} is not ISO 8601") from error
    if moment.tzinfo is None:
        raise Refused(400, f"{where}: {text[:40]!r} has no offset from UTC")
    return int(moment.timestamp() * 1000)
