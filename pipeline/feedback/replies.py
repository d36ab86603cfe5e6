"""Which replies to people's texts go out: each once, within limits, and never in an endless exchange with a machine.

A reply is a message like any other: it has a campaign (one for each sender, made by the system and never finished)
and an ordinal, and goes through its sender's lane. Its ordinal comes from the place of the inbound text in Kafka. So
reading that text again, whatever our tables contain, can only lead to the same message, which its lane has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

from pipeline.accounts.prices import PriceList
from pipeline.content.segments import count
from pipeline.feedback.inbound import identity_of
from pipeline.identity.crockford import CAMPAIGN_OCTETS, campaign_from_octets
from pipeline.numbers.numbering import Accepted, read
from schemas.feedback import Conversation, InboundText, ProcessedText, ReplyKind, SentReply
from schemas.lane import Control, LaneMessage, LaneSettings, Work

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
HEARD: Final = 16
"""Texts of a number that are remembered, so that the aggregator may repeat them."""
CONFIRMATIONS: Final = 3
"""Maximum confirmed STOPs of a number in a day: a person may change their mind, a bot does so forever."""
SHORTEST_NUMBER: Final = 1_000_000
"""A shorter number is a short code, which is a machine's."""
AFTER_START_MS: Final = 2000
"""A confirmed START waits this long, until every lane knows that the number is in again."""
ORDINALS: Final = 0xFFFF_FFFF

ANSWER, CONFIRMATION = 0, 1
"""The messages of a sender's campaign: all others, and the confirmation of a STOP, which goes to who is opted out."""


class Place(NamedTuple):
    """Where the inbound text is in Kafka."""

    partition: int
    partitions: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTerms:
    """What the settings say of a sender's replies."""

    account: str
    sender: str
    """Name of the sender in the settings."""
    lanes: Sequence[int]
    texts: Mapping[ReplyKind, str]
    """As they go out; "" where there is no answer."""
    per_hour: int
    per_day: int
    """Replies to one number at most, confirmed STOPs apart."""
    prices: PriceList
    ours: frozenset[int]
    """All numbers of ours: one machine must not talk with itself."""


Repetition = Literal["new", "read_again", "said_again", "forgotten"]
"""Of a text: nobody has dealt with it; it was dealt with at this very place, and is read again; the aggregator says
again what was dealt with at another place; it stands before what was dealt with, so it was dealt with too."""


def repetition_of(before: Conversation | None, text: InboundText, place: Place) -> Repetition:
    """Whether a text was processed before. A person's texts are read in the order of their log."""
    heard = before.heard if before is not None else []
    if any(earlier.offset == place.offset for earlier in heard):
        return "read_again"
    if heard and place.offset < heard[-1].offset:
        return "forgotten"
    identity = identity_of(text)
    return "said_again" if any(earlier.identity == identity for earlier in heard) else "new"


def converse(
    before: Conversation | None,
    text: InboundText,
    kind: ReplyKind | None,
    terms: ReplyTerms | None,
    place: Place,
    now: int,
) -> tuple[Conversation, SentReply | None]:
    """The conversation with a number after a text of theirs, and our reply to it.

    `kind` is the answer that is due (`pipeline.feedback.inbound`), `terms` those of the sender that received the
    text, None if it is none of ours. A text that is read from the same place again gives the same again.
    """
    if before is not None and any(earlier.offset == place.offset for earlier in before.heard):
        return before, next((reply for reply in before.replies if reply.offset == place.offset), None)
    recent = [earlier for earlier in (before.replies if before is not None else []) if earlier.at > now - DAY]
    folded = fold(text.text)
    reply = None
    if kind is not None and terms is not None and not _silent(before, recent, text, kind, terms, now):
        reply = _reply(text, kind, terms, place, now)
        recent.append(reply)
    heard = [
        *(before.heard if before is not None else []),
        ProcessedText(identity=identity_of(text), offset=place.offset),
    ][-HEARD:]
    after = Conversation(
        number=text.number,
        replies=recent,
        heard=heard,
        starts=before.starts if before is not None else [],
        stated=before.stated if before is not None else [],
        last_text=folded[:160],
        last_at=now,
    )
    return after, reply


