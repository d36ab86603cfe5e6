"""What comes back: receipts, clicks, inbound texts, opt-outs. Written by the ingress in batches."""

from __future__ import annotations

from hashlib import blake2b
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
    purpose: str = ""
    """What the request says it is for (`Sec-Purpose` and its older spellings)."""


class ClickBatch(Record, tag="clicks", kw_only=True):
    """Topic `clicks`, keyed by campaign."""

    campaign: Campaign
    message: MessageIndex
    clicks: list[Click]


Intent = Literal["stop", "start", "help", "doubtful", "other"]
"""What a text asks for; `doubtful` looks like an opt-out, and a person must look at it."""
TEXT_LIMIT = 4096
"""Most characters of a text that are kept."""


class InboundText(Record, tag="inbound", kw_only=True):
    """Topic `inbound`, keyed by number: a text that a person sent to one of our senders, and how it was read."""

    number: Number
    sender: str
    """Our sender, as the aggregator spells it."""
    account: str = ""
    """The account of that sender; "" if no account has it."""
    aggregator: str = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
    at: Millis
    """When it was sent, as the aggregator says; where that is no plausible time, when it came."""
    received: Millis = 0
    """When it came, by our clock."""
    id: str
    """The aggregator's id. It names nothing alone: see `pipeline.feedback.inbound.identity_of`."""
    intent: Intent
    word: str = ""
    rule: str = ""
    """Which word and rule decided."""
    notes: list[str] = msgspec.field(default_factory=list)
    """Corrections that were made: a time that was replaced, a text that was cut."""
    also: list[Number] = msgspec.field(default_factory=list)
    """Further numbers that the sender may be: what closes `number` closes them too."""


class UnreadText(Record, tag="unread", kw_only=True):
    """Topic `inbound`, keyed by `person`: a text whose sender cannot be read as a number. An operator reads it."""

    person: str
    """The sender as it came."""
    sender: str
    account: str = ""
    aggregator: str = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
    at: Millis
    received: Millis
    id: str
    intent: Intent
    word: str = ""
    rule: str = ""
    notes: list[str] = msgspec.field(default_factory=list)
    also: list[Number] = msgspec.field(default_factory=list)
    """The numbers that the sender may be: a STOP or a doubtful text closes them all."""


class Erasure(Record, tag="erasure", kw_only=True):
    """Topic `inbound`, keyed by number: all that the number said until `at` is erased, and what we know of it. In the
    log of its texts, so that whoever reads them again erases them again."""

    number: Number
    at: Millis
    who: str = ""


ConsentState = Literal["out", "in", "held"]


class Consent(Record, tag="consent", kw_only=True):
    """Topic `optouts`, compacted: one change of consent. Its key is `consent_key`; the order of the log per key is
    the order of changes, whatever `at` says.

    A number has one current consent per account (`out` or `in`, `hold` ""), and beside it any number of holds, each
    with a key of its own, so that an operator who ends a hold can never undo a STOP that came meanwhile. It is not
    written to while it is out or held, for the account or for every account.
    """

    account: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_-]*$", max_length=64)] = ""
    """"" = every account."""
    number: Number
    state: ConsentState
    """`in` with a `hold` ends that hold and changes nothing else."""
    at: Millis
    """When the person decided (ms), for people to read."""
    source: str
    """inbound (a text), link, import, api, review (an operator decided about a hold)."""
    evidence: str = ""
    word: str = ""
    rule: str = ""
    """Which word and rule of `pipeline.feedback.keywords` decided, for texts."""
    who: str = ""
    """The operator who decided, where one did."""
    hold: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]*$", max_length=32)] = ""
    """Names the hold that this record begins or ends; of a record that begins one it may be left out."""
    campaign: str = ""
    """Of a link: the campaign that carried it."""
    place: int = -1
    """Of a text: its offset in its number's partition of `inbound`, which is the order of a person's texts."""

    def __post_init__(self) -> None:
        if self.state == "held" and not self.hold:
            said = f"{self.source}\0{self.evidence}".encode("utf-8", "replace")
            self.hold = blake2b(said, digest_size=8).hexdigest()
        if self.state == "out" and self.hold:
            raise ValueError("an opt-out is no hold: write it, then end the hold")


def consent_key(record: Consent) -> bytes:
    """ACCOUNT/NUMBER of a current consent, ACCOUNT/NUMBER/HOLD of a hold."""
    key = f"{record.account}/{record.number}"
    return (f"{key}/{record.hold}" if record.hold else key).encode()


class Unreachable(Record, tag="unreachable", kw_only=True):
    """Topic `unreachable`, keyed by number, compacted: a carrier said that this number cannot be reached, or an
    operator cleared it."""

    number: Number
    state: Literal["unreachable", "cleared"] = "unreachable"
    reason: str = ""
    """One of `schemas.reasons.UNREACHABLE_REASONS`, "" of a number that was cleared."""
    at: Millis
    """When the carrier said so, or the operator cleared it."""
    account: str = ""
    campaign: str = ""
    """Whose message it was, "" for an operator."""
    message: MessageIndex = 0
    by: str = ""
    """The operator who cleared it."""


ReplyKind = Literal["stopped", "started", "help", "auto", "alert"]
"""alert: no reply, but an account's alert to its own people, which goes the same way."""


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
    """Offset of the inbound text in its partition: reading it again gives the same reply. Of an alert: of the record
    in `alerts` that it follows from."""
    cause: str
    """The aggregator's id of the inbound text, or the alert's."""


class ProcessedText(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An inbound text that was processed."""

    identity: str
    offset: Annotated[int, msgspec.Meta(ge=0)]


class TextConsent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A person's last consent change by text, for one account."""

    account: str
    state: Literal["out", "in"]
    at: Millis
    place: Annotated[int, msgspec.Meta(ge=0)]
    """Offset of the text."""


class Conversation(Record, tag="replies", kw_only=True):
    """Topic `replies`, keyed by number, compacted: our recent replies to a number, and the texts that were processed.

    Changelog of the inbound step's table, and what the writer records of replies.
    """

    number: Number
    replies: list[SentReply]
    """Those of the last day, newest last."""
    heard: list[ProcessedText]
    """The last texts, newest last."""
    starts: list[str] = msgspec.field(default_factory=list)
    """Identities of the last STARTs: one that an aggregator repeats must not undo a later STOP."""
    stated: list[TextConsent] = msgspec.field(default_factory=list)
    """By account."""
    last_text: str = ""
    """The number's last text, folded, to detect robots that repeat themselves."""
    last_at: Millis = 0


REPLIES: Codec[Conversation] = Codec(Conversation)
UNREACHABLE: Codec[Unreachable] = Codec(Unreachable)
RECEIPTS: Codec[ReceiptBatch] = Codec(ReceiptBatch)
CLICKS: Codec[ClickBatch] = Codec(ClickBatch)
INBOUND: Codec[InboundText | UnreadText | Erasure] = Codec(InboundText | UnreadText | Erasure)
OPTOUTS: Codec[Consent] = Codec(Consent)
