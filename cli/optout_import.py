"""An opt-out file → Kafka: read, checked, written batch by batch; every line is accounted for."""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyroaring import BitMap64

from adapters.clock import now_ms
from adapters.contact_files import Batch, ContactFile, open_contacts
from adapters.errors import EmitError
from adapters.producer import Producer
from adapters.settings import Kafka, load
from cli.console import UserError
from pipeline.contacts import ColumnsError
from pipeline.optout_lines import Columns, Reason, columns_of, optout_of
from schemas import topics
from schemas.feedback import Consent, consent_key
from schemas.wire import encode

AT_ONCE = 10_000
"""Lines read, and records that wait for Kafka, together."""


@dataclass(slots=True)
class Counts:
    """What became of the lines: `lines` = distinct `numbers` + `duplicates` + all of `refused`."""

    lines: int = 0
    numbers: BitMap64 = field(default_factory=BitMap64)
    refused: list[tuple[int, Reason, str]] = field(default_factory=list)


def run(file: Path, country: str, rejects: Path) -> dict[str, Any]:
    """Import `file`; returns the summary when Kafka has acknowledged everything.

    Raises:
        UserError, ContactFileError: the file cannot be read or used, Kafka does not answer.
    """
    started, contacts = time.monotonic(), open_contacts(file)
    try:
        columns = columns_of(contacts.header)
    except ColumnsError as error:
        raise UserError(f"{file}: {error}") from error
    counts = Counts()
    try:
        asyncio.run(_publish(load().kafka, contacts, columns, country, file.name, counts))
    except EmitError as error:
        raise UserError(
            f"the import stopped: Kafka cannot be used ({error}). Check it with `longwave status`, then run the same "
            "command again: repeating it does no harm"
        ) from error
    if not counts.lines:
        raise UserError(f"{file} has a header but no numbers")
    _write_rejects(rejects, counts.refused)
    return {
        "file": str(file),
        "lines": counts.lines,
        "imported": len(counts.numbers),
        "duplicates": counts.lines - len(counts.refused) - len(counts.numbers),
        "rejected": dict(Counter(reason for _, reason, _ in counts.refused).most_common()),
        "rejects": str(rejects) if counts.refused else None,
        "seconds": round(time.monotonic() - started, 3),
    }


async def _publish(
    kafka: Kafka, contacts: ContactFile, columns: Columns, country: str, name: str, counts: Counts
) -> None:
    producer, now = Producer(kafka), now_ms()
    try:
        for batch in contacts.batches(AT_ONCE):
            found = _optouts(batch, columns, country, name, now, counts)
            await asyncio.gather(
                *(producer.send(topics.OPTOUTS.name, encode(one), key=consent_key(one)) for one in found)
            )
    finally:
        await producer.close()


def _optouts(batch: Batch, columns: Columns, country: str, name: str, now: int, counts: Counts) -> list[Consent]:
    """The opt-outs of a batch, of each number the last line."""
    found: dict[int, Consent] = {}
    for index, row in enumerate(batch.rows):
        one = optout_of(row, columns, country, f"{name} line {batch.lines[index]}", now)
        if isinstance(one, Consent):
            found[one.number] = one
        else:
            counts.refused.append((batch.lines[index], one, batch.raw(index)))
    counts.refused += [(line.line, line.reason, line.raw) for line in batch.broken]
    counts.lines += len(batch.rows) + len(batch.broken)
    counts.numbers |= BitMap64(found)
    return list(found.values())


def _write_rejects(path: Path, refused: list[tuple[int, Reason, str]]) -> None:
    if not refused:
        return
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "reason", "raw"])
            writer.writerows(sorted(refused))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another file with --rejects") from error
