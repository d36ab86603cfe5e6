"""Who may call back: the aggregator named in the path, with a signature that only it can make; and how its bodies are
read where something in them is odd."""

from __future__ import annotations

import json
from typing import Any

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


def decode_leniently(body: bytes) -> Any:
    """The JSON of a body of which something is odd: bytes that are not UTF-8, half a surrogate pair, NaN.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def raw_of(item: Any, body: bytes) -> bytes:
    """An item of `body` as JSON again; half surrogates stay escapes.

    What is nested as deep as can just be read cannot be written again: it is kept as the whole body.
    """
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return body


def items_of(content: Any, name: str) -> list[Any]:
    """The list `name` of a decoded body.

    Raises:
        ValueError: it is no object with that list.
    """
    items = content.get(name) if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise ValueError(f'it is no object with a list "{name}"')
    return items
