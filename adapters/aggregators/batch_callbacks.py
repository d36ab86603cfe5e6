"""Callbacks of the generic HTTP batch protocol: signed as `signing` says, items as the ingress reads them.

    {"receipts": [{"id": "1a2b3c4d-0-17", "status": "delivered", "code": "", "at": 1764000000000}, …]}
    {"texts": [{"id": "…", "from": "+12125550123", "to": "+18885550100", "text": "STOP", "at": 1764000000000}, …]}

What JSON forbids (see `lenient_json`) is let pass: an aggregator may have cut a text inside a character, or pasted it
in as it came, and its neighbors are not to blame.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from adapters.aggregators import signing
from adapters.aggregators.lenient_json import decode_leniently
from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import ReceiptItem
from schemas.json import Json


class _Receipts(msgspec.Struct):
    receipts: list[ReceiptItem]


_receipts = msgspec.json.Decoder(_Receipts)


class BatchCallbacks:
    """How an account calls back (a `ports.CallbackPort`)."""

    def __init__(self, settings: HttpBatchSettings) -> None:
        self._secret = settings.secret.get_secret_value().encode()

    def verify(self, header: Callable[[str], str | None], body: bytes, now: int) -> str:
        """Check the signature and its age (see `ports.CallbackPort.verify`)."""
        timestamp, signature = header(signing.TIMESTAMP_HEADER), header(signing.SIGNATURE_HEADER)
        verdict = signing.check(self._secret, timestamp, signature, body, now)
        if verdict == "ok":
            return ""
        return f"signature {verdict}: sign timestamp + '.' + body with the shared secret"

    def receipts(self, body: bytes) -> list[ReceiptItem] | list[Json]:
        """The list `receipts` (see `ports.CallbackPort.receipts`)."""
        try:
            return _receipts.decode(body).receipts
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _items(decode_leniently(body), "receipts")

    def texts(self, body: bytes) -> list[Json]:
        """The list `texts` (see `ports.CallbackPort.texts`)."""
        try:
            content: Json = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            content = decode_leniently(body)
        return _items(content, "texts")


def _items(content: Json, name: str) -> list[Json]:
    items = content.get(name) if isinstance(content, dict) else None
    if not isinstance(items, list):
        raise ValueError(f'it is not an object with a list "{name}"')
    return items
