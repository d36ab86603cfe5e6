"""A lane's log read back with a consumer of its own, and what was submitted although it stands after a cancel."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.lane import LANES, Control, Intent, LaneRecord, Work
from schemas.wire import DecodeError

WAIT_SECONDS = 30.0


@dataclass(slots=True)
class Lines:
    """Message ids of one campaign by where the INTENTs that name them stand: before its cancel, or after it."""

    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)
    canceled: bool = False
    canceled_at: int = 0
    """When the coordinator decided it, in ms."""


def records(bootstrap: str, lane: int) -> Iterator[tuple[int, LaneRecord]]:
    """(offset, record) of everything that the log has now; what does not decode is passed over.

    Raises:
        RuntimeError: the broker stops answering on the way.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-lane-log", "enable.auto.commit": False})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topics.LANES.name, lane), timeout=WAIT_SECONDS)
        consumer.assign([TopicPartition(topics.LANES.name, lane, low)])
        at = low - 1
        while at < high - 1:
            message = consumer.poll(WAIT_SECONDS)
            if message is None or message.error():
                raise RuntimeError(f"lane {lane}: its log could not be read past {at} of {high}")
            at = message.offset() or 0
            try:
                yield at, LANES.decode(message.value())
            except DecodeError:
                continue
    finally:
        consumer.close()


def by_cancel(log: Iterator[tuple[int, LaneRecord]]) -> dict[str, Lines]:
    """The INTENTs of each campaign in one lane's log."""
    found: dict[str, Lines] = {}
    ordinals: dict[int, list[int]] = {}
    for offset, record in log:
        match record:
            case Work():
                ordinals[offset] = record.ordinals
            case Control():
                lines = found.setdefault(record.campaign, Lines())
                if record.state == "canceled" and not lines.canceled:
                    lines.canceled, lines.canceled_at = True, record.at
            case Intent():
                lines = found.setdefault(record.campaign, Lines())
                members = lines.after if lines.canceled else lines.before
                for chunk, start, stop in record.slices:
                    of = ordinals.get(chunk, ())[start:stop]
                    members.update(f"{record.campaign}-{record.message}-{ordinal}" for ordinal in of)
    return found


def submitted_after_cancel(lines: Lines, arrived: Set[str]) -> set[str]:
    """Message ids that arrived and that no INTENT before the cancel names."""
    return (lines.after - lines.before) & arrived
