"""The state that a lane's log folds to. `pipeline.lane.fold` has the fold."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import cramjam
from pyroaring import BitMap

from pipeline.content.outgoing import domain_kinds
from pipeline.lane.delay_table import DelayTable, QueueId, Span
from pipeline.lane.lateness import Downtime
from pipeline.lane.scheduler import Key
from pipeline.limits.carrier_day import FIELD, ZONE, Brand, CarrierDays, day_of
from pipeline.limits.domains import DomainCounts
from schemas.domains import DomainKind
from schemas.lane import LANES, AccountTerms, Control, DomainTerms, SenderId, SenderTerms, Slice, Work, intent_of

DECODED = 64_000
"""Recipients of decoded WORKs that are kept: a chunk is read at WORK, INTENT and RESULT, mostly in close succession.
Slow senders have small chunks (`pipeline.eligibility.decide`), so that those of thousands fit."""

LAST_ATTEMPT = 65535

KEYED_ATTEMPTS = 10
"""Maximum submissions of a message where the aggregator refuses a repeated id: repeats are harmless, but must end."""


@dataclass(slots=True)
class Chunk:
    """A WORK with recipients that wait or are in flight; its bytes are kept compressed."""

    offset: int
    key: Key
    sender: SenderId
    packed: bytes
    spans: list[Span] = field(default_factory=list)
    """Waiting spans in order of position."""
    flights: int = 0
    """In-flight or orphaned slices that need the chunk's columns."""
    uncertain: list[Slice] = field(default_factory=list)
    """Slices that wait again after an attempt without an answer, which may have arrived (`pipeline.lane.uncertain`);
    named once for each such attempt."""
    moved: list[tuple[int, int, int]] = field(default_factory=list)
    """(start, stop, due): positions whose planned time a rule moved to `due` (ms); `pipeline.lane.lateness`."""

    @property
    def queue(self) -> QueueId:
        """Where its recipients wait when they are due."""
        return self.sender, self.key


@dataclass(slots=True)
class Flight:
    """Slices of a valid pick of an INTENT without a RESULT, each with its attempt."""

    id: int
    """As `schemas.lane.flight_id` has it."""
    epoch: int
    key: Key
    sender: SenderId
    aggregator: str
    """Where it goes, by the sender's terms at its INTENT: whoever asks what became of it asks there."""
    brand: Brand
    day: int
    """The brand's day (proleptic Gregorian ordinal) that its segments count for."""
    slices: list[Slice]
    attempts: list[int]
    at: int
    orphan: bool = False
    """Its owner lost the lane before a RESULT. Unless `asking`, the statuses that the policy demands were emitted."""
    resent: bool = False
    """An orphan whose recipients wait again."""
    asking: bool = False
    """The outcome of what is not `settled` is unknown. It stays in flight until the aggregator has answered, or the
    time to wait for the lost owner is over."""
    settled: list[Slice] = field(default_factory=list)
    """Slices that are settled already, by the late RESULT of an earlier attempt or by an earlier RESULT of an
    `asking` flight. They never wait again because of this flight."""
    dropped: list[tuple[Slice, int, str, str]] = field(default_factory=list)
    """(slice, attempt, state, reason) of recipients who ended without a submission while this flight may have
    arrived. They are unknown; once its RESULT proves that it was not submitted, they get `state`."""
    nonce: str = ""
    """Nonce of the OWNER that wrote the INTENT."""
    domains: list[str] = field(default_factory=list)
    """Domains that its links are on (`schemas.lane.Pick`)."""

    @property
    def intent(self) -> int:
        """Offset of the INTENT."""
        return intent_of(self.id)

    @property
    def count(self) -> int:
        return sum(stop - start for _, start, stop in self.slices)

    def open(self) -> list[tuple[Slice, int]]:
        """The slices that are not settled, with their attempts."""
        return [
            (open_slice, attempt)
            for slice_, attempt in zip(self.slices, self.attempts, strict=True)
            for open_slice in subtract(slice_, self.settled)
        ]


