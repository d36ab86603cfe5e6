"""Statements and invoices: what changed between two instants, from an account's facts at the end of each day.

A segment belongs to the day (UTC) on which the ledger was told of it: some seconds after its message was accepted, or
when it became known that an unknown message had been. So each belongs to one day, and all days sum up to what was
sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from schemas.statement import Credited, Item, Snapshot


def statement(snapshots: Iterable[Snapshot], credited: Iterable[Credited]) -> list[Item]:
    """The lines of a period in order of time: its top-ups, and for each day and campaign what was spent and reserved.
    `snapshots` has of each campaign the last one before the period, if there is one, and the last of each day."""
    items = [Item(at=item.at, kind="top_up", balance=item.amount, note=item.note, who=item.who) for item in credited]
    for before, after in _pairs(snapshots):
        items += _between(before, after)
    return sorted(items, key=lambda item: (item.at, item.campaign, item.kind, item.price))


def invoice(snapshots: Iterable[Snapshot]) -> list[Item]:
    """What each campaign spent in the period, by price."""
    items = []
    for _, of_campaign in groupby(_ordered(snapshots), key=lambda snapshot: snapshot.campaign):
        known = list(of_campaign)
        first = known[0] if not known[0].day else _nothing(known[0])
        items += [item for item in _between(first, known[-1]) if item.kind == "spent"]
    return sorted(items, key=lambda item: (item.campaign, item.price))


def _ordered(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    return sorted(snapshots, key=lambda snapshot: (snapshot.campaign, snapshot.day))


def _nothing(like: Snapshot) -> Snapshot:
    return Snapshot(like.campaign, 0, like.billing, 0, 0, 0, ())


def _pairs(snapshots: Iterable[Snapshot]) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Each snapshot of the period with the one before it."""
    before: Snapshot | None = None
    for snapshot in _ordered(snapshots):
        if before is None or before.campaign != snapshot.campaign:
            before = _nothing(snapshot)
        if snapshot.day:
            yield before, snapshot
        before = snapshot


def _between(before: Snapshot, after: Snapshot) -> Iterator[Item]:
    known = {price: (messages, segments) for price, messages, segments in before.lines}
    spent = 0
    for price, messages, segments in after.lines:
        earlier = known.get(price, (0, 0))
        if (messages, segments) == earlier:
            continue
        line = (price, messages - earlier[0], segments - earlier[1])
        balance = -line[0] * line[2] if after.billing == "prepaid" else 0
        spent += balance
        yield Item(
            at=after.day, kind="spent", campaign=after.campaign, billing=after.billing, price=line[0],
            messages=line[1], segments=line[2], balance=balance,
        )  # fmt: skip
    # What was not charged: more than `uncovered` says only where the campaign changed who pays.
    if uncovered := before.charged - after.charged - spent:
        yield Item(at=after.day, kind="uncovered", campaign=after.campaign, billing=after.billing, balance=uncovered)
    if reserved := after.reserved - before.reserved:
        yield Item(at=after.day, kind="reserved", campaign=after.campaign, billing=after.billing, reserved=reserved)
