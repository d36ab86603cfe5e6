"""Imports a file of opt-outs into Kafka, batch by batch; every line is counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyroaring import BitMap64

from adapters.clickhouse import Store
from adapters.clickhouse.consents import ended_holds, latest_of
from adapters.clock import now_ms
from adapters.contacts.files import Batch, ContactFile, ContactFileError, Reading, open_contacts
from adapters.contacts.rejects import Rejects
from adapters.errors import EmitError, StoreError
from adapters.kafka.consents import send_consents
from adapters.kafka.producer import Producer
from adapters.settings import Settings, load
from adapters.terminal import UserError
from cli.accounts.book import stored_book
from cli.contacts.options import account_of
from cli.contacts.plan import (
    NumberWatch,
    Places,
    judge_numbers,
    open_rejects,
    reading_notes,
    summary_of,
    survey_of,
)
from pipeline.audience.columns import Choices, ColumnsError
from pipeline.audience.optout_lines import NOTES, Columns, Outcome, Where, changes_of, changes_of_broken, columns_of
from pipeline.audience.rejections import RejectedLines, explained
from pipeline.audience.survey import Survey
from pipeline.eligibility.optouts import without_decided
from pipeline.numbers.judging import Choice, Verdict
from schemas.feedback import Consent
from schemas.json import JsonObject
from schemas.reasons import Reason

AT_ONCE = 10_000
"""Lines that are read at once, and records that wait for Kafka at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that was read once to its end, and the roles of its columns."""

    path: Path
    file: ContactFile
    columns: Columns
    survey: Survey
    numbers: Verdict


@dataclass(slots=True)
class Counts:
    """Counts of an import: each line is `taken`, `rejected`, or has no opt-out (`no_change`).

    A line whose one number is taken and whose other one is not counts as taken and as rejected.
    """

    lines: int = 0
    taken: int = 0
    no_change: int = 0
    states: dict[str, BitMap64] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    rejected: RejectedLines = field(default_factory=RejectedLines)


def plan(path: Path, reading: Reading, choices: Choices, numbers: Choice) -> Plan:
    """Read the whole file; `numbers` is the operator's choice for digits without +.

    Raises:
        UserError, ContactFileError: it cannot be read or used.
    """
    file = open_contacts(path, reading)
    watch = NumberWatch(lambda seen: _places(columns_of(file.header, seen, choices)), reading.country)
    survey = survey_of(file, watch)
    if not survey.rows:
        raise UserError(f"{path} has a header but no numbers")
    try:
        columns = columns_of(file.header, survey.profiles, choices)
    except ColumnsError as error:
        raise UserError(f"{path}: {error}") from error
    lost = [file.header[position] for position in columns.phones if file.header[position] in file.unusable]
    if lost:
        raise ContactFileError(
            f"{path}: column {lost[0]!r} is the number but holds {file.unusable[lost[0]]}: store it as text. "
            "Nothing was imported"
        )
    return Plan(path, file, columns, survey, judge_numbers(file, _places(columns), watch, numbers))


def _places(columns: Columns) -> Places:
    return columns.phones, columns.country


def look_through(import_plan: Plan, country: str) -> JsonObject:
    """The summary of a dry run: what an import would do. Nothing is written."""
    started, counts = time.monotonic(), Counts()
    where = Where("", country, "", frozenset(), now_ms(), import_plan.numbers.bare)
    for batch in import_plan.file.batches(AT_ONCE):
        for _, raw, _, outcome in _outcomes(batch, import_plan, where):
            _count(counts, raw, outcome)
    return {"dry_run": True, **_summary(import_plan, counts, started)}


def run(import_plan: Plan, country: str, account: str, rejects: Path) -> JsonObject:
    """Import a file. Returns the summary when Kafka has acknowledged everything.

    Raises:
        UserError, ContactFileError: the file cannot be read or used, Kafka or ClickHouse does not answer.
    """
    started, settings, counts = time.monotonic(), load(), Counts()
    accounts = frozenset(stored_book(settings).names())
    where = Where("", country, account_of(account, accounts), accounts, now_ms(), import_plan.numbers.bare)
    try:
        with open_rejects(rejects, import_plan.file, import_plan.columns) as rejected:
            asyncio.run(_publish(settings, import_plan, where, rejected, counts))
    except EmitError as error:
        raise UserError(
            f"the import stopped: Kafka cannot be used ({error}). Check it with `longwave status`, then run the same "
            "command again: repeating it does no harm"
        ) from error
    except StoreError as error:
        raise UserError(
            "the import stopped: the file opts numbers in or holds them, and ClickHouse cannot be asked for later "
            f"decisions about them ({error}). Check it with `longwave status`, then run the same command again"
        ) from error
    return _summary(import_plan, counts, started) | {"rejects": str(rejects) if counts.rejected.counts else None}


async def _publish(settings: Settings, import_plan: Plan, where: Where, rejects: Rejects, counts: Counts) -> None:
    producer, store = Producer(settings.kafka), Store(settings.clickhouse)
    try:
        for batch in import_plan.file.batches(AT_ONCE):
            changes: list[Consent] = []
            outcomes = list(_outcomes(batch, import_plan, where))
            said = [change for *_, outcome in outcomes for change in outcome.changes]
            later = _later_opt_outs(store, said)
            ended = ended_holds(store, [consent.number for consent in said if consent.state == "held"])
            for _, raw, cells, outcome in outcomes:
                kept = _without(outcome, later, ended)
                changes += kept.changes
                _count(counts, raw, kept)
                if kept.rejection is not None:
                    rejects.add(raw, cells, explained(kept.rejection, kept.detail))
            await send_consents(producer, changes)
    finally:
        await producer.close()


def _outcomes(
    batch: Batch, import_plan: Plan, where: Where
) -> Iterator[tuple[int, str, Sequence[str] | None, Outcome]]:
    """(line number, text, cells if it can be split, outcome) of each line, in the order of the file."""
    name = import_plan.path.name
    lines: list[tuple[int, str, Sequence[str] | None, Outcome]] = []
    for index, row in enumerate(batch.rows):
        line = batch.lines[index]
        outcome = changes_of(row, import_plan.columns, where._replace(place=f"{name} line {line}"))
        lines.append((line, batch.raw(index), row, outcome))
    for broken in batch.broken:
        cells = broken.raw.split(import_plan.file.dialect.delimiter)
        outcome = changes_of_broken(cells, import_plan.columns, where._replace(place=f"{name} line {broken.line}"))
        if outcome.rejection is not None:
            outcome = outcome._replace(rejection=Reason.MALFORMED)
        lines.append((broken.line, broken.raw, None, outcome))
    yield from sorted(lines, key=lambda entry: entry[0])


def _later_opt_outs(store: Store, said: Sequence[Consent]) -> dict[tuple[int, str], int]:
    """Times (ms) of recorded opt-outs of the numbers that the file opts in, by number and account."""
    numbers = [consent.number for consent in said if consent.state == "in" and not consent.hold]
    latest = latest_of(store, numbers)
    return {key: at for key, (state, at) in latest.items() if state == "out"}


def _without(outcome: Outcome, later: dict[tuple[int, str], int], ended: Container[tuple[str, int, str]]) -> Outcome:
    """The outcome without opt-ins that a later recorded opt-out supersedes, and without holds that were ended."""
    open_yet = without_decided(outcome.changes, ended)
    kept = [
        consent
        for consent in open_yet
        if consent.state != "in" or consent.hold or later.get((consent.number, consent.account), 0) <= consent.at
    ]
    notes = list(outcome.notes)
    if len(open_yet) < len(outcome.changes):
        notes.append("decided_before")
    if len(kept) < len(open_yet):
        notes.append("opted_out_later")
    return outcome._replace(changes=kept, notes=notes)


def _count(counts: Counts, raw: str, outcome: Outcome) -> None:
    counts.lines += 1
    counts.taken += bool(outcome.changes)
    counts.no_change += not outcome.changes and outcome.rejection is None
    for change in outcome.changes:
        state = "cleared" if change.state == "in" and change.hold else change.state
        counts.states.setdefault(state, BitMap64()).add(change.number)
    counts.notes.update(outcome.notes)
    if outcome.rejection is not None:
        counts.rejected.add(outcome.rejection, raw)


def _summary(import_plan: Plan, counts: Counts, started: float) -> JsonObject:
    notes = [f"{count:,} lines: {NOTES[note]}" for note, count in counts.notes.most_common()]
    out = counts.states.get("out", BitMap64())
    return {
        **summary_of(import_plan.file, import_plan.columns, import_plan.survey, import_plan.numbers, counts.rejected),
        "file": str(import_plan.path),
        "notes": [*reading_notes(import_plan.file), *notes],
        "noted": dict(counts.notes.most_common()),
        "lines": counts.lines,
        "taken": counts.taken,
        "imported": len(out),
        "opted_in": len(counts.states.get("in", ())),
        "held": len(counts.states.get("held", ())),
        "cleared": len(counts.states.get("cleared", ())),
        "no_change": counts.no_change,
        "seconds": round(time.monotonic() - started, 3),
    }
