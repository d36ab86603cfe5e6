"""A contacts file → ClickHouse: read, normalise, store, batch by batch; every line is accounted for.

While one batch is being stored the next one is read, so at most three batches are in memory. Opt-outs of a batch
are published before its contacts are stored: nobody joins a list before the rest knows not to write to them.
"""

from __future__ import annotations

import csv
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from pyroaring import BitMap64

from adapters.clock import now_ms
from adapters.contact_files import BATCH, Batch, ContactFile
from adapters.contact_store import ContactColumns, ContactStore
from pipeline.contacts import Columns, Contacts, Reason, columns_of, normalise


@dataclass(slots=True)
class Counts:
    """What became of the lines: `lines` = `imported` + `duplicates` + all of `rejected`.

    `imported` are distinct numbers; `duplicates` are lines whose number a later or earlier line has too (the last
    one's values are kept); `opted_out` are distinct numbers per batch whose line said not to write to them.
    """

    lines: int = 0
    imported: int = 0
    duplicates: int = 0
    opted_out: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)


class Rejects(AbstractContextManager["Rejects"]):
    """The file of rejected lines (CSV: line, reason, raw); not left behind when nothing was rejected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "reason", "raw"])

    def add(self, rows: list[tuple[int, Reason, str]]) -> None:
        self._writer.writerows(rows)
        self.count += len(rows)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink(missing_ok=True)


def import_contacts(
    file: ContactFile,
    store: ContactStore,
    rejects: Rejects,
    *,
    country: str = "",
    on_opted_out: Callable[[list[int]], None],
    on_progress: Callable[[int, Counts], None],
) -> Counts:
    """Store all contacts of `file`; `country` (ISO) is assumed for numbers written without `+` and country.

    `on_opted_out(numbers)` must return once the opt-outs are safe; `on_progress(done, counts)` hears of each
    stored batch, `done` counting up to `file.total`.

    Raises:
        pipeline.contacts.ColumnsError: the header names no number column.
        adapters.errors.StoreError, ContactFileError: what was stored stays; importing again doubles nothing.
    """
    columns = columns_of(file.header)
    counts, seen, at = Counts(), BitMap64(), 0
    with ThreadPoolExecutor(1, "store") as storing, _no_cyclic_collection():
        before: Future[None] | None = None
        for batch in file.batches(BATCH):
            contacts = normalise(batch.rows, columns, country)
            rejects.add(list(_rejected(batch, contacts)))
            at = max(now_ms(), at + 1)
            task = _Task(_columns(batch, contacts, columns), sorted(set(contacts.opted_out)), at)
            if before is not None:
                before.result()
            before = storing.submit(task.run, store, on_opted_out)
            _count(counts, batch, contacts, seen)
            on_progress(batch.done, counts)
            gc.collect()
        if before is not None:
            before.result()
    return counts


@contextmanager
def _no_cyclic_collection() -> Iterator[None]:
    """Rows are many small lists without cycles: looking through them again and again takes a third of the time.

    phonenumbers' exceptions do make cycles, which hold on to their batch: so collect once after each.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Task:
    contacts: ContactColumns
    opted_out: list[int]
    at: int

    def run(self, store: ContactStore, on_opted_out: Callable[[list[int]], None]) -> None:
        if self.opted_out:
            on_opted_out(self.opted_out)
        if len(self.contacts.numbers):
            store.insert(self.contacts, self.at)


def _columns(batch: Batch, contacts: Contacts, columns: Columns) -> ContactColumns:
    """The contacts with distinct numbers, of each the last line."""
    numbers = np.array(contacts.numbers, np.uint64)
    distinct, from_end = np.unique(numbers[::-1], return_index=True)
    last = (len(numbers) - 1 - from_end).tolist()
    rows = [batch.rows[contacts.rows[i]] for i in last]

    def picked(values: list[Any]) -> list[Any]:
        return [values[i] for i in last]

    attributes = [(name, [row[position] for row in rows]) for name, position in columns.attributes]
    return ContactColumns(
        distinct, picked(contacts.countries), picked(contacts.regions), picked(contacts.zones), attributes
    )


def _rejected(batch: Batch, contacts: Contacts) -> Iterator[tuple[int, Reason, str]]:
    broken = ((line.line, line.reason, line.raw) for line in batch.broken)
    refused = ((batch.lines[row], reason, batch.raw(row)) for row, reason in contacts.rejects)
    yield from sorted((*broken, *refused))


def _count(counts: Counts, batch: Batch, contacts: Contacts, seen: BitMap64) -> None:
    before = len(seen)
    seen |= BitMap64(np.array(contacts.numbers, np.uint64))
    fresh = len(seen) - before
    counts.lines += len(batch.rows) + len(batch.broken)
    counts.imported += fresh
    counts.duplicates += len(contacts.numbers) - fresh
    counts.opted_out += len(set(contacts.opted_out))
    counts.rejected.update(reason for _, reason in contacts.rejects)
    counts.rejected.update(line.reason for line in batch.broken)
