"""Checkpoints of a lane (rule L9): its state as records in its own log.

A checkpoint is the state after the record at `as_of - 1`, in parts small enough for one Kafka record each. It is used
only when every part of it has been read, so a checkpoint that a crash cut short is never used.

Each part is a snapshot with a share of the whole. So millions of waiting recipients are written and read piece by
piece, and neither side ever holds them twice. A `form` of another version is refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cramjam
import msgspec
from pyroaring import BitMap

from pipeline.lane.lateness import Downtime
from pipeline.lane.scheduler import Key
from pipeline.lane.state import Chunk, Flight, LaneState, pack, unpack
from pipeline.limits.carrier_day import Brand
from schemas.lane import AccountTerms, CheckpointPart, Control, DomainTerms, SenderId, SenderTerms, Slice
from schemas.wire import DecodeError

PART_BYTES = 512 * 1024
"""Bytes of one part, before compression and base64."""
FORM = 8
_ORDINALS = 1 << 22
"""Ordinals of one piece of a bitmap that is larger than a part: 512 KB at most."""


class _Chunk(msgspec.Struct, array_like=True):
    offset: int
    campaign: str
    message: int
    account: str
    sender: str
    packed: bytes
    spans: list[tuple[int, int, int, int]]
    uncertain: list[Slice] = []
    moved: list[tuple[int, int, int]] = []


class _Flight(msgspec.Struct, array_like=True):
    """The fields of `Flight`, by the same names."""

    id: int
    epoch: int
    key: Key
    sender: SenderId
    aggregator: str
    brand: Brand
    day: int
    slices: list[Slice]
    attempts: list[int]
    at: int
    orphan: bool
    resent: bool
    asking: bool
    settled: list[Slice]
    dropped: list[tuple[Slice, int, str, str]]
    nonce: str
    domains: list[str]


_Downtime = tuple[int, int, list[tuple[int, int]]]
"""When an owner was last heard, since when an aggregator is away, and intervals."""


class Snapshot(msgspec.Struct, array_like=True):
    """Everything a lane knows, as plain data. Taking one is quick: the chunks' bytes are shared, not copied."""

    as_of: int
    epoch: int
    nonce: str
    owned_at: int
    last_intent_at: int
    campaigns: list[Control]
    seen: list[tuple[str, int, bytes]]
    chunks: list[_Chunk]
    flights: list[_Flight]
    carriers: list[tuple[tuple[str, str], int, str, int]]
    accounts: list[AccountTerms] = []
    senders: list[SenderTerms] = []
    domains: list[DomainTerms] = []
    domain_counts: list[tuple[str, str, int]] = []
    """Account, domain, messages that have carried it."""
    finished: list[str] = []
    resumed: dict[str, int] = {}
    downtime: _Downtime = (0, 0, [])
    away: dict[str, _Downtime] = {}


def snapshot(state: LaneState, forget_orphans_before: int) -> Snapshot:
    """The state as plain data. Orphans whose INTENT is older than `forget_orphans_before` (ms) are left out: their
    RESULT will not come anymore. The accounting has their recipients as unknown, or they wait again and the attempt
    stays uncertain. Orphans whose outcome is still being queried are kept."""
    old = {f.id for f in state.flights.values() if f.orphan and not f.asking and f.at < forget_orphans_before}
    flights = [f for f in state.flights.values() if f.id not in old]
    abandoned = [part for f in state.flights.values() if f.id in old and f.resent for part, _ in f.open()]
    needed = {slice_[0] for flight in flights for slice_ in flight.slices}
    return Snapshot(
        as_of=state.next_offset,
        epoch=state.epoch,
        nonce=state.nonce,
        owned_at=state.owned_at,
        last_intent_at=state.last_intent_at,
        campaigns=list(state.campaigns.values()),
        seen=[(campaign, message, ordinals.serialize()) for (campaign, message), ordinals in state.seen.items()],
        chunks=[_chunk(c, abandoned) for c in state.chunks.values() if c.spans or c.offset in needed],
        flights=[msgspec.convert(f, _Flight, from_attributes=True) for f in flights],
        carriers=[(*key, used) for key, used in state.carriers.used.items()],
        accounts=list(state.accounts.values()),
        senders=list(state.senders.values()),
        domains=list(state.domains.values()),
        domain_counts=[
            (account, name, used) for account, by in state.domain_counts.used.items() for name, used in by.items()
        ],
        finished=sorted(state.finished),
        resumed=dict(state.resumed),
        downtime=_downtime(state.downtime),
        away={name: _downtime(downtime) for name, downtime in state.away.items()},
    )


