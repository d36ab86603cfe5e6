"""Statements and invoices: whatever the days, what is on them sums up to what was spent and reserved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ledger.periods import invoice, statement
from schemas.statement import Credited, Item, Snapshot

DAY = 86_400_000
additions = st.lists(
    st.tuples(st.sampled_from([1, 3]), st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=6
)


def history(steps: list[tuple[int, int, int]]) -> list[Snapshot]:
    """A campaign's snapshot of each day: messages are added at a price, something stays reserved."""
    lines: dict[int, int] = {}
    snapshots = []
    for day, (price, segments, reserved) in enumerate(steps, 1):
        lines[price] = lines.get(price, 0) + segments
        spent = sum(price * count for price, count in lines.items())
        kept = [(price, count, count) for price, count in sorted(lines.items())]
        snapshots.append(Snapshot("00000001", day * DAY, "prepaid", reserved, spent, 0, kept))
    return snapshots


def before(snapshot: Snapshot) -> Snapshot:
    values = (snapshot.billing, snapshot.reserved, snapshot.charged, snapshot.uncovered, snapshot.lines)
    return Snapshot(snapshot.campaign, 0, *values)


def amount(items: list[Item]) -> int:
    return sum(item.amount for item in items)


@given(additions, st.integers(0, 5))
def test_periods_sum_up_wherever_they_are_cut(steps: list[tuple[int, int, int]], cut: int) -> None:
    days = history(steps)
    cut = min(cut, len(days) - 1)
    parts = [days[:cut], [*([before(days[cut - 1])] if cut else []), *days[cut:]]]
    items = [item for part in parts for item in statement(part, [])]
    assert sum(item.balance for item in items) == -days[-1].charged
    assert sum(item.reserved for item in items) == days[-1].reserved
    spent = [item for item in items if item.kind == "spent"]
    assert amount(spent) == amount([item for part in parts if part for item in invoice(part)]) == days[-1].charged


def test_what_could_not_be_charged_has_a_line_of_its_own() -> None:
    snapshot = Snapshot("00000001", DAY, "prepaid", 0, 7, 3, [(1, 10, 10)])
    top_up = Credited("a", DAY + 5, 7, "INV-7", "me")
    lines = [(item.kind, item.balance) for item in statement([snapshot], [top_up])]
    assert lines == [("spent", -10), ("uncovered", 3), ("top_up", 7)]


def test_what_is_paid_by_invoice_changes_no_balance() -> None:
    snapshot = Snapshot("00000001", DAY, "invoice", 0, 0, 0, [(2, 10, 15)])
    (item,) = statement([snapshot], [])
    assert (item.amount, item.balance, item.segments) == (30, 0, 15)
