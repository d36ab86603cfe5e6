"""Figures as the page and the CLI get them: the accounting over the sets that ClickHouse keeps, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from adapters.clickhouse import Store
from adapters.clickhouse.figures import message_sets
from adapters.clickhouse.measured import measured_figures
from pipeline.insight.accounting import figures as account
from schemas.accounts import MICRO
from schemas.figures import Figures
from schemas.json import JsonObject
from schemas.succession import HANDED_OVER, SHOWN


def read_figures(store: Store, campaigns: Sequence[str]) -> dict[str, JsonObject]:
    """The figures of each campaign, all zero before its audience is frozen.

    Raises:
        StoreError: ClickHouse does not answer or refuses.
    """
    return {campaign: as_json([account(sets) for sets in message_sets(store, campaign)]) for campaign in campaigns}


def read_measured(store: Store, campaigns: Sequence[str]) -> dict[str, JsonObject]:
    """The figures of campaigns as the writer last measured them; one that it never did is left out.

    Raises:
        StoreError: ClickHouse does not answer or refuses.
    """
    return {campaign: as_json(messages) for campaign, messages in measured_figures(store, campaigns).items()}


def as_json(messages: Sequence[Figures]) -> JsonObject:
    """The figures of all messages of a campaign added up: `states` hold every state, `reasons` are ranked,
    `submitted` is what the aggregator has, `spend` in credits, times in ms (0 = never). `clicked`: recipients, each
    once; its `rate` is those of the delivered who clicked, divided by the delivered, null where nobody was."""
    states = {state: sum(message.states[state] for message in messages) for state in SHOWN}
    received = sum(message.clicks.delivered for message in messages)
    return {
        "targeted": sum(message.targeted for message in messages),
        "states": states,
        "residual": sum(message.residual for message in messages),
        "submitted": sum(states[state] for state in HANDED_OVER),
        "reasons": _ranked(messages),
        "clicked": {
            "people": sum(message.clicks.people for message in messages),
            "bots": sum(message.clicks.bots for message in messages),
            "delivered": received,
            "rate": received / states["delivered"] if states["delivered"] else None,
        },
        "opted_out": _added(message.events.get("opted_out", {}) for message in messages).total(),
        "replied": _added(message.events.get("replied", {}) for message in messages).total(),
        "segments": sum(message.segments for message in messages),
        "spend": sum(message.spend for message in messages) / MICRO,
        "newest_at": max((message.newest_at for message in messages), default=0),
        "inserted_at": max((message.inserted_at for message in messages), default=0),
    }


def _added(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    added: Counter[str] = Counter()
    for count in counts:
        added.update(count)
    return added


def _ranked(messages: Sequence[Figures]) -> list[JsonObject]:
    counts_by_reason: Counter[tuple[str, str]] = Counter()
    for message in messages:
        for state, reasons in message.reasons.items():
            counts_by_reason.update({(state, reason): count for reason, count in reasons.items() if reason and count})
    return [
        {"state": state, "reason": reason, "count": count}
        for (state, reason), count in counts_by_reason.most_common()
    ]
