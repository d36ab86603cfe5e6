"""POST /v1/inbound/{aggregator}: texts that people sent to one of our senders.

    {"texts": [{"id": "…", "from": "+12125550123", "to": "+18885550100", "text": "STOP", "at": 1764000000000}, …]}

`at` may be absent, else milliseconds or ISO 8601. All of a request is taken, or nothing.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from adapters.ports import Emitter
from api.ingress.callbacks import instant
from api.ingress.coalesce import all_of
from api.ingress.http import Refused
from schemas import topics
from schemas.feedback import InboundText
from schemas.wire import encode

TEXT_LIMIT: Final = 4096
_E164: Final = re.compile(r"\+?([1-9][0-9]{1,14})", re.ASCII)

_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class _Text(msgspec.Struct):
    id: _Short
    person: str = msgspec.field(name="from")
    to: _Short
    text: str
    at: int | str | None = None


class _Body(msgspec.Struct):
    texts: list[_Text]


_bodies = msgspec.json.Decoder(_Body)


class Inbound:
    """Takes texts in and writes them to topic `inbound`."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter

    async def take(self, body: bytes, now: int) -> int:
        """Write the texts of a request; returns their number when Kafka has acknowledged them.

        Raises:
            Refused: 400, naming the item; nothing was written.
            EmitError: not acknowledged; some may have been written, and repeating all changes nothing more.
        """
        texts = _parse(body, now)
        writes = [
            self._emitter.emit(topics.INBOUND.name, encode(text), key=str(text.number).encode()) for text in texts
        ]
        await all_of(writes)
        return len(texts)


def _parse(body: bytes, now: int) -> list[InboundText]:
    try:
        texts = _bodies.decode(body).texts
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"not a list of texts: {error}") from error
    return [_inbound(text, now, f"texts[{index}]") for index, text in enumerate(texts)]


def _inbound(text: _Text, now: int, where: str) -> InboundText:
    number = _E164.fullmatch(text.person)
    if number is None:
        raise Refused(400, f"{where}.from: {text.person[:40]!r} is not an E.164 number")
    if len(text.text) > TEXT_LIMIT:
        raise Refused(400, f"{where}.text: longer than {TEXT_LIMIT} characters")
    at = instant(text.at, now, f"{where}.at")
    return InboundText(number=int(number[1]), sender=text.to, text=text.text, at=at, id=text.id)
