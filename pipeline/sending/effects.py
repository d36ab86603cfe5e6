"""The inputs of a lane's driver and the effects that its host carries out: plain values, no IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from pipeline.lane.checkpoint import Snapshot
from pipeline.lane.effects import InBatches, Void
from schemas.campaign import Note, Suspension
from schemas.chunk import Move, Release
from schemas.domains import DomainUse
from schemas.lane import Defer, Drop, Heartbeat, Intent, Owner, Result, SenderId
from schemas.status import StatusChunk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on three clocks: `ms` UTC since the epoch; `seconds` on a steady clock; `boot` seconds on a clock
    that also counts while the machine sleeps."""

    ms: int
    seconds: float
    boot: float


class Answered(Protocol):
    """An aggregator's answer about one message (`adapters.ports.SubmitOutcome`)."""

    @property
    def outcome(self) -> Literal["accepted", "rejected", "retry", "unknown"]: ...
    @property
    def reason(self) -> str: ...
    @property
    def aggregator_id(self) -> str: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def holds(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Prepared(Generic[T]):
    """The recipients of a slice, ready to be handed over. `items` are what the host submits, one for each number;
    `segments` is their total. `counted` are the segments of each text where they are not those of the WORK."""

    items: list[T]
    numbers: list[int]
    segments: int
    counted: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Write a record to the lane's log once, and call `on_written` with its offset or the error."""

    record: Owner | Heartbeat | Intent | Drop | Defer


@dataclass(frozen=True, slots=True)
class Report:
    """Write a RESULT to the lane's log; retry until the log has it."""

    record: Result


@dataclass(frozen=True, slots=True)
class Announce:
    """Write to the campaign's commands; retry until the topic has it."""

    record: Note | Suspension


@dataclass(frozen=True, slots=True)
class ReportUse:
    """Write to the account's commands what this lane has used of its domains; retry until the topic has it."""

    record: DomainUse


@dataclass(frozen=True, slots=True)
class Letter:
    """Write a dead letter for the record at `offset` of the log."""

    offset: int
    raw: bytes | None
    error: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Get a connection to the aggregator for the slice of this INTENT, and call `on_connected`."""

    intent: int
    aggregator: str


@dataclass(frozen=True, slots=True)
class HandOver(Generic[T]):
    """Submit `batch` on the slice's connection, and call `on_answer`. Call `may_still_go` just before writing.
    `late` is how late (s) the flights are that go (`pipeline.sending.senders.punctuality`)."""

    intent: int
    batch: list[T]
    parts: Sequence[tuple[SenderId, int]]
    """Segments of each flight that goes, with its sender."""
    late: Sequence[float]

    @property
    def segments(self) -> int:
        return sum(segments for _, segments in self.parts)


@dataclass(frozen=True, slots=True)
class Disconnect:
    """No recipient of the slice of this INTENT goes: release its connection."""

    intent: int


@dataclass(frozen=True, slots=True)
class AwaitConsents:
    """Call `on_line` when newer opt-outs are known, or after that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WakeLine:
    """Call `on_line` in that many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Wake:
    """Call `on_time` in that many seconds at the latest (0: soon)."""

    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Ask the aggregator what became of the messages with these ids, and call `on_lookup`. `indices` are their
    places in the flight."""

    flight: int
    aggregator: str
    ids: list[str]
    indices: Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Write a checkpoint: first everything that follows from the records read so far, then its parts; then call
    `on_checkpoint`. It replaces `log_bytes` of the log."""

    snapshot: Snapshot
    epoch: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class MoveMark:
    """The records of the log below `offset` are no longer needed (rule L9)."""

    offset: int


@dataclass(frozen=True, slots=True)
class Rewind:
    """Read the log again from `offset`, None: from its beginning."""

    offset: int | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The lane is ours, `seconds` after it was assigned."""

    epoch: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the operator; `cause` is the exception of a defect."""

    level: Literal["info", "warning", "error"]
    text: str
    cause: Exception | None = field(default=None, compare=False)


Plain = (
    StatusChunk | Release | Move | InBatches | Void | Write | Report | Announce | ReportUse | Letter | Connect
    | Disconnect | AwaitConsents | WakeLine | Wake | Lookup | Checkpoint | MoveMark | Rewind | Claimed | Log
)  # fmt: skip
"""All effects except `HandOver`, whose items are of the host's type."""
Effect = Plain | HandOver[T]
