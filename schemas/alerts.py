"""What an account's people are told: its alerts. Alerts of Prometheus, for who runs Longwave, are another thing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from schemas.feedback import SentReply
from schemas.ids import NAME_PATTERN
from schemas.wire import Codec, Count, Millis, Record

AlertKind = Literal["balance_low", "campaign_suspended", "domains_nearly_used", "test"]
"""test: an operator asked whether alerts arrive."""


MOST_TEXT: Final = 1000


class Alert(Record, tag="alert", kw_only=True):
    """Topic `alerts`, keyed by account: something that its people should know now. Whoever detects it writes it once
    per crossing, and again under the same id when the record that led to it comes again."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    """From `alert_id`."""
    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    about: AlertKind
    """`kind` is the record's own tag."""
    subject: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """The campaign's id or the kind of links; "" for the account itself."""
    at: Millis
    """When it happened."""
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_TEXT)]
    """For people: what happened, what it means for their recipients, and what to do."""


Channel = Literal["email", "webhook", "sms"]
DeliveryState = Literal["held", "waiting", "sent", "failed", "replaced", "removed"]
"""held: the destination has had its share of this hour, so it goes with others later. waiting: it is being tried.
sent: the mail server, the webhook or the sender's lane has it. replaced: a newer alert about the same thing goes
instead. removed: the account no longer names the destination."""
OPEN: Final[frozenset[DeliveryState]] = frozenset({"held", "waiting"})
"""States after which something still happens."""


class Destination(NamedTuple):
    """Where alerts of an account go."""

    channel: Channel
    to: str
    """An e-mail address, a URL, or a phone number with +."""


class Delivery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of an alert at one destination."""

    channel: Channel
    to: str
    state: DeliveryState
    batch: str = ""
    """Names what went to the destination as one message: the same at every attempt, so that whoever gets it twice can
    tell. "" while held."""
    released: Millis = 0
    """When the destination's turn came; 0 while held."""
    due: Millis = 0
    """When it is tried next, or while held: when its turn comes."""
    attempts: Count = 0
    ended: Millis = 0
    """When its state became one that is not open."""
    problem: str = ""
    """Why it was not delivered, as of the last attempt."""
    sms: SentReply | None = None
    """As the sender's lane has it."""

    @property
    def destination(self) -> Destination:
        return Destination(self.channel, self.to)


class AlertDocument(Record, tag="alert-document", kw_only=True):
    """Topic `alert-deliveries`, keyed by ACCOUNT/ALERT, compacted: an alert and what became of it."""

    alert: Alert
    place: Count
    """Offset of the alert's record in its partition of `alerts`; of one that was replayed, of the last."""
    deliveries: list[Delivery]


class AlertRelease(Record, tag="alert-release", kw_only=True):
    """Topic `alerts`: the alerts that are held for a destination may go, as one message."""

    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    channel: Channel
    to: str
    at: Millis


class AlertAttempt(Record, tag="alert-attempt", kw_only=True):
    """Topic `alerts`: what came of trying to deliver a batch."""

    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    channel: Channel
    to: str
    batch: str
    attempt: Count
    """How many there were before: one that is read again is not counted again."""
    at: Millis
    outcome: Literal["sent", "again", "refused", "removed"]
    """again: it may work later; refused: it never will; removed: the account no longer names the destination."""
    problem: str = ""


AlertsRecord = Alert | AlertRelease | AlertAttempt
ALERTS: Final = Codec[AlertsRecord](AlertsRecord)
ALERT_DELIVERIES: Final = Codec[AlertDocument](AlertDocument)


def document_key(account: str, alert: str) -> str:
    """The key of a document; no account's name has a slash."""
    return f"{account}/{alert}"


def alert_id(kind: AlertKind, account: str, *cause: object) -> str:
    """The id of an alert, from what led to it (for instance campaign and revision): the same cause gives the same id,
    so a replay tells nobody twice."""
    parts = "\0".join([kind, account, *map(str, cause)])
    return blake2b(parts.encode(), digest_size=16, person=b"longwave-alerts").hexdigest()
