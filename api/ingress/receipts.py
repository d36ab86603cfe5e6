"""POST /v1/receipts/{aggregator}: delivery receipts, by our message id.

    {"receipts": [{"id": "1a2b3c4d-0-17", "status": "delivered", "code": "", "at": 1764000000000}, …]}

`code` and `at` may be absent; `at` is milliseconds or ISO 8601. All of a request is taken, or nothing.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from adapters.ports import Emitter
from api.ingress.callbacks import instant
from api.ingress.coalesce import Coalescer, all_of
from api.ingress.http import Refused
from pipeline.tokens import parse_message_id
from schemas import topics
from schemas.feedback import ReceiptBatch
from schemas.wire import encode

State = Literal["delivered", "undelivered", "accepted", "rejected"]

STATES: Final[dict[str, State]] = {
    "delivered": "delivered",
    "delivrd": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "undeliv": "undelivered",
    "undeliverable": "undelivered",
    "failed": "undelivered",
    "expired": "undelivered",
    "deleted": "undelivered",
    "accepted": "accepted",
    "acceptd": "accepted",
    "enroute": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "unknown": "accepted",
    "rejected": "rejected",
    "rejectd": "rejected",
}
"""What SMPP, Twilio and the generic protocol say, in lower case. "unknown" (SMPP) says that the network does not
know yet, so the message stays accepted."""

CODE_LIMIT: Final = 64
LAST_ORDINAL: Final = 0xFFFF_FFFE
"""Of `schemas.wire.Ordinal`: one beyond it would spoil the record of all others."""


class _Receipt(msgspec.Struct):
    id: str
    status: str
    code: str | int = ""
    at: int | str | None = None


class _Body(msgspec.Struct):
    receipts: list[_Receipt]


class _Row(NamedTuple):
    ordinal: int
    state: State
    code: str
    at: int


_Key = tuple[str, int]
_bodies = msgspec.json.Decoder(_Body)


class Receipts:
    """Takes receipts in and writes them to topic `receipts`."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._coalescer: Coalescer[_Key, tuple[_Row, int]] = Coalescer(self._emit)

    async def take(self, body: bytes, now: int) -> int:
        """Write the receipts of a request; returns their number when Kafka has acknowledged them.

        Raises:
            Refused: 400, naming the item; nothing was written.
            EmitError: not acknowledged; some may have been written, and repeating all changes nothing more.
        """
        groups = _parse(body, now)
        writes = [self._coalescer.add(key, [(row, now) for row in rows]) for key, rows in groups.items()]
        await all_of(writes)
        return sum(map(len, groups.values()))

    async def close(self) -> None:
        await self._coalescer.close()

    async def _emit(self, key: _Key, items: list[tuple[_Row, int]]) -> None:
        campaign, message = key
        ordinals, states, codes, times = map(list, zip(*(row for row, _ in items), strict=True))
        record = ReceiptBatch(
            campaign=campaign,
            message=message,
            received=max(received for _, received in items),
            ordinals=ordinals,
            states=states,
            codes=codes,
            times=times,
        )
        await self._emitter.emit(topics.RECEIPTS.name, encode(record), key=campaign.encode())


def _parse(body: bytes, now: int) -> dict[_Key, list[_Row]]:
    try:
        receipts = _bodies.decode(body).receipts
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"not a list of receipts: {error}") from error
    groups: dict[_Key, list[_Row]] = {}
    for index, receipt in enumerate(receipts):
        key, row = _row(receipt, now, f"receipts[{index}]")
        groups.setdefault(key, []).append(row)
    return groups


def _row(receipt: _Receipt, now: int, where: str) -> tuple[_Key, _Row]:
    named = parse_message_id(receipt.id)
    if named is None or named.ordinal > LAST_ORDINAL:
        raise Refused(400, f"{where}.id: {receipt.id[:64]!r} is none of our message ids")
    state = STATES.get(receipt.status) or STATES.get(receipt.status.lower())
    if state is None:
        raise Refused(400, f"{where}.status: {receipt.status[:40]!r} is no known state")
    code = str(receipt.code)
    if len(code) > CODE_LIMIT:
        raise Refused(400, f"{where}.code: longer than {CODE_LIMIT} characters")
    at = instant(receipt.at, now, f"{where}.at")
    return (named.campaign, named.message), _Row(named.ordinal, state, code, at)
