"""Records of the size that the real ones have: made by the real code from 500 believable recipients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import orjson

from loadtest.bench.campaigns import FIRST_NUMBER, TEXT
from pipeline.content.outgoing import LinkSigner, compile_lane_message, everywhere
from pipeline.identity.tokens import message_ids
from schemas.chunk import RecipientChunk
from schemas.lane import FlightResult, Intent, LaneMessage, Pick, Result, ResultGroup, Work, flight_id
from schemas.status import State, StatusChunk, StatusGroup
from schemas.wire import Record, encode

CAMPAIGN = "0000bare"
AT = 1_790_000_000_000
KEY = b"0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Samples:
    """Bytes of each record of one chunk. The first byte of a lane's records tells them apart (a prefix is added)."""

    recipients: bytes
    work: bytes
    intent: bytes
    result: bytes
    queued: bytes
    in_flight: bytes
    accepted: bytes
    texts: list[str]
    _count: itertools.count[int] = field(default_factory=itertools.count)

    def batch(self) -> bytes:
        """A request's body, with message ids that were not used before (idempotency keys stay on)."""
        first = next(self._count) * 500
        ids = message_ids(CAMPAIGN, 0, range(first, first + 500))
        messages = [
            {"id": message_id, "to": f"+{FIRST_NUMBER + n}", "text": self.texts[n]}
            for n, message_id in enumerate(ids)
        ]
        return orjson.dumps({"from": "+18885550100", "messages": messages})


def samples() -> Samples:
    """The records of one chunk of 500."""
    n = 500
    ordinals, numbers = list(range(500_000, 500_000 + n)), list(range(FIRST_NUMBER, FIRST_NUMBER + n))
    fields = {"first_name": ["Marguerite"] * n, "city": ["Philadelphia"] * n}
    zones, zone = ["America/New_York"], [0] * n
    chunk = RecipientChunk(
        campaign=CAMPAIGN, revision=2, message=0, first=500_000, countries=["US"], country=[0] * n, regions=["NY"],
        region=[0] * n, numbers=numbers, zones=zones, zone=zone, fields=fields,
    )  # fmt: skip
    work = Work(
        campaign=CAMPAIGN, message=0, at=AT, ordinals=ordinals, segments=[1] * n, prices=[7900] * n, dues=[(n, AT)],
        numbers=numbers, zones=zones, zone=zone, fields=fields, account="demo", sender="main",
    )  # fmt: skip
    ids = [f"agg-{ordinal:012d}" for ordinal in ordinals]
    pick = Pick(campaign=CAMPAIGN, message=0, slices=[(123_456, 0, n)])
    intent = Intent(epoch=7, picks=[pick], at=AT)
    landed = FlightResult(flight=flight_id(123_457, 0), groups=[ResultGroup(outcome="accepted", ids=ids)])
    result = Result(flights=[landed], at=AT)
    renderer = compile_lane_message(LaneMessage(text=TEXT, links=["default"]))
    return Samples(
        recipients=encode(chunk),
        work=_marked(b"W", work),
        intent=_marked(b"I", intent),
        result=_marked(b"R", result),
        queued=encode(_status("queued", ordinals, None)),
        in_flight=encode(_status("in_flight", ordinals, None)),
        accepted=encode(_status("accepted", ordinals, ids)),
        texts=renderer.render(CAMPAIGN, 0, ordinals, fields, LinkSigner(KEY, everywhere("http://127.0.0.1:18081"))),
    )


def _marked(mark: bytes, record: Record) -> bytes:
    return mark + encode(record)


def _status(state: State, ordinals: list[int], ids: list[str] | None) -> StatusChunk:
    group = StatusGroup(state=state, ordinals=ordinals, segments=1, price=7900, ids=ids)
    return StatusChunk(campaign=CAMPAIGN, message=0, at=AT, groups=[group], lane=0)
