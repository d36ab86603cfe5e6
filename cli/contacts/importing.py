"""Imports a contacts file into ClickHouse, batch by batch; every line is counted.

While one batch is stored the next one is read, so at most three batches are in memory. The consent changes of a batch
are published before its contacts are stored, so no opted-out number is in a list before the opt-out is known.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyroaring import BitMap64

from adapters.clock import now_ms
from adapters.contacts.files import BATCH, Batch
from adapters.contacts.rejects import Rejects
from adapters.contacts.store import ContactColumns, ContactStore
from cli.contacts.plan import Plan, no_cyclic_collection
from pipeline.audience.column_words import is_empty
from pipeline.audience.columns import Columns
from pipeline.audience.contact_lines import (
    Contacts,
    Statement,
    country_of_line,
    derived_region,
    normalize,
    statements_of_broken,
)
from pipeline.audience.rejections import RejectedLines, explained
from pipeline.eligibility.optouts import without_decided
from pipeline.numbers.judging import explain_refusal
from schemas.feedback import Consent
from schemas.reasons import Reason


@dataclass(slots=True)
class Counts:
    """Counts of an import: `lines` = `imported` + `duplicates` + all `rejected` lines.

    `imported` are distinct numbers; `duplicates` are lines whose number a later or earlier line has too (their values
    are put together, the last ones win). `opted_out` and `held` are the numbers that lines say something about, and
    `decided` those that a line would hold again although that hold was ended.
    """

    lines: int = 0
    imported: int = 0
    duplicates: int = 0
    opted_out: BitMap64 = field(default_factory=BitMap64)
    held: BitMap64 = field(default_factory=BitMap64)
    decided: BitMap64 = field(default_factory=BitMap64)
    countries: Counter[str] = field(default_factory=Counter)
    rejected: RejectedLines = field(default_factory=RejectedLines)


@dataclass(frozen=True, slots=True)
class Targets:
    """Where an import writes. `publish(consents)` returns when Kafka has acknowledged; `account` "" is every account.

    `progress(done, counts)` hears of each stored batch, `done` counting up to the file's total.
    """

    store: ContactStore
    rejects: Rejects
    publish: Callable[[list[Consent]], None]
    progress: Callable[[int, Counts], None]
    file: str
    account: str = ""


def import_contacts(plan: Plan, targets: Targets, *, country: str = "", merges: bool = True) -> Counts:
    """Store all contacts of a file; `country` (ISO) is assumed for numbers written without `+` and country. Lines of
    one number are put together where `merges`, else the last one counts.

    Raises:
        adapters.errors.StoreError, ContactFileError: what was stored stays; importing again doubles nothing.
    """
    counts, seen, at = Counts(), BitMap64(), 0
    with ThreadPoolExecutor(1, "store") as storing, no_cyclic_collection():
        before: Future[None] | None = None
        for batch in plan.file.batches(BATCH):
            contacts = normalize(batch.rows, plan.columns, country, plan.numbers.bare)
            for raw, cells, reason in _rejected(batch, contacts):
                targets.rejects.add(raw, cells, _explained(reason, cells, plan.columns, country))
            at = max(now_ms(), at + 1)
            said = _consents(_statements(batch, contacts, plan, country), targets, at)
            held = [consent.number for consent in said if consent.state == "held"]
            kept = without_decided(said, targets.store.ended_holds(held))
            counts.decided |= BitMap64(held) - BitMap64(consent.number for consent in kept if consent.state == "held")
            task = _Task(_columns(batch, contacts, plan.columns, merges=merges), kept, at)
            if before is not None:
                before.result()
            before = storing.submit(task.run, targets)
            _count(counts, batch, contacts, kept, seen)
            targets.progress(batch.done, counts)
            gc.collect()
        if before is not None:
            before.result()
    return counts


def look_through(plan: Plan, *, country: str = "") -> Counts:
    """What an import would do with the lines, judged from the file alone. Nothing is written or read elsewhere."""
    counts, seen = Counts(), BitMap64()
    for batch in plan.file.batches(BATCH):
        contacts = normalize(batch.rows, plan.columns, country, plan.numbers.bare)
        _count(counts, batch, contacts, [said for _, said in _statements(batch, contacts, plan, country)], seen)
    return counts


@dataclass(frozen=True, slots=True)
class _Task:
    contacts: ContactColumns
    consents: list[Consent]
    at: int

    def run(self, targets: Targets) -> None:
        if self.consents:
            targets.publish(self.consents)
        if len(self.contacts.numbers):
            targets.store.insert(self.contacts, self.at)


def _columns(batch: Batch, contacts: Contacts, columns: Columns, *, merges: bool) -> ContactColumns:
    """The contacts with distinct numbers: the last line of each, completed from its earlier lines."""
    numbers = np.array(contacts.numbers, np.uint64)
    distinct, from_end = np.unique(numbers[::-1], return_index=True)
    last = (len(numbers) - 1 - from_end).tolist()
    rows = [batch.rows[contacts.rows[i]] for i in last]

    def picked(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in last]

    contact_columns = ContactColumns(
        numbers=distinct,
        countries=picked(contacts.countries),
        regions=picked(contacts.regions),
        derived=[
            derived_region(contacts.countries[i], number) for i, number in zip(last, distinct.tolist(), strict=True)
        ],
        zones=picked(contacts.zones),
        attributes=[
            (name, ["" if is_empty(cell) else cell for cell in (row[position] for row in rows)])
            for name, position in columns.attributes
        ],
    )
    if merges and len(distinct) < len(numbers):
        _put_together(contact_columns, batch, contacts, columns, set(last))
    return contact_columns


def _put_together(
    contact_columns: ContactColumns, batch: Batch, contacts: Contacts, columns: Columns, last: set[int]
) -> None:
    """Fill what the last line of a number leaves empty from its earlier lines, latest first."""
    places = {number: place for place, number in enumerate(contact_columns.numbers.tolist())}
    for i in range(len(contacts.numbers) - 1, -1, -1):
        if i in last:
            continue
        place, row = places[contacts.numbers[i]], batch.rows[contacts.rows[i]]
        contact_columns.regions[place] = contact_columns.regions[place] or contacts.regions[i]
        contact_columns.zones[place] = contact_columns.zones[place] or contacts.zones[i]
        for (_, texts), (_, position) in zip(contact_columns.attributes, columns.attributes, strict=True):
            if not texts[place].strip() and not is_empty(row[position]):
                texts[place] = row[position]


def _rejected(batch: Batch, contacts: Contacts) -> Iterator[tuple[str, Sequence[str] | None, Reason]]:
    """(text, cells, reason) of the rejected lines, in the order of the file."""
    lines: list[tuple[int, str, Sequence[str] | None, Reason]] = [
        (line.line, line.raw, None, Reason.MALFORMED) for line in batch.broken
    ]
    lines += [(batch.lines[row], batch.raw(row), batch.rows[row], reason) for row, reason in contacts.rejects]
    for _, raw, cells, reason in sorted(lines, key=lambda line: line[0]):
        yield raw, cells, reason


def _explained(reason: Reason, cells: Sequence[str] | None, columns: Columns, country: str) -> str:
    if reason != Reason.AMBIGUOUS or cells is None:
        return explained(reason)
    return f"{reason}: {explain_refusal(reason, cells[columns.phone], country_of_line(cells, columns, country))}"


def _statements(batch: Batch, contacts: Contacts, plan: Plan, country: str) -> Iterator[tuple[int, Statement]]:
    """(line, consent statement) of a batch, broken lines included."""
    for statement in contacts.statements:
        yield batch.lines[statement.row], statement
    for line in batch.broken:
        cells = [cell.strip(' "') for cell in line.raw.split(plan.file.dialect.delimiter)]
        for statement in statements_of_broken(cells, plan.columns, country):
            yield line.line, statement


def _consents(statements: Iterable[tuple[int, Statement]], targets: Targets, at: int) -> list[Consent]:
    return [
        Consent(
            account=targets.account,
            number=said.number,
            state=said.state,
            at=at,
            source="import",
            evidence=f"{targets.file} line {line}, column {said.column[:100]!r}: {said.value.strip()[:200]!r}",
        )
        for line, said in statements
    ]


def _count(
    counts: Counts, batch: Batch, contacts: Contacts, said: Sequence[Statement | Consent], seen: BitMap64
) -> None:
    before = len(seen)
    seen |= BitMap64(np.array(contacts.numbers, np.uint64))
    fresh = len(seen) - before
    counts.lines += len(batch.rows) + len(batch.broken)
    counts.imported += fresh
    counts.duplicates += len(contacts.numbers) - fresh
    counts.opted_out |= BitMap64(consent.number for consent in said if consent.state == "out")
    counts.held |= BitMap64(consent.number for consent in said if consent.state == "held")
    counts.countries.update(contacts.countries)
    for raw, _, reason in _rejected(batch, contacts):
        counts.rejected.add(reason, raw)