def _downtime(downtime: Downtime) -> _Downtime:
    return downtime.heard_at, downtime.away_since, list(downtime.spans)


def _chunk(chunk: Chunk, abandoned: list[Slice]) -> _Chunk:
    spans = [(s.start, s.stop, s.due, s.attempt) for s in chunk.spans]
    uncertain = [*chunk.uncertain, *(slice_ for slice_ in abandoned if slice_[0] == chunk.offset)]
    return _Chunk(chunk.offset, *chunk.key, *chunk.sender, chunk.packed, spans, uncertain, list(chunk.moved))


def restore(*plain: Snapshot) -> LaneState:
    """The state that `snapshot` was taken from, rebuilt from the whole snapshot or from its pieces."""
    state = LaneState()
    first = plain[0]
    state.next_offset = first.as_of
    state.epoch = first.epoch
    state.nonce = first.nonce
    state.owned_at = first.owned_at
    state.last_intent_at = first.last_intent_at
    state.resumed = dict(first.resumed)
    state.downtime.restore(*first.downtime)
    for name, kept in first.away.items():
        state.away[name] = Downtime()
        state.away[name].restore(*kept)
    for piece in plain:
        state.carriers.used.update({(brand, day, carrier): used for brand, day, carrier, used in piece.carriers})
        state.campaigns.update({control.campaign: control for control in piece.campaigns})
        state.accounts.update({terms.account: terms for terms in piece.accounts})
        state.senders.update({(terms.account, terms.sender): terms for terms in piece.senders})
        state.domains.update({terms.account: terms for terms in piece.domains})
        for account, name, used in piece.domain_counts:
            state.domain_counts.count(account, [name], used)
        state.finished.update(piece.finished)
        for campaign, message, raw in piece.seen:
            ordinals = BitMap.deserialize(raw)
            state.seen[campaign, message] = state.seen.get((campaign, message), BitMap()) | ordinals
        for chunk in piece.chunks:
            _hold(state, chunk)
    for plain_flight in (flight for piece in plain for flight in piece.flights):
        flight = state.flights[plain_flight.id] = Flight(**msgspec.structs.asdict(plain_flight))
        if flight.orphan and flight.resent:
            state.resent[flight.id] = flight
        for chunk_offset, _, _ in flight.slices:
            state.chunks[chunk_offset].flights += 1
    return state


def _hold(state: LaneState, plain: _Chunk) -> None:
    chunk = Chunk(
        plain.offset,
        (plain.campaign, plain.message),
        (plain.account, plain.sender),
        plain.packed,
        uncertain=list(plain.uncertain),
        moved=list(plain.moved),
    )
    state.hold(chunk)
    for span in plain.spans:
        state.wait(chunk, *span)


def parts(plain: Snapshot, epoch: int, part_bytes: int = PART_BYTES) -> list[CheckpointPart]:
    """All records of `stream` at once."""
    return list(stream(plain, epoch, part_bytes))


def stream(plain: Snapshot, epoch: int, part_bytes: int = PART_BYTES) -> Iterator[CheckpointPart]:
    """The records that carry a snapshot, each with about `part_bytes` of it, made one after another."""
    identity = _identity(plain, epoch, part_bytes)
    number, piece_before = 0, None
    for piece in _pieces(plain, part_bytes):
        if piece_before is not None:
            yield _part(piece_before, epoch, identity, number, 0)
            number += 1
        piece_before = piece
    assert piece_before is not None
    yield _part(piece_before, epoch, identity, number, number + 1)


def _identity(plain: Snapshot, epoch: int, part_bytes: int) -> str:
    # A lane's state as of one offset follows from its log, except for the orphans that are left out.
    offsets = [[chunk.offset for chunk in plain.chunks], [flight.id for flight in plain.flights]]
    named = msgspec.msgpack.encode([plain.as_of, epoch, part_bytes, *offsets])
    return hashlib.blake2b(named, digest_size=16).hexdigest()


def _part(piece: Snapshot, epoch: int, identity: str, number: int, count: int) -> CheckpointPart:
    raw = pack(msgspec.msgpack.encode(piece))
    return CheckpointPart(
        form=FORM,
        epoch=epoch,
        as_of=piece.as_of,
        identity=identity,
        part=number,
        parts=count,
        digest=hashlib.blake2b(raw, digest_size=16).hexdigest(),
        payload=base64.b64encode(raw).decode("ascii"),
    )


