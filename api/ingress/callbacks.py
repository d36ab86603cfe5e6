"""Who may call back: the aggregator named in the path, with a signature that only it can make."""

from __future__ import annotations

from adapters import clock
from adapters.aggregators import signing
from adapters.settings import Settings
from api.ingress.http import Receive, Refused, Scope, header, read_body


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
