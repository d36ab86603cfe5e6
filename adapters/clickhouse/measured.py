"""Measured figures: written where the views read them, read back, and which campaigns' are behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store
from schemas.figures import Clicks, Figures
from schemas.succession import EVENTS, SHOWN
from schemas.times import ms_of

SURE_SECONDS: Final = 300
"""A measurement this long after the newest insert has all that was recorded. An insert's time is set when it begins,
and another that began before may become visible later; a request takes at most 120 s (`Store`)."""

_AT_ONCE: Final = 10_000
"""Ids in a statement: parameters travel in the URL, which servers cut at 1 MB."""
_MS: Final = pa.timestamp("ms", "UTC")
_COUNTS: Final = ("messages", "segments", "spend", "residual")

_STATS: Final = f"""
SELECT toString(campaign), message, targeted, clicked, clicked_delivered, clicked_by_bots, opted_out, replied,
    messages, segments, toInt64(round(spend * 1000000)), residual, reasons, newest_at, inserted_at, {", ".join(SHOWN)}
FROM message_stats WHERE campaign IN {{campaigns:Array(String)}} ORDER BY campaign, message
"""

# By campaign and not by message: a receipt of a message that was never submitted is in no figure.
_BEHIND: Final = f"""
SELECT toString(campaign) AS id FROM
(
    SELECT campaign, max(inserted) AS newest FROM state_sets
    WHERE campaign IN (SELECT campaign FROM audiences) GROUP BY campaign
) AS recorded
LEFT JOIN
(
    SELECT campaign, max(measured) AS measured FROM message_figures GROUP BY campaign
) AS known USING campaign
WHERE measured < newest + INTERVAL {SURE_SECONDS} SECOND
ORDER BY id
"""


_SPEND: Final = (
    "SELECT toString(campaign), sum(spend) FROM message_figures FINAL GROUP BY campaign HAVING sum(spend) > 0"
)


def insert_figures(store: Store, measured: Sequence[Figures]) -> None:
    """Figures of messages; each replaces what was measured before of its message.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    if not measured:
        return
    why = [_reasons(figures) for figures in measured]
    counts = {"messages": "accepted_ever"}
    store.insert_arrow("message_figures", pa.table({
        "campaign": pa.array([figures.campaign.encode() for figures in measured], pa.binary(8)),
        "message": pa.array([figures.message for figures in measured], pa.uint8()),
        "targeted": _integers([figures.targeted for figures in measured]),
        **{state: _integers([figures.states[state] for figures in measured]) for state in SHOWN},
        "reasons.state": pa.array([[row[0] for row in rows] for rows in why], pa.list_(pa.string())),
        "reasons.reason": pa.array([[row[1] for row in rows] for rows in why], pa.list_(pa.string())),
        "reasons.recipients": pa.array([[row[2] for row in rows] for rows in why], pa.list_(pa.int64())),
        "clicked": _integers([figures.clicks.people for figures in measured]),
        "clicked_delivered": _integers([figures.clicks.delivered for figures in measured]),
        "clicked_by_bots": _integers([figures.clicks.bots for figures in measured]),
        **{event: _integers([sum(figures.events.get(event, {}).values()) for figures in measured])
           for event in EVENTS if event != "clicked"},
        **{name: _integers([getattr(figures, counts.get(name, name)) for figures in measured]) for name in _COUNTS},
        "newest_at": pa.array([figures.newest_at for figures in measured], _MS),
        "inserted_at": pa.array([figures.inserted_at for figures in measured], _MS),
    }))  # fmt: skip


def measured_figures(store: Store, campaigns: Sequence[str]) -> dict[str, list[Figures]]:
    """Campaign → the figures of its messages as they were last measured; one that never was is left out. They are
    exact for those that `campaigns_behind` does not name.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    measured: defaultdict[str, list[Figures]] = defaultdict(list)
    for first in range(0, len(campaigns), _AT_ONCE):
        for row in store.rows(_STATS, {"campaigns": campaigns[first : first + _AT_ONCE]}):
            measured[row[0]].append(_figures(row))
    return measured


def _figures(row: Sequence[Any]) -> Figures:
    clicked, clicked_delivered, bots, opted_out, replied, messages, segments, spend, residual = row[3:12]
    reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for entry in row[12]:
        state, reason, count = entry.values()
        reasons[state][reason] = count
    return Figures(
        campaign=row[0],
        message=row[1],
        targeted=row[2],
        states=dict(zip(SHOWN, row[15:], strict=True)),
        reasons=reasons,
        events={"opted_out": {"": opted_out}, "replied": {"": replied}},
        clicks=Clicks(clicked, clicked_delivered, bots),
        accepted_ever=messages,
        segments=segments,
        spend=spend,
        residual=residual,
        newest_at=ms_of(row[13]),
        inserted_at=ms_of(row[14]),
    )


def _reasons(figures: Figures) -> list[tuple[str, str, int]]:
    """(state, reason, recipients), without those that nobody has."""
    return [
        (state, reason, count)
        for state, reasons in figures.reasons.items()
        for reason, count in reasons.items()
        if reason and count
    ]


def _integers(values: Sequence[int]) -> Any:
    return pa.array(values, pa.int64())


def campaigns_behind(store: Store) -> list[str]:
    """Campaigns of which something may be recorded that their measured figures do not have.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return [row[0] for row in store.rows(_BEHIND)]


def measured_spend(store: Store) -> dict[str, int]:
    """Campaign → what its messages have cost (millionths of a credit), as they were last measured.

    Raises:
        StoreUnavailable, StoreRefused.
    """
    return {row[0]: row[1] for row in store.rows(_SPEND)}
