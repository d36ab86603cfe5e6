"""The records of a lane's log (topic `lanes`, one partition a lane). docs/internals/lane.md has the rules L1–L9."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from schemas.campaign import UnknownPolicy
from schemas.chunk import MessageIndex
from schemas.domains import DomainKind
from schemas.ids import NAME_PATTERN
from schemas.wire import CHUNK_LIMIT, Campaign, Codec, Count, Millis, Number, Ordinal, Record, same_length

Epoch = Annotated[int, msgspec.Meta(ge=1)]
Segments = Annotated[int, msgspec.Meta(ge=1, le=255)]
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
"""As `schemas.ids.Name`, for msgspec."""


SenderId = tuple[str, str]
"""Names of an account and of one of its senders."""


class Work(Record, tag="work", kw_only=True):
    """Recipients to be sent to from one sender. `dues` is the due column in run lengths: [[count, due], …], due
    rising; recipients are in that order. `zones` is the dictionary of column `zone`: where a recipient is, as
    pipeline.timing.location_key writes it. `fields` are the columns that the campaign's templates use."""

    campaign: Campaign
    message: MessageIndex
    account: Name
    sender: Name
    at: Millis
    ordinals: list[Ordinal]
    numbers: list[Number]
    segments: list[Segments]
    prices: list[Count]
    dues: list[tuple[Count, Millis]]
    reasons: list[str] = msgspec.field(default_factory=list)
    """Why each run of `dues` waits, for the accounting; empty where none has a reason."""
    zones: list[str]
    zone: list[Count]
    fields: dict[str, list[str]]

    def __post_init__(self) -> None:
        n = len(self.ordinals)
        if not 0 < n <= CHUNK_LIMIT:
            raise ValueError(f"a chunk has 1 to {CHUNK_LIMIT} recipients, this one {n}")
        same_length(n, numbers=self.numbers, segments=self.segments, prices=self.prices, zone=self.zone)
        same_length(n, **self.fields)
        if sum(count for count, _ in self.dues) != n:
            raise ValueError(f"dues cover {sum(count for count, _ in self.dues)} recipients of {n}")
        if self.reasons and len(self.reasons) != len(self.dues):
            raise ValueError(f"{len(self.reasons)} reasons for {len(self.dues)} runs of dues")
        if max(self.zone) >= len(self.zones):
            raise ValueError("column zone points past its dictionary")


class Owner(Record, tag="owner", kw_only=True):
    """A worker took over the lane. Its epoch is the record's offset + 1, so epochs grow and cannot be chosen."""

    worker: str
    nonce: str
    """Unique to this assignment, so that the worker knows its own record when it reads it back."""
    at: Millis


class Heartbeat(Record, tag="heartbeat", kw_only=True):
    """The owner of `epoch` is alive; `down`: aggregators of the lane's senders that do not work. A long gap between
    heartbeats is an outage."""

    epoch: Epoch
    down: list[Name] = msgspec.field(default_factory=list)
    at: Millis


class LaneMessage(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Text of one message of a campaign, as the lane renders it."""

    text: str
    links: list[str]
    """Names of the links in order of their index in click tokens."""
    replaces_characters: bool = False
    """Whether characters that force UCS-2 are replaced (`pipeline.content.characters`)."""
    to_opted_out: bool = False
    """Whether it goes to opted-out numbers: only the confirmation of a STOP does."""


class LaneSettings(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The settings of a campaign that a lane needs."""

    messages: list[LaneMessage]
    priority: Literal["urgent", "normal", "bulk"]
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)]
    deadline: Millis | None
    unknown: UnknownPolicy
    resend_attempts: Annotated[int, msgspec.Meta(ge=2, le=10)] = 2
    """Maximum submissions of an unknown message under policy `resend`."""
    transactional: bool
    lateness: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Maximum lateness (ms) by downtime at which a message is still sent. None: no limit."""
    resolved: bool = False
    """An operator said what became of the unknown ones: none of them waits again, whatever a lost owner says."""


class Control(Record, tag="control", kw_only=True):
    """A campaign's control state (running, paused, canceled), valid from this place in the log."""

    campaign: Campaign
    revision: Annotated[int, msgspec.Meta(ge=1)]
    state: Literal["running", "paused", "canceled"]
    settings: LaneSettings
    at: Millis


Slice = tuple[Count, Count, Count]
"""(offset of the WORK, first position, position after the last)."""