def _pieces(plain: Snapshot, part_bytes: int) -> Iterator[Snapshot]:
    """Snapshots that together have what `plain` has; at least one."""
    piece, size = _empty(plain), 0
    for column, item, weight in _items(plain):
        if size and size + weight > part_bytes:
            yield piece
            piece, size = _empty(plain), 0
        getattr(piece, column).append(item)
        size += weight
    yield piece


def _empty(plain: Snapshot) -> Snapshot:
    lists: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    return msgspec.structs.replace(plain, **lists)


_SMALL = ("carriers", "domain_counts", "finished", "campaigns", "accounts", "senders", "domains", "flights")
_COLUMNS = (*_SMALL, "seen", "chunks")


def _items(plain: Snapshot) -> Iterator[tuple[str, Any, int]]:
    """(column, item, its size in bytes) of everything in a snapshot."""
    for column in _SMALL:
        for item in getattr(plain, column):
            yield column, item, len(msgspec.msgpack.encode(item))
    for entry in plain.seen:
        for raw in [entry[2]] if len(entry[2]) <= PART_BYTES else _cut(BitMap.deserialize(entry[2])):
            yield "seen", (entry[0], entry[1], raw), len(raw) + 16
    for chunk in plain.chunks:
        yield (
            "chunks",
            chunk,
            len(chunk.packed) + 24 * (len(chunk.spans) + len(chunk.uncertain) + len(chunk.moved)) + 32,
        )


def _cut(ordinals: BitMap) -> Iterator[bytes]:
    for first in range(0, ordinals.max() + 1, _ORDINALS):
        yield (ordinals & BitMap(range(first, first + _ORDINALS))).serialize()


class _Kind(msgspec.Struct):
    kind: str


_KIND = msgspec.json.Decoder(_Kind)


def is_checkpoint(raw: bytes) -> bool:
    """Whether a record of the log is part of a checkpoint, read from its `kind` alone: six times cheaper than
    decoding a WORK."""
    try:
        return _KIND.decode(raw).kind == "checkpoint"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


@dataclass(slots=True)
class Loader:
    """Loads the state of a new owner: it buffers records until a whole checkpoint as of `start` (the first offset
    that was read) has come; then the state is loaded and the buffer is folded on top.

    A log that is read from offset 0 needs no checkpoint.
    """

    start: int
    _pieces: dict[str, dict[int, Snapshot]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    """How many parts a checkpoint has, by its identity; its last part says so."""

    def offer(self, part: CheckpointPart) -> LaneState | None:
        """The state, when `part` completes a checkpoint as of `start`. Parts of several checkpoints may be mixed, and
        parts may come twice; a part that does not match its digest is ignored.

        Raises:
            DecodeError: the form is of another version, or the digest matches and the content is not a checkpoint.
        """
        if part.as_of != self.start:
            return None
        if part.form != FORM:
            raise DecodeError(f"checkpoint as of {part.as_of} has form {part.form}; this version reads {FORM}")
        raw = _payload(part)
        if raw is None:
            return None
        pieces = self._pieces.setdefault(part.identity, {})
        pieces[part.part] = _decoded(part, raw)
        if part.parts:
            self._counts[part.identity] = part.parts
        count = self._counts.get(part.identity, 0)
        if not count or any(n not in pieces for n in range(count)):
            return None
        return restore(*(pieces[n] for n in range(count)))


def _payload(part: CheckpointPart) -> bytes | None:
    """The bytes of a part; None where they do not match the digest."""
    try:
        raw = base64.b64decode(part.payload, validate=True)
    except ValueError:
        return None
    return raw if hashlib.blake2b(raw, digest_size=16).hexdigest() == part.digest else None


def _decoded(part: CheckpointPart, raw: bytes) -> Snapshot:
    try:
        return msgspec.msgpack.decode(unpack(raw), type=Snapshot)
    except (msgspec.DecodeError, cramjam.DecompressionError) as error:
        raise DecodeError(f"checkpoint as of {part.as_of}: {error}") from error


def worth_it(log_bytes: int, live_bytes: int, minimum: int) -> bool:
    """Whether the log since the low-water mark has grown enough to be replaced by a checkpoint: to at least the size
    of all live chunks, compressed. A WORK takes four times as much room in the log as in a checkpoint, and costs the
    next owner five times as much to read. At this threshold the log is written about twice."""
    return log_bytes >= max(minimum, live_bytes)