class LaneState:
    """State of one lane after the records below `next_offset`."""

    def __init__(self) -> None:
        self.next_offset = 0
        self.epoch = 0
        self.nonce = ""
        self.owned_at = 0
        self.last_intent_at = 0
        self.campaigns: dict[str, Control] = {}
        self.accounts: dict[str, AccountTerms] = {}
        self.senders: dict[tuple[str, str], SenderTerms] = {}
        """By account and sender; removed ones too, so that an old record does not bring one back."""
        self.domains: dict[str, DomainTerms] = {}
        """By account."""
        self.finished: set[str] = set()
        """Campaigns whose every ordinal counts as seen. Kept forever, 9 bytes each in a checkpoint: an old topic that
        is read again, however late, must not restart a campaign."""
        self.seen: dict[Key, BitMap] = {}
        self.chunks: dict[int, Chunk] = {}
        self.flights: dict[int, Flight] = {}
        self.resent: dict[int, Flight] = {}
        """Lost flights that may have arrived and whose recipients waited again."""
        self.table = DelayTable()
        self.carriers = CarrierDays()
        self.domain_counts = DomainCounts()
        self.downtime = Downtime()
        """When the lane had no owner."""
        self.away: dict[str, Downtime] = {}
        """When an aggregator of its senders did not work, or the lane had no owner: for those that were ever down."""
        self.resumed: dict[str, int] = {}
        """When a person last resumed a campaign (ms); time before that is not lateness."""
        self.waiting = 0
        """Recipients who wait, due or not."""
        self.live_bytes = 0
        self._decoded: OrderedDict[int, Work] = OrderedDict()
        self._decoded_count = 0

    def running(self, campaign: str) -> bool:
        control = self.campaigns.get(campaign)
        return control is not None and control.state == "running"

    def canceled(self, campaign: str) -> bool:
        control = self.campaigns.get(campaign)
        return control is not None and control.state == "canceled"

    def resends(self, campaign: str) -> bool:
        """Whether a submission that may or may not have arrived is repeated (rule L4)."""
        control = self.campaigns.get(campaign)
        return (
            control is not None
            and control.state != "canceled"
            and control.settings.unknown in {"resend", "resend-with-key"}
        )

    def may_wait_again(self, campaign: str) -> bool:
        """Whether recipients whom the accounting has as unknown may wait again once it is proved that nothing was
        submitted."""
        control = self.campaigns.get(campaign)
        return control is not None and control.state != "canceled" and not control.settings.resolved

    def attempts_allowed(self, campaign: str) -> int:
        """Maximum submissions of a message that may have arrived (where it `resends`)."""
        settings = self.campaigns[campaign].settings
        return settings.resend_attempts if settings.unknown == "resend" else KEYED_ATTEMPTS

    def asks(self, campaign: str) -> bool:
        """Whether the aggregator is asked what became of a submission that may or may not have arrived (rule L4). It
        is asked for canceled campaigns too: what was submitted before the cancel counts."""
        control = self.campaigns.get(campaign)
        return control is not None and control.settings.unknown == "query"

    def in_flight(self) -> int:
        """Recipients with an INTENT of the current owner and no RESULT, or whose outcome is asked for."""
        return sum(
            sum(stop - start for (_, start, stop), _ in flight.open()) if flight.asking else flight.count
            for flight in self.flights.values()
            if flight.asking or not flight.orphan
        )

    def is_idle(self, campaign: str) -> bool:
        """Whether no recipient of a campaign waits or is in flight."""
        return not any(chunk.spans for chunk in self.chunks.values() if chunk.key[0] == campaign) and not any(
            flight.key[0] == campaign and (flight.asking or not flight.orphan) for flight in self.flights.values()
        )

    def missing_domain(self, account: str, key: Key) -> DomainKind | None:
        """The kind of domain that a message's links need and no domain of its account has room for; None if nothing
        is missing."""
        terms = self.domains.get(account)
        if terms is None:
            return None
        message = self.campaigns[key[0]].settings.messages[key[1]]
        for kind in domain_kinds(message.text):
            limits = [limit for limit in terms.domains if limit.use == kind]
            if kind in terms.required and all(self.domain_counts.left(terms, limit) == 0 for limit in limits):
                return kind
        return None

    def can_go(self, queue: QueueId) -> bool:
        """Whether the campaign of a queue runs and has the domains that its links need."""
        (account, _), key = queue
        return self.running(key[0]) and self.missing_domain(account, key) is None

    def sendable(self) -> int:
        """Recipients that are due, of running campaigns whose links have domains."""
        held = (queue for queue in self.table.ready_queues() if not self.can_go(queue))
        return self.table.ready_count - sum(span.count for queue in held for span in self.table.ready(queue))

    def oldest_sendable(self, sender: SenderId) -> int | None:
        """Since when (ms) the first of a sender's has been due, or may go since a person resumed its campaign; None
        where there is none that can go."""
        running = (key for key in self.table.ready_keys(sender) if self.can_go((sender, key)))
        firsts = ((key[0], next(self.table.ready((sender, key)))) for key in running)
        return min((max(span.due, self.resumed.get(campaign, 0)) for campaign, span in firsts), default=None)

    def terms_of(self, sender: SenderId) -> SenderTerms | None:
        """What the lane knows of a sender that may submit; None if there is none."""
        terms = self.senders.get(sender)
        return None if terms is None or terms.removed else terms

    def aggregator_of(self, sender: SenderId) -> str:
        """The name of a sender's aggregator; "" where nothing is known of it."""
        terms = self.senders.get(sender)
        return "" if terms is None else terms.aggregator

    def brand_of(self, sender: SenderId) -> Brand:
        """The brand whose limits per carrier and day hold for a sender."""
        terms = self.senders.get(sender)
        return sender[0], "" if terms is None else terms.brand

    def day(self, account: str, at: int) -> int:
        """The day of `at` (ms) by which an account's carriers are limited."""
        return day_of(at, self.zone(account))

    def zone(self, account: str) -> str:
        """The zone at whose midnight that day ends."""
        terms = self.accounts.get(account)
        return ZONE if terms is None else terms.zone

    def work(self, chunk: int) -> Work:
        """The columns of a live chunk."""
        work = self._decoded.get(chunk)
        if work is None:
            record = LANES.decode(unpack(self.chunks[chunk].packed))
            assert isinstance(record, Work)
            self.remember(chunk, record)
            return record
        self._decoded.move_to_end(chunk)
        return work

    def remember(self, chunk: int, work: Work) -> None:
        self._forget_work(chunk)
        self._decoded[chunk] = work
        self._decoded_count += len(work.ordinals)
        while self._decoded_count > DECODED and len(self._decoded) > 1:
            self._forget_work(next(iter(self._decoded)))

    def _forget_work(self, chunk: int) -> None:
        work = self._decoded.pop(chunk, None)
        if work is not None:
            self._decoded_count -= len(work.ordinals)

    def forget(self, chunk: Chunk) -> None:
        """Drop a chunk if nothing needs it anymore."""
        if not chunk.spans and not chunk.flights and self.chunks.pop(chunk.offset, None) is not None:
            self.live_bytes -= len(chunk.packed)
            self._forget_work(chunk.offset)

    def hold(self, chunk: Chunk) -> None:
        self.chunks[chunk.offset] = chunk
        self.live_bytes += len(chunk.packed)

    def wait(self, chunk: Chunk, start: int, stop: int, due: int, attempt: int) -> None:
        """Let positions [start, stop) of a chunk wait until `due` (ms); the chunk's spans stay in order of
        position."""
        span = Span(chunk.offset, start, stop, due, attempt)
        spans = chunk.spans
        if not spans or spans[-1].stop <= start:
            spans.append(span)
        else:
            spans.insert(next(i for i, other in enumerate(spans) if other.start >= stop), span)
        self.table.add(chunk.queue, span)
        self.waiting += stop - start

    def carriers_of(self, slice_: Slice) -> tuple[list[str], list[int]] | None:
        """Carriers and segments of a slice; None where the campaign's contacts have no carriers."""
        work = self.work(slice_[0])
        carriers = work.fields.get(FIELD)
        return None if carriers is None else (carriers[slice_[1] : slice_[2]], work.segments[slice_[1] : slice_[2]])

    def waits(self, slice_: Slice) -> bool:
        """Whether every position of a slice waits; False for an empty or reversed slice."""
        offset, start, stop = slice_
        chunk = self.chunks.get(offset)
        if chunk is None or start >= stop:
            return False
        for span in chunk.spans:
            if span.start <= start < span.stop:
                start = span.stop
                if start >= stop:
                    return True
        return False

    def waiting_within(self, slice_: Slice) -> list[Slice]:
        """The parts of a slice that wait."""
        offset, start, stop = slice_
        chunk = self.chunks.get(offset)
        spans = [] if chunk is None else chunk.spans
        return [(offset, max(s.start, start), min(s.stop, stop)) for s in spans if s.start < stop and s.stop > start]

    def take(self, slice_: Slice) -> list[tuple[Slice, int]]:
        """Remove a waiting slice; returns its parts with their attempts."""
        offset, start, stop = slice_
        chunk = self.chunks[offset]
        taken: list[tuple[Slice, int]] = []
        for span in [s for s in chunk.spans if s.start < stop and s.stop > start]:
            low, high = max(span.start, start), min(span.stop, stop)
            taken.append(((offset, low, high), span.attempt))
            self._cut(chunk, span, low, high)
        return taken

    def clear(self, campaign: str) -> list[tuple[Key, Slice, int]]:
        """Remove all waiting recipients of a campaign; returns key, slice and attempt of each part."""
        cleared: list[tuple[Key, Slice, int]] = []
        for chunk in self.chunks.values():
            if chunk.key[0] != campaign:
                continue
            for span in chunk.spans:
                self.table.remove(chunk.queue, span)
                self.waiting -= span.count
                cleared.append((chunk.key, (chunk.offset, span.start, span.stop), span.attempt))
            chunk.spans.clear()
        return cleared

    def _cut(self, chunk: Chunk, span: Span, low: int, high: int) -> None:
        """Take [low, high) out of a span; what remains keeps its place in the queue."""
        self.waiting -= high - low
        if low == span.start and high == span.stop:
            chunk.spans.remove(span)
            self.table.remove(chunk.queue, span)
            return
        if span.start < low and high < span.stop:
            rest = self.table.split(chunk.queue, span, high)
            chunk.spans.insert(chunk.spans.index(span) + 1, rest)
        if span.start < low:
            self.table.shrink(chunk.queue, span, span.start, low)
        else:
            self.table.shrink(chunk.queue, span, high, span.stop)


