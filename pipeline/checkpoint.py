"""Checkpoints of a lane (rule L9): its state as records in its own log.

A checkpoint is the state after the record at `as_of - 1`, in parts small enough for one Kafka record each. It counts
only when every part of one digest has been read in order, so one that a crash tore is never used.
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


def snapshot(state: LaneState, forget_orphans_before: int) -> Snapshot:
    """The state as plain data. Orphans whose INTENT is older than `forget_orphans_before` (ms) are left out: their
    RESULT will not come any more, and the accounting has them as unknown."""
    flights = [f for f in state.flights.values() if not (f.orphan and f.at < forget_orphans_before)]
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
        flights=[_Flight(f.offset, f.epoch, *f.key, f.slices, f.turns, f.at, f.orphan) for f in flights],
    )


def _chunk(chunk: Chunk) -> _Chunk:
    spans = [(s.start, s.stop, s.due, s.turn) for s in chunk.spans]
    return _Chunk(chunk.offset, chunk.key[0], chunk.key[1], chunk.packed, spans)


def restore(plain: Snapshot) -> LaneState:
    """The state that `snapshot` was taken of."""
    state = LaneState()
    state.next_offset = plain.as_of
    state.epoch = plain.epoch
    state.nonce = plain.nonce
    state.owned_at = plain.owned_at
    state.last_intent_at = plain.last_intent_at
    state.campaigns = {control.campaign: control for control in plain.campaigns}
    state.seen = {(c, m): BitMap.deserialize(raw) for c, m, raw in plain.seen}
    for one in plain.chunks:
        chunk = Chunk(one.offset, (one.campaign, one.message), one.packed)
        state.hold(chunk)
        for span in one.spans:
            state.wait(chunk, *span)
    for f in plain.flights:
        flight = Flight(f.offset, f.epoch, (f.campaign, f.message), f.slices, f.turns, f.at, f.orphan)
        state.flights[f.offset] = flight
        for one_slice in f.slices:
            state.chunks[one_slice[0]].flights += 1
    return state


def parts(plain: Snapshot, epoch: int) -> list[CheckpointPart]:
    """The records that carry a snapshot."""
    raw = bytes(cramjam.lz4.compress_block(msgspec.msgpack.encode(plain)))
    digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
    pieces = [raw[at : at + PART_BYTES] for at in range(0, len(raw), PART_BYTES)]
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
    _pieces: dict[str, list[CheckpointPart]] = field(default_factory=dict)

    def offer(self, part: CheckpointPart) -> LaneState | None:
        """The state, when `part` completes a checkpoint as of `start`."""
        if part.as_of != self.start:
            return None
        pieces = self._pieces.setdefault(f"{part.epoch}/{part.digest}", [])
        if part.part != len(pieces):
            # A part twice or missing: begin again with this one if it is a first one.
            pieces[:] = []
        if part.part == len(pieces):
            pieces.append(part)
        return _whole(pieces) if len(pieces) == part.parts else None


def _whole(pieces: list[CheckpointPart]) -> LaneState | None:
    raw = b"".join(base64.b64decode(piece.payload) for piece in pieces)
    if hashlib.blake2b(raw, digest_size=16).hexdigest() != pieces[0].digest:
        return None
    try:
        plain = msgspec.msgpack.decode(bytes(cramjam.lz4.decompress_block(raw)), type=Snapshot)
    except (msgspec.DecodeError, cramjam.DecompressionError) as error:
        raise DecodeError(f"checkpoint as of {pieces[0].as_of}: {error}") from error
    return restore(plain)


def worth_it(log_bytes: int, live_bytes: int, minimum: int) -> bool:
    """Whether the log since the low-water mark has grown enough to be replaced by a checkpoint."""
    return log_bytes >= max(minimum, 2 * live_bytes)
