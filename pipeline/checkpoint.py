"""Checkpoints of a lane (rule L9): its state as records in its own log.

A checkpoint is the state after the record at `as_of - 1`, in parts small enough for one Kafka record each. It counts
only when every part of one digest has been read, so one that a crash tore is never used.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

import cramjam
import msgspec
from pyroaring import BitMap

from pipeline.lane_state import Chunk, Flight, LaneState
from schemas.lane import CheckpointPart, Control, Slice
from schemas.wire import DecodeError

PART_BYTES = 512 * 1024
"""Payload bytes of one part, before base64."""


class _Chunk(msgspec.Struct, array_like=True):
    offset: int
    campaign: str
    message: int
    packed: bytes
    spans: list[tuple[int, int, int, int]]


class _Flight(msgspec.Struct, array_like=True):
    offset: int
    epoch: int
    campaign: str
    message: int
    slices: list[Slice]
    turns: list[int]
    at: int
    orphan: bool
    resent: bool
    settled: list[Slice]
    asking: bool = False


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


def snapshot(state: LaneState, forget_orphans_before: int) -> Snapshot:
    """The state as plain data. Orphans whose INTENT is older than `forget_orphans_before` (ms) are left out: their
    RESULT will not come any more, and the accounting has them as unknown. Those that are asked for stay."""
    flights = [f for f in state.flights.values() if f.asking or not (f.orphan and f.at < forget_orphans_before)]
    needed = {one[0] for flight in flights for one in flight.slices}
    return Snapshot(
        as_of=state.next_offset,
        epoch=state.epoch,
        nonce=state.nonce,
        owned_at=state.owned_at,
        last_intent_at=state.last_intent_at,
        campaigns=list(state.campaigns.values()),
        seen=[(campaign, message, ordinals.serialize()) for (campaign, message), ordinals in state.seen.items()],
        chunks=[_chunk(c) for c in state.chunks.values() if c.spans or c.offset in needed],
        flights=[_flight(f) for f in flights],
        carriers=[(day, carrier, used) for (day, carrier), used in state.carriers.used.items()],
        finished=sorted(state.finished),
    )


def _chunk(chunk: Chunk) -> _Chunk:
    spans = [(s.start, s.stop, s.due, s.turn) for s in chunk.spans]
    return _Chunk(chunk.offset, chunk.key[0], chunk.key[1], chunk.packed, spans)


def _flight(f: Flight) -> _Flight:
    slices = f.slices
    return _Flight(f.offset, f.epoch, *f.key, slices, f.turns, f.at, f.orphan, f.resent, list(f.settled), f.asking)


def restore(plain: Snapshot) -> LaneState:
    """The state that `snapshot` was taken of."""
    state = LaneState()
    state.next_offset = plain.as_of
    state.epoch = plain.epoch
    state.nonce = plain.nonce
    state.owned_at = plain.owned_at
    state.last_intent_at = plain.last_intent_at
    state.carriers.used = {(day, carrier): used for day, carrier, used in plain.carriers}
    state.campaigns = {control.campaign: control for control in plain.campaigns}
    state.finished = set(plain.finished)
    state.seen = {(c, m): BitMap.deserialize(raw) for c, m, raw in plain.seen}
    for one in plain.chunks:
        chunk = Chunk(one.offset, (one.campaign, one.message), one.packed)
        state.hold(chunk)
        for span in one.spans:
            state.wait(chunk, *span)
    for f in plain.flights:
        key = (f.campaign, f.message)
        state.flights[f.offset] = Flight(
            f.offset, f.epoch, key, f.slices, f.turns, f.at, f.orphan, f.resent, f.asking, f.settled
        )
        for one_slice in f.slices:
            state.chunks[one_slice[0]].flights += 1
    return state


def parts(plain: Snapshot, epoch: int, part_bytes: int = PART_BYTES) -> list[CheckpointPart]:
    """The records that carry a snapshot, each with `part_bytes` of it at most (before base64)."""
    raw = bytes(cramjam.lz4.compress_block(msgspec.msgpack.encode(plain)))
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    pieces = [raw[at : at + part_bytes] for at in range(0, len(raw), part_bytes)]
    return [
        CheckpointPart(
            epoch=epoch,
            as_of=plain.as_of,
            part=n,
            parts=len(pieces),
            digest=digest,
            payload=base64.b64encode(piece).decode("ascii"),
        )
        for n, piece in enumerate(pieces)
    ]


@dataclass(slots=True)
class Loader:
    """What a new owner reads before it has a state: records are buffered until a whole checkpoint as of `start`
    (the first offset it was given) has come; then the state is loaded and the buffer folded on top.

    A log that is read from offset 0 needs no checkpoint.
    """

    start: int
    _pieces: dict[tuple[str, int], dict[int, str]] = field(default_factory=dict)

    def offer(self, part: CheckpointPart) -> LaneState | None:
        """The state, when `part` completes a checkpoint as of `start`. Parts of several checkpoints may be mixed, and
        parts may come twice: those of one digest are pieces of the same bytes, and a whole is only used if it has
        that digest.

        Raises:
            DecodeError: the digest is right and yet it is no checkpoint of this version.
        """
        if part.as_of != self.start:
            return None
        pieces = self._pieces.setdefault((part.digest, part.parts), {})
        pieces[part.part] = part.payload
        if any(n not in pieces for n in range(part.parts)):
            return None
        return _whole([pieces[n] for n in range(part.parts)], part)


def _whole(pieces: list[str], last: CheckpointPart) -> LaneState | None:
    try:
        raw = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except ValueError:
        return None
    if hashlib.blake2b(raw, digest_size=16).hexdigest() != last.digest:
        return None
    try:
        plain = msgspec.msgpack.decode(bytes(cramjam.lz4.decompress_block(raw)), type=Snapshot)
    except (msgspec.DecodeError, cramjam.DecompressionError) as error:
        raise DecodeError(f"checkpoint as of {last.as_of}: {error}") from error
    return restore(plain)


def worth_it(log_bytes: int, live_bytes: int, minimum: int) -> bool:
    """Whether the log since the low-water mark has grown enough to be replaced by a checkpoint."""
    return log_bytes >= max(minimum, 2 * live_bytes)