def intersection(first: Slice, second: Slice) -> Slice | None:
    """The positions that two slices have in common; None if there are none."""
    start, stop = max(first[1], second[1]), min(first[2], second[2])
    return (first[0], start, stop) if first[0] == second[0] and start < stop else None


def subtract(slice_: Slice, taken: list[Slice]) -> list[Slice]:
    """What remains of a slice without the slices in `taken`, in order."""
    remaining = [slice_]
    for chunk, low, high in taken:
        if chunk == slice_[0]:
            remaining = [
                (chunk, a, b)
                for _, start, stop in remaining
                for a, b in ((start, min(stop, low)), (max(start, high), stop))
                if a < b
            ]
    return remaining


def next_attempt(attempt: int) -> int:
    """The attempt of recipients who wait again; at most what a status chunk can carry."""
    return min(attempt + 1, LAST_ATTEMPT)


_ZSTD = b"\x28\xb5\x2f\xfd"


def pack(raw: bytes) -> bytes:
    """A record's bytes compressed, as chunks are kept in memory and in checkpoints: half the size of lz4, at a tenth
    of a millisecond for a chunk of 500."""
    return bytes(cramjam.zstd.compress(raw, level=1))


def unpack(packed: bytes) -> bytes:
    """The bytes that `pack` was given. Checkpoints of an earlier version have chunks in lz4: their first bytes are a
    length, which is never as large as zstd's magic number.

    Raises:
        cramjam.DecompressionError: neither zstd nor lz4.
    """
    codec = cramjam.zstd.decompress if packed[:4] == _ZSTD else cramjam.lz4.decompress_block
    return bytes(codec(packed))
