"""Checkpoints of a lane (rule L9): its state as records in its own log.

A checkpoint is the state after the record at `as_of - 1`, in parts small enough for one Kafka record each. It counts
only when every part of it has been read, so one that a crash tore is never used.

Each part is a snapshot with a share of the whole, so that millions waiting are written and read piece by piece, and
neither side ever holds them twice. `form` 1 was slices of one compressed block; it is still read.
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

from pipeline.lane.state import Chunk, Flight, LaneState, pack, unpack
from schemas.lane import CheckpointPart, Control, Slice
from schemas.wire import DecodeError

PART_BYTES = 512 * 1024
"""Bytes of one part, before compression and base64."""
FORM = 3
_ORDINALS = 1 << 22
"""Ordinals of one piece of a bitmap that is larger than a part: 512 KB at most."""


class _Chunk(msgspec.Struct, array_like=True):
    offset: int
    campaign: str
    message: int
    packed: bytes
    spans: list[tuple[int, int, int, int]]
    doubts: list[Slice] = []
    moved: list[tuple[int, int, int]] = []


class _Flight(msgspec.Struct, array_like=True):
    offset: int
    epoch: int
    campaign: str
    message: int
    slices: list[Slice]
    attempts: list[int]
    at: int
    orphan: bool
    resent: bool
    settled: list[Slice]
    asking: bool = False
    dropped: list[tuple[Slice, int, str, str]] = []


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
    carriers: list[tuple[int, str, int]]
    finished: list[str] = []
    resumed: dict[str, int] = {}
    heard_at: int = 0
    away_since: int = 0
    downtime: list[tuple[int, int]] = []


def snapshot(state: LaneState, forget_orphans_before: int) -> Snapshot:
    """The state as plain data. Orphans whose INTENT is older than `forget_orphans_before` (ms) are left out: their
    RESULT will not come any more, and the accounting has them as unknown, or they wait again, in doubt from here on.
    Those that are asked for stay."""
    old = {f.offset for f in state.flights.values() if f.orphan and not f.asking and f.at < forget_orphans_before}
    flights = [f for f in state.flights.values() if f.offset not in old]
    lost = [left for f in state.flights.values() if f.offset in old and f.resent for left, _ in f.open()]
    needed = {one[0] for flight in flights for one in flight.slices}
    return Snapshot(
        as_of=state.next_offset,
        epoch=state.epoch,
        nonce=state.nonce,
        owned_at=state.owned_at,
        last_intent_at=state.last_intent_at,
        campaigns=list(state.campaigns.values()),
        seen=[(campaign, message, ordinals.serialize()) for (campaign, message), ordinals in state.seen.items()],
        chunks=[_chunk(c, lost) for c in state.chunks.values() if c.spans or c.offset in needed],
        flights=[_flight(f) for f in flights],
        carriers=[(day, carrier, used) for (day, carrier), used in state.carriers.used.items()],
        finished=sorted(state.finished),
        resumed=dict(state.resumed),
        heard_at=state.downtime.heard_at,
        away_since=state.downtime.away_since,
        downtime=list(state.downtime.spans),
    )


def _chunk(chunk: Chunk, lost: list[Slice]) -> _Chunk:
    spans = [(s.start, s.stop, s.due, s.attempt) for s in chunk.spans]
    doubts = [*chunk.doubts, *(one for one in lost if one[0] == chunk.offset)]
    return _Chunk(chunk.offset, chunk.key[0], chunk.key[1], chunk.packed, spans, doubts, list(chunk.moved))


def _flight(f: Flight) -> _Flight:
    slices, settled, dropped = f.slices, list(f.settled), list(f.dropped)
    return _Flight(
        f.offset, f.epoch, *f.key, slices, f.attempts, f.at, f.orphan, f.resent, settled, f.asking, dropped
    )


def restore(*plain: Snapshot) -> LaneState:
    """The state that `snapshot` was taken of, from the whole or from its pieces."""
    state = LaneState()
    first = plain[0]
    state.next_offset = first.as_of
    state.epoch = first.epoch
    state.nonce = first.nonce
    state.owned_at = first.owned_at
    state.last_intent_at = first.last_intent_at
    state.resumed = dict(first.resumed)
    state.downtime.restore(first.heard_at, first.away_since, list(first.downtime))
    for piece in plain:
        state.carriers.used.update({(day, carrier): used for day, carrier, used in piece.carriers})
        state.campaigns.update({control.campaign: control for control in piece.campaigns})
        state.finished.update(piece.finished)
        for campaign, message, raw in piece.seen:
            ordinals = BitMap.deserialize(raw)
            state.seen[campaign, message] = state.seen.get((campaign, message), BitMap()) | ordinals
        for one in piece.chunks:
            _hold(state, one)
    for f in (flight for piece in plain for flight in piece.flights):
        key = (f.campaign, f.message)
        state.flights[f.offset] = Flight(
            f.offset, f.epoch, key, f.slices, f.attempts, f.at, f.orphan, f.resent, f.asking, f.settled, f.dropped
        )
        for one_slice in f.slices:
            state.chunks[one_slice[0]].flights += 1
    return state


def _hold(state: LaneState, one: _Chunk) -> None:
    chunk = Chunk(one.offset, (one.campaign, one.message), one.packed, doubts=list(one.doubts), moved=list(one.moved))
    state.hold(chunk)
    for span in one.spans:
        state.wait(chunk, *span)


def parts(plain: Snapshot, epoch: int, part_bytes: int = PART_BYTES) -> list[CheckpointPart]:
    """All records of `stream` at once."""
    return list(stream(plain, epoch, part_bytes))


def stream(plain: Snapshot, epoch: int, part_bytes: int = PART_BYTES) -> Iterator[CheckpointPart]:
    """The records that carry a snapshot, each with about `part_bytes` of it, made one after another."""
    identity = _identity(plain, epoch, part_bytes)
    number, before = 0, None
    for piece in _pieces(plain, part_bytes):
        if before is not None:
            yield _part(before, epoch, identity, number, 0)
            number += 1
        before = piece
    assert before is not None
    yield _part(before, epoch, identity, number, number + 1)


def _identity(plain: Snapshot, epoch: int, part_bytes: int) -> str:
    # What a lane knows as of one offset follows from its log, but for the orphans that are left out.
    offsets = [[chunk.offset for chunk in plain.chunks], [flight.offset for flight in plain.flights]]
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


_COLUMNS = ("carriers", "finished", "campaigns", "seen", "flights", "chunks")


def _items(plain: Snapshot) -> Iterator[tuple[str, Any, int]]:
    """(column, item, its bytes), of everything in a snapshot."""
    for column in ("carriers", "finished", "campaigns", "flights"):
        for item in getattr(plain, column):
            yield column, item, len(msgspec.msgpack.encode(item))
    for one in plain.seen:
        for raw in [one[2]] if len(one[2]) <= PART_BYTES else _cut(BitMap.deserialize(one[2])):
            yield "seen", (one[0], one[1], raw), len(raw) + 16
    for chunk in plain.chunks:
        yield "chunks", chunk, len(chunk.packed) + 24 * (len(chunk.spans) + len(chunk.doubts) + len(chunk.moved)) + 32


def _cut(ordinals: BitMap) -> Iterator[bytes]:
    for first in range(0, ordinals.max() + 1, _ORDINALS):
        yield (ordinals & BitMap(range(first, first + _ORDINALS))).serialize()


class _Kind(msgspec.Struct):
    kind: str


_KIND = msgspec.json.Decoder(_Kind)


def is_checkpoint(raw: bytes) -> bool:
    """Whether a record of the log says of itself that it is part of a checkpoint; for six times less than decoding
    a WORK costs."""
    try:
        return _KIND.decode(raw).kind == "checkpoint"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


@dataclass(slots=True)
class Loader:
    """What a new owner reads before it has a state: records are buffered until a whole checkpoint as of `start`
    (the first offset it was given) has come; then the state is loaded and the buffer folded on top.

    A log that is read from offset 0 needs no checkpoint.
    """

    start: int
    _pieces: dict[str, dict[int, Snapshot]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    """How many parts a checkpoint has, by its identity; the last one says it."""
    _old: dict[tuple[str, int], dict[int, str]] = field(default_factory=dict)

    def offer(self, part: CheckpointPart) -> LaneState | None:
        """The state, when `part` completes a checkpoint as of `start`. Parts of several checkpoints may be mixed, and
        parts may come twice; one that has not its digest is as good as none.

        Raises:
            DecodeError: the digest is right and yet it is no checkpoint of a form that we know.
        """
        if part.as_of != self.start:
            return None
        if part.form == 1:
            return self._offer_old(part)
        if part.form != FORM:
            raise DecodeError(f"checkpoint as of {part.as_of} has form {part.form}; this version reads up to {FORM}")
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

    def _offer_old(self, part: CheckpointPart) -> LaneState | None:
        pieces = self._old.setdefault((part.digest, part.parts), {})
        pieces[part.part] = part.payload
        if not part.parts or any(n not in pieces for n in range(part.parts)):
            return None
        try:
            raw = b"".join(base64.b64decode(pieces[n], validate=True) for n in range(part.parts))
        except ValueError:
            return None
        if hashlib.blake2b(raw, digest_size=16).hexdigest() != part.digest:
            return None
        return restore(_decoded(part, raw))


def _payload(part: CheckpointPart) -> bytes | None:
    """The bytes of a part of form 2; None where they are not what was written."""
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
    """Whether the log since the low-water mark has grown enough to be replaced by a checkpoint: as large as all that
    lives, compressed. A WORK in the log is four times as large, and costs the next owner five times what it costs in
    a checkpoint; the log is written about twice at this."""
    return log_bytes >= max(minimum, live_bytes)
