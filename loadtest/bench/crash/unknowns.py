"""What each change of a lane's owner left unknown, from the statuses that the lanes wrote and the workers' logs."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import orjson

from adapters.kafka.reading import records
from adapters.settings import Kafka
from schemas import topics
from schemas.reasons import Reason
from schemas.status import STATUSES, StatusChunk

Claims = dict[int, list[int]]
"""Lane → when an owner had read back that it is its own, in ms, ascending."""


def claims(logs: Path) -> Claims:
    """The claims in the workers' logs in a folder."""
    claims_by_lane: defaultdict[int, list[int]] = defaultdict(list)
    for log in logs.glob("worker-*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if "is ours, epoch " in line:
                entry = orjson.loads(line)
                claims_by_lane[entry["lane"]].append(int(datetime.fromisoformat(entry["time"]).timestamp() * 1000))
    return {lane: sorted(times) for lane, times in claims_by_lane.items()}


def left_unknown(kafka: Kafka, owned: Claims) -> dict[tuple[int, int], int]:
    """(lane, when the new owner claimed it, in ms) → distinct messages that the owner before it had in flight,
    whatever the campaign's policy made of them.

    Raises:
        RuntimeError: Kafka does not give them.
    """
    lost: dict[Message, int] = {}
    for chunk in _chunks(kafka):
        for message in _lost(chunk):
            lost[message] = min(chunk.at, lost.get(message, chunk.at))
    return attributed(_chunks(kafka), lost, owned)


Message = tuple[int, str, int]
"""Lane, campaign, ordinal."""


def _lost(chunk: StatusChunk) -> Iterator[Message]:
    for group in chunk.groups:
        if group.reason == Reason.OWNER_LOST:
            yield from ((chunk.lane, chunk.campaign, ordinal) for ordinal in group.ordinals)


def attributed(chunks: Iterable[StatusChunk], lost: dict[Message, int], owned: Claims) -> dict[tuple[int, int], int]:
    """Those of `lost` (message → when that was first recorded, in ms) by the first claim after its INTENT.
    They are recorded seconds later, perhaps by yet another owner, and those of two lost owners together."""
    intents: dict[Message, int] = {}
    for chunk in chunks:
        for group in chunk.groups:
            if group.state == "in_flight":
                for message in lost.keys() & {(chunk.lane, chunk.campaign, ordinal) for ordinal in group.ordinals}:
                    if chunk.at <= lost[message]:
                        intents[message] = max(chunk.at, intents.get(message, 0))
    counts: defaultdict[tuple[int, int], int] = defaultdict(int)
    for (lane, _, _), at in intents.items():
        times = owned.get(lane, [])
        place = bisect_left(times, at)
        counts[lane, times[place] if place < len(times) else at] += 1
    return dict(counts)


def _chunks(kafka: Kafka) -> Iterator[StatusChunk]:
    """All statuses that lanes have written, oldest first in each partition."""
    for partition in range(kafka.partitions):
        for _, record in records(kafka.bootstrap, topics.STATUSES, partition, STATUSES):
            if isinstance(record, StatusChunk) and record.lane >= 0:
                yield record
