"""Figures of a campaign's message, from the sets of ordinals that ClickHouse keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StateSet:
    """One set of ordinals, measured in the engine as the size of two unions.

    `own`: of final states, of this set and those of the same state whose reason sorts before; of events, of this
    one; of accepted and unknown, of all the accepted ones and then the unknown ones, in order of segments, price,
    reason, up to this one; of rejected, of all those and then the rejected ones. 0 for other states.
    `reached`: of all sets of the conservation up to this one, the highest rank first, then in order of reason,
    segments, price. Means nothing for events.
    """

    state: str
    reason: str = ""
    attempt: int = 0
    segments: int = 0
    price: int = 0
    own: int = 0
    reached: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """How many were unknown, have a receipt of delivery or failure, and were never recorded as accepted."""

    segments: int
    price: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Clicks:
    """Recipients, each once whatever the number of their clicks: `people` followed a link, `delivered` are those of
    them who have a receipt of delivery, `bots` those of whom a preview or scanner did."""

    people: int = 0
    delivered: int = 0
    bots: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSets:
    """What ClickHouse holds about one message of a campaign. Times in ms, 0 for never."""

    campaign: str
    message: int
    recipients: int
    """N, as the freeze recorded it."""
    audience_rows: int
    """Rows of the frozen audience that are there now, with ordinals in [0, N)."""
    outside: int = 0
    """Ordinals in any set of the conservation that are not in [0, N)."""
    sets: Sequence[StateSet] = ()
    """In any order; a set may be there several times with the same sizes."""
    settled: Sequence[Settled] | None = None
    """None where no unknown one was rejected: the sets tell it then."""
    clicks: Clicks = Clicks()
    newest_at: int = 0
    inserted_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one message of a campaign; every recipient is in exactly one of `states`.

    `states`: state → recipients, all states present. `reasons`: state → reason → recipients, they sum to the
    state's. `events`: event → reason → distinct recipients ("" = a person, else for instance a preview bot).
    `spend` in millionths of a credit, `segments` and `accepted_ever` of all that the aggregator took.
    """

    campaign: str
    message: int
    targeted: int
    states: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    clicks: Clicks = Clicks()
    accepted_ever: int = 0
    segments: int = 0
    spend: int = 0
    lines: Sequence[tuple[int, int, int]] = ()
    """The same by price: (price of a segment, messages, segments), rising."""
    undecided: int = 0
    """What the unknown ones cost if the aggregator took them all, in millionths of a credit."""
    undecided_segments: int = 0
    residual: int = 0
    """Targeted minus the sum of the states; where defects cancel out in it, their number. 0 is right."""
    missing: int = 0
    """Ordinals without a row of the audience (negative: rows too many)."""
    doubled: int = 0
    """How often recipients are counted beyond once, by states that may not follow each other."""
    outside: int = 0
    """Ordinals that no recipient has."""
    newest_at: int = 0
    """When the newest status happened, ms; 0 for none."""
    inserted_at: int = 0
    """When ClickHouse took the newest status, ms; 0 for none."""
