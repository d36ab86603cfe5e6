"""What follows from a record of a lane's log, for the owner to carry out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.lane.state import Flight
from schemas.chunk import Move, Release
from schemas.status import StatusChunk


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit the flights of the INTENT at this offset to the aggregator, if you are the live owner of their epoch."""

    intent: int
    flights: list[Flight]


@dataclass(frozen=True, slots=True)
class Ask:
    """The outcome of the flight's open slices is unknown. If you own the lane, find it out: under policy `query` ask
    the aggregator once no part of the flight can still arrive there; else wait for the lost owner's RESULT. Write
    the answer, or that there is none, as the flight's RESULT (`asked`)."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Void:
    """So many picks of the INTENT at this offset are void by the order of the log: nobody may submit them."""

    offset: int
    picks: int


@dataclass(frozen=True, slots=True)
class Owned:
    """The lane has a new owner; `epoch` is its epoch."""

    nonce: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """The record at `offset` decodes, but a part of it makes no sense; `problem` says which. The rest of it was
    applied. This is a defect of its writer: report it and continue, because a lane cannot skip records of its log."""

    offset: int
    problem: str


@dataclass(frozen=True, slots=True)
class InBatches:
    """Many effects, made one after another from what the record took out of the lane; later changes of the lane do
    not affect them. The record is needed until all are carried out: no checkpoint may replace it before."""

    effects: Iterator[StatusChunk | Release]


Effect = StatusChunk | Release | Move | Submit | Ask | Void | Owned | Malformed | InBatches