class Pick(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Recipients of one message of a campaign who get it from one sender."""

    campaign: Campaign
    message: MessageIndex
    slices: list[Slice]
    domains: list[str] = msgspec.field(default_factory=list)
    """Domains of the account that the links are on, one of each kind; of a kind without one they are at the
    installation's address."""


MOST_PICKS: Final = 1024
"""Picks in an INTENT at most."""


class Intent(Record, tag="intent", kw_only=True):
    """Recipients about to be submitted in one request to one aggregator, from many senders. A pick is void unless,
    where the INTENT stands in the log, its epoch is the owner's, its campaign runs, all its recipients still wait and
    its domains have room for them; the picks are judged one after another, each by itself."""

    epoch: Epoch
    picks: Annotated[list[Pick], msgspec.Meta(max_length=MOST_PICKS)]
    at: Millis

    @property
    def slices(self) -> list[Slice]:
        """Those of all picks."""
        return [slice_ for pick in self.picks for slice_ in pick.slices]


def flight_id(intent: int, pick: int) -> int:
    """Names a pick of the INTENT at an offset, and the flight that it becomes."""
    return intent * MOST_PICKS + pick


def intent_of(flight: int) -> int:
    """The offset of the INTENT that a flight is of."""
    return flight // MOST_PICKS


class ResultGroup(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Outcome of some recipients of a flight. `indices` count through its slices; None means all of them.

    accepted: `ids` are the aggregator's. rejected: permanent, see `reason`. retry: certainly not processed, waits
    until `due`. unknown: may have been processed. skipped, expired: the last check before submitting held it back.
    """

    outcome: Literal["accepted", "rejected", "retry", "unknown", "skipped", "expired"]
    reason: str = ""
    indices: list[Count] | None = None
    ids: list[str] | None = None
    due: Millis = 0


class FlightResult(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Outcome of one flight, named by `flight_id`."""

    flight: Count
    groups: list[ResultGroup]
    segments: list[Segments] | None = None
    """Of the text of each of the flight's recipients as it went out; None: as the WORK has them. They differ where a
    link is on a shorter or longer domain than the WORK was counted with."""


class Result(Record, tag="result", kw_only=True):
    """Outcomes of flights, mostly of all that one INTENT became."""

    flights: list[FlightResult]
    at: Millis
    asked: bool = False
    """Whether the aggregator was queried for them afterwards (policy `query`); then unknown is final."""


class Finish(Record, tag="finish", kw_only=True):
    """The campaign is finished: each of its recipients is accounted for, so every WORK that still comes is a repeat.
    With this the lane forgets which ordinals it has seen of the campaign, and all else that it knew of it."""

    campaign: Campaign
    at: Millis


class Drop(Record, tag="drop", kw_only=True):
    """Waiting recipients that will not be submitted: opted out, past the deadline."""

    epoch: Epoch
    slices: list[Slice]
    state: Literal["skipped", "expired"]
    reason: str
    at: Millis


class Defer(Record, tag="defer", kw_only=True):
    """Waiting recipients that may not be submitted before `due` (quiet hours began, carrier's day is used up)."""

    epoch: Epoch
    slices: list[Slice]
    due: Millis
    reason: str
    at: Millis


class AccountTerms(Record, tag="account", kw_only=True):
    """What limits an account's senders in this lane, valid from this place in the log. A record whose `revision` is
    not newer than the last one of the account says nothing."""

    account: Name
    revision: Annotated[int, msgspec.Meta(ge=1)]
    rate: Annotated[float, msgspec.Meta(gt=0)]
    """Segments that all its senders in this lane submit together in any second at most."""
    carrier_daily: dict[str, dict[str, Count]] = msgspec.field(default_factory=dict)
    """Brand (a sender's `brand`) -> carrier -> segments per day at most, this lane's share."""
    zone: str = "America/Los_Angeles"
    """At whose midnight a carrier's day ends."""
    at: Millis


class SenderTerms(Record, tag="sender", kw_only=True):
    """A sender as this lane has it, valid from this place in the log, with the same rule for `revision`. A sender
    that was `removed` submits nothing."""

    account: Name
    sender: Name
    revision: Annotated[int, msgspec.Meta(ge=1)]
    number: str
    """What messages come from: a number, short code or name."""
    aggregator: Name
    rate: Annotated[float, msgspec.Meta(gt=0)]
    """Segments per second at most, this lane's share."""
    brand: str = ""
    removed: bool = False
    at: Millis


class DomainLimit(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A domain that an account's links may be on."""

    name: str
    use: DomainKind
    messages: Count | None
    """That may carry it from this lane, over its whole life; None: no limit."""


class DomainTerms(Record, tag="domains", kw_only=True):
    """The domains of an account's links in this lane, valid from this place in the log, with the same rule for
    `revision`."""

    account: Name
    revision: Annotated[int, msgspec.Meta(ge=1)]
    domains: list[DomainLimit]
    required: list[DomainKind]
    """Kinds whose links may only be on one of these domains."""
    at: Millis


class SubmissionJournal(Record, tag="journal", kw_only=True):
    """What a worker's process left on its disk when it died, as reported by the process started in its place.

    Of the INTENTs that the dead process wrote as the owners `nonces` and that have no RESULT here, only those at the
    offsets `submitted` may have been submitted. Offsets and epochs do not tell owners apart: a log that lost its end,
    or was made anew, has them twice.
    """

    worker: str
    nonces: list[str]
    submitted: list[Count]
    at: Millis


class CheckpointPart(Record, tag="checkpoint", kw_only=True):
    """Part `part` (0-based) of the lane's state after the record at `as_of - 1`; see `pipeline.lane.checkpoint`.

    `payload` is base64 of compressed bytes with a share of the state, and `digest` is of these bytes. Parts of one
    checkpoint share their `identity`; only the last one says in `parts` how many there are. Valid only when all parts
    are in the log and the digests fit. `form` is the version of all this.
    """

    form: Annotated[int, msgspec.Meta(ge=1)]
    epoch: Epoch
    as_of: Count
    identity: str
    part: Count
    parts: Count
    digest: str
    payload: str


LaneRecord = (
    Work
    | Owner
    | Heartbeat
    | Control
    | AccountTerms
    | SenderTerms
    | DomainTerms
    | Intent
    | Result
    | Drop
    | Defer
    | Finish
    | SubmissionJournal
    | CheckpointPart
)
LANES: Codec[LaneRecord] = Codec(LaneRecord)
