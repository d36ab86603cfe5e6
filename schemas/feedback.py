"""What comes back: receipts, clicks, inbound texts, opt-outs. Written by the ingress in batches."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from schemas.chunk import MessageIndex
from schemas.wire import Campaign, Codec, Millis, Number, Ordinal, Record, same_length


class ReceiptBatch(Record, tag="receipts", kw_only=True):
    """Topic `receipts`, keyed by campaign: delivery receipts that carry our message id (columns of n)."""

    campaign: Campaign
    message: MessageIndex
    received: Millis
    ordinals: list[Ordinal]
    states: list[Literal["delivered", "undelivered", "accepted", "rejected"]]
    codes: list[str]
    """The aggregator's error code, "" for none."""
    times: list[Millis]

    def __post_init__(self) -> None:
        same_length(len(self.ordinals), states=self.states, codes=self.codes, times=self.times)


class Click(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One request of a short link whose token was genuine."""

    ordinal: Ordinal
    link: Annotated[int, msgspec.Meta(ge=0, le=255)]
    at: Millis
    method: str
    user_agent: str


class ClickBatch(Record, tag="clicks", kw_only=True):
    """Topic `clicks`, keyed by campaign."""

    campaign: Campaign
    message: MessageIndex
    clicks: list[Click]


class InboundText(Record, tag="inbound", kw_only=True):
    """Topic `inbound`, keyed by number: a text that a person sent to one of our senders."""

    number: Number
    sender: str
    text: Annotated[str, msgspec.Meta(max_length=4096)]
    at: Millis
    id: str
    """The aggregator's id of the inbound text: its repetition changes nothing."""


class OptOut(Record, tag="optout", kw_only=True):
    """Topic `optouts`, keyed by number, compacted: whether this number is opted out now, and why."""

    number: Number
    out: bool
    at: Millis
    source: str
    evidence: str = ""


ReplyKind = Literal["stopped", "started", "help", "auto"]


class SentReply(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A reply of ours: the message (campaign, message, ordinal), and the inbound text that it answers."""

    kind: ReplyKind
    campaign: Campaign
    message: MessageIndex
    ordinal: Ordinal
    lane: int
    account: str
    sender: str
    text: str
    segments: Annotated[int, msgspec.Meta(ge=1, le=255)]
    price: int
    """Millionths of a credit per segment."""
    at: Millis
    due: Millis
    offset: Annotated[int, msgspec.Meta(ge=0)]
    """Offset of the inbound text in its partition: reading it again gives the same reply."""
    cause: str
    """The aggregator's id of the inbound text."""


class Heard(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An inbound text that was dealt with."""

    id: str
    offset: Annotated[int, msgspec.Meta(ge=0)]


class Conversation(Record, tag="replies", kw_only=True):
    """Topic `replies`, keyed by number, compacted: what we said to a number lately, and which texts we dealt with.

    Changelog of the inbound step's table, and what the writer records of replies.
    """

    number: Number
    replies: list[SentReply]
    """Those of the last day, newest last."""
    heard: list[Heard]
    """The last texts, newest last."""
    last_text: str = ""
    """What the number said last, folded: a robot repeats itself."""
    last_at: Millis = 0


REPLIES: Codec[Conversation] = Codec(Conversation)
RECEIPTS: Codec[ReceiptBatch] = Codec(ReceiptBatch)
CLICKS: Codec[ClickBatch] = Codec(ClickBatch)
INBOUND: Codec[InboundText] = Codec(InboundText)
OPTOUTS: Codec[OptOut] = Codec(OptOut)
