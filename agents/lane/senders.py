"""What a worker exports about the senders of its lanes: by class and aggregator, since there may be thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from pipeline.sending.senders.roster import LaneSender
from schemas import metrics
from schemas.sender_numbers import SenderKind, kind_of


@lru_cache(maxsize=100_000)
def class_of(number: str) -> SenderKind | str:
    """The kind of a sender's number, which costs a look into the numbering plans; "other" for none."""
    try:
        return kind_of(number)
    except ValueError:
        return "other"


def show_senders(lane: int, senders: Iterable[LaneSender]) -> None:
    """Export how many senders a lane has and what they may submit."""
    counts: Counter[tuple[str, str]] = Counter()
    limits: Counter[tuple[str, str]] = Counter()
    for sender in senders:
        if sender.terms is not None:
            kind: tuple[str, str] = (class_of(sender.terms.number), sender.terms.aggregator)
            counts[kind] += 1
            limits[kind] += sender.terms.rate  # type: ignore[assignment]  # a Counter may hold floats
    for kind, count in counts.items():
        metrics.SENDERS.labels(lane, *kind).set(count)
        metrics.SENDER_LIMIT.labels(lane, *kind).set(limits[kind])
        metrics.SENDER_SEGMENTS.labels(lane, *kind)
