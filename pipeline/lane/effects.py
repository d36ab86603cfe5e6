"""What follows from a record of a lane's log, for the owner to carry out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.lane.state import Flight
from schemas.chunk import Move, Release
from schemas.lane import Intent
from schemas.status import StatusChunk


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand the flight to the aggregator, if you are the owner of its epoch and live."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody knows what became of what is open of the flight: if you own the lane, ask the aggregator once nothing
    of the flight can arrive there any more (policy `query`), or wait for its lost owner's RESULT, and write the
    answer, or that there is none, as its RESULT (`asked`)."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Void:
    """An INTENT that the log's order made void: nobody may submit it."""

    offset: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Owned:
    """The lane has a new owner; `epoch` is its epoch."""

    nonce: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """The record at `offset` decodes but does not make sense. The fold took what does; `why` says what does not.
    It is a defect of whoever wrote it: report it, and go on, since a lane cannot pass over its log."""

    offset: int
    why: str


@dataclass(frozen=True, slots=True)
class InBatches:
    """Many effects, made one after another from what the record took out of the lane, whatever becomes of the lane
    meanwhile. Until all are carried out the record is still needed: no checkpoint may replace it before."""

    effects: Iterator[StatusChunk | Release]


Effect = StatusChunk | Release | Move | Submit | Ask | Void | Owned | Malformed | InBatches
