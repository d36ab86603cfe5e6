"""Delivery receipts: what each item of an aggregator says, or why it is rejected; and the states that they become.

A receipt is rejected where it cannot belong to a message that went out through the aggregator that sends it. Whether
its recipient was ever submitted is for the figures to judge (`adapters.clickhouse.recorded`), since a receipt may be
here before the lane's own word is. The order in which receipts come does not matter: states have ranks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from pipeline.feedback.inbound_time import read_time
from pipeline.identity.tokens import parse_message_id
from schemas.carrier_codes import code_text, reason_of_code
from schemas.feedback import ReceiptBatch
from schemas.json import Json
from schemas.reasons import Reason
from schemas.status import StatusChunk, StatusGroup

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
"""Characters of a code that are kept."""
LAST_ORDINAL: Final = 0xFFFF_FFFE
"""Of `schemas.wire.Ordinal`: one beyond it would spoil the record of all others."""


class Receipt(NamedTuple):
    """What an item reports about one of our messages."""

    campaign: str
    message: int
    ordinal: int
    state: State
    code: str
    at: int


class Refusal(NamedTuple):
    """Why an item is rejected: the reason to count it under, and in words."""

    cause: Reason
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What can have been sent of a campaign. `recipients` 0: not frozen yet, as far as is known here."""

    launched: bool
    messages: int
    recipients: int
    aggregators: Collection[str]
    """Which may carry it; empty where that is not known."""


def read_item(item: Json, now: int) -> Receipt | Refusal:
    """What an item says. An odd code or time does not matter: a code is cut, a time replaced by `now`."""
    if not isinstance(item, dict):
        return Refusal(Reason.NOT_AN_OBJECT, "it is not an object")
    return read_fields(item.get("id"), item.get("status"), item.get("code"), item.get("at"), now)


def read_fields(name: object, status: object, code: object, at: object, now: int) -> Receipt | Refusal:
    """What an item with these fields says."""
    named = parse_message_id(name) if isinstance(name, str) else None
    if named is None or named.ordinal > LAST_ORDINAL:
        return Refusal(Reason.FOREIGN_ID, f"id: {_shown(name)} is not one of our message ids")
    state = STATES.get(status) or STATES.get(status.strip().lower()) if isinstance(status, str) else None
    if state is None:
        return Refusal(Reason.UNKNOWN_STATUS, f"status: {_shown(status)} is no known state")
    moment = now if at is None else read_time(at, now)[0]
    return Receipt(*named, state, code_text(code)[:CODE_LIMIT], moment)


def misfit(receipt: Receipt, sent: Sent, aggregator: str) -> Refusal | None:
    """Why a receipt cannot belong to a message that was sent; None if it can."""
    if not sent.launched:
        return Refusal(Reason.NEVER_LAUNCHED, f"campaign {receipt.campaign} was never launched")
    if receipt.message >= sent.messages:
        return Refusal(
            Reason.NO_SUCH_MESSAGE,
            f"campaign {receipt.campaign} has {sent.messages} message(s), none {receipt.message}",
        )
    if sent.recipients and receipt.ordinal >= sent.recipients:
        return Refusal(Reason.NO_SUCH_RECIPIENT, f"campaign {receipt.campaign} has no recipient {receipt.ordinal}")
    if sent.aggregators and aggregator not in sent.aggregators:
        return Refusal(Reason.OTHER_AGGREGATOR, f"campaign {receipt.campaign} is not sent through {aggregator}")
    return None


def _shown(value: object) -> str:
    return repr(value)[:66].encode("utf-8", "replace").decode()


def statuses(batch: ReceiptBatch) -> StatusChunk | None:
    """The status chunk of a batch, None for an empty one; one group per state and reason.

    `at` is when the batch was received, by our clock: that of an aggregator may be wrong.
    """
    groups: dict[tuple[str, str], StatusGroup] = {}
    for ordinal, state, code in zip(batch.ordinals, batch.states, batch.codes, strict=True):
        key = (state, code)
        group = groups.get(key)
        if group is None:
            groups[key] = group = StatusGroup(state=state, ordinals=[], reason=reason_of_code(code))
        group.ordinals.append(ordinal)
    if not groups:
        return None
    return StatusChunk(
        campaign=batch.campaign,
        message=batch.message,
        at=batch.received,
        groups=list(groups.values()),
        receipts=True,
    )
