"""A lane's log read back with a consumer of its own, and what was submitted although it stands after a cancel."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from adapters.kafka import reading
from schemas import topics
from schemas.lane import LANES, Control, Intent, LaneRecord, Work


@dataclass(slots=True)
class Lines:
    """Message ids of one campaign by where the INTENTs that name them stand: before its cancel, or after it."""

    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)
    canceled: bool = False
    canceled_at: int = 0
    """When the coordinator decided it, in ms."""


def records(bootstrap: str, lane: int) -> Iterator[tuple[int, LaneRecord]]:
    """(offset, record) of everything that the log has now (see `reading.records`)."""
    return reading.records(bootstrap, topics.LANES, lane, LANES)


def by_cancel(log: Iterator[tuple[int, LaneRecord]]) -> dict[str, Lines]:
    """The INTENTs of each campaign in one lane's log."""
    lines_by_cancel: dict[str, Lines] = {}
    ordinals: dict[int, list[int]] = {}
    for offset, record in log:
        match record:
            case Work():
                ordinals[offset] = record.ordinals
            case Control():
                lines = lines_by_cancel.setdefault(record.campaign, Lines())
                if record.state == "canceled" and not lines.canceled:
                    lines.canceled, lines.canceled_at = True, record.at
            case Intent():
                for pick in record.picks:
                    lines = lines_by_cancel.setdefault(pick.campaign, Lines())
                    members = lines.after if lines.canceled else lines.before
                    for chunk, start, stop in pick.slices:
                        of = ordinals.get(chunk, ())[start:stop]
                        members.update(f"{pick.campaign}-{pick.message}-{ordinal}" for ordinal in of)
    return lines_by_cancel


def submitted_after_cancel(lines: Lines, arrived: Set[str]) -> set[str]:
    """Message ids that arrived and that no INTENT before the cancel names."""
    return (lines.after - lines.before) & arrived