def fold(text: str) -> str:
    """A text normalized for comparison: without case and extra blanks."""
    return " ".join(text.casefold().split())


def _silent(
    before: Conversation | None,
    recent: Sequence[SentReply],
    text: InboundText,
    kind: ReplyKind,
    terms: ReplyTerms,
    now: int,
) -> bool:
    """Why there is no reply: none is configured, a machine writes, or there were enough."""
    if not terms.texts.get(kind) or text.number < SHORTEST_NUMBER or text.number in terms.ours:
        return True
    if kind == "stopped":
        return sum(earlier.kind == "stopped" for earlier in recent) >= CONFIRMATIONS
    folded = fold(text.text)
    if any(fold(earlier.text) == folded for earlier in recent):
        return True
    if kind == "auto" and before is not None and before.last_text == folded[:160] and before.last_at > now - DAY:
        return True
    others = [earlier.at for earlier in recent if earlier.kind != "stopped"]
    return len(others) >= terms.per_day or sum(at > now - HOUR for at in others) >= terms.per_hour


def _reply(text: InboundText, kind: ReplyKind, terms: ReplyTerms, place: Place, now: int) -> SentReply:
    series, ordinal = message_at(place)
    return SentReply(
        kind=kind,
        campaign=reply_campaign(terms.account, terms.sender, series),
        message=CONFIRMATION if kind == "stopped" else ANSWER,
        ordinal=ordinal,
        lane=terms.lanes[ordinal % len(terms.lanes)],
        account=terms.account,
        sender=terms.sender,
        text=terms.texts[kind],
        segments=count(terms.texts[kind]).parts,
        price=price_of(f"+{text.number}", terms.prices, now),
        at=now,
        due=now + (AFTER_START_MS if kind == "started" else 0),
        offset=place.offset,
        cause=text.id,
    )


def reply_campaign(account: str, sender: str, series: int = 0) -> str:
    """The id of the campaign that a sender's replies belong to; `series` counts exhausted spaces of ordinals."""
    return system_campaign(b"longwave-replies", account, sender, series)


def message_at(place: Place, index: int = 0, most: int = 1) -> tuple[int, int]:
    """(series, ordinal) of message number `index` of the `most` that may follow from a record at a place in Kafka.
    Another series is another campaign: the ordinals of one are exhausted some day."""
    return divmod((place.offset * place.partitions + place.partition) * most + index, ORDINALS)


def system_campaign(purpose: bytes, account: str, sender: str, series: int) -> str:
    """The id of the campaign that the system makes for what it sends from a sender; `purpose`: at most 16 octets."""
    name = f"{account}/{sender}/{series}".encode()
    return campaign_from_octets(blake2b(name, digest_size=CAMPAIGN_OCTETS, person=purpose).digest())


def country_of(number: str) -> str:
    """The country of a number with + and country code; "" where that is none."""
    outcome = read(number, "")
    return outcome.country if isinstance(outcome, Accepted) else ""


def price_of(number: str, prices: PriceList, now: int) -> int:
    """What a segment to a number costs (millionths of a credit). What the system sends goes out though nobody has set
    its price: the law wants a STOP confirmed."""
    return max(0, prices.of(country_of(number), now))


def control_of(reply: SentReply) -> Control:
    """What the lane must know of the campaign; always the same, so that repeating it changes nothing."""
    message = LaneMessage(text="{text}", links=[])
    confirmation = LaneMessage(text="{text}", links=[], to_opted_out=True)
    settings = LaneSettings(
        messages=[message, confirmation], priority="urgent", weight=1, deadline=None, unknown="skip",
        transactional=True,
    )  # fmt: skip
    return Control(campaign=reply.campaign, revision=1, state="running", settings=settings, at=reply.at)


def work_of(reply: SentReply, number: int) -> Work:
    """The reply as the lane takes it: replies are transactional, so no quiet hours hold them."""
    return Work(
        campaign=reply.campaign,
        message=reply.message,
        account=reply.account,
        sender=reply.sender,
        at=reply.at,
        ordinals=[reply.ordinal],
        numbers=[number],
        segments=[reply.segments],
        prices=[reply.price],
        dues=[(1, reply.due)],
        zones=[""],
        zone=[0],
        fields={"text": [reply.text]},
    )
