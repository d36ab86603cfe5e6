"""`longwave contacts import`: read a file of contacts into a list."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.terminal import UserError, WrongUse, note, write_json
from cli.accounts.book import stored_book
from cli.contacts import person as contact_person
from cli.contacts import unreachable
from cli.contacts.options import (
    Account,
    Column,
    Delimiter,
    DryRun,
    Encoding,
    File,
    IgnoreColumn,
    Json,
    NoHeader,
    Numbers,
    Region,
    RejectsTo,
    account_of,
    choices_of,
    country_of,
    delimiter_of,
    numbers_of,
    rejects_of,
    say_summary,
)
from schemas.ids import retried_campaign
from schemas.json import JsonObject

if TYPE_CHECKING:  # the command line answers --help without loading them
    from rich.progress import Progress, TaskID

    from adapters.contacts.files import Reading
    from adapters.settings import Kafka, Settings
    from cli.contacts.importing import Counts
    from cli.contacts.plan import Plan
    from pipeline.audience.columns import Choices
    from pipeline.numbers.judging import Choice
    from schemas.feedback import Consent

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
app.add_typer(unreachable.app, name="unreachable")
for _command in (contact_person.show, contact_person.export, contact_person.delete):
    app.command()(_command)

_LIST_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_EMIT_AT_ONCE = 10_000


@app.callback()
def _group() -> None:
    """Import contacts; show, export or erase one contact."""


@app.command("import")
def import_(  # noqa: PLR0913 - each is an option of the command
    file: File,
    list_name: Annotated[str, typer.Option("--list", help="List that the contacts join (created if new).")],
    region: Region = "",
    numbers: Numbers = "",
    rejects: RejectsTo = None,
    dry_run: DryRun = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Existing contacts lose the values that this file does not have.")
    ] = False,
    column: Column = None,
    ignore_column: IgnoreColumn = None,
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    no_header: NoHeader = False,
    account: Account = "",
    json: Json = None,
) -> None:
    """Import contacts and add them to a list. Importing a file again is safe: contacts are not duplicated.

    Columns are known by their headers in many languages: the number, its country, region (US state, Canadian
    province, French department), time zone, and what they say about consent; every other column becomes an attribute
    for personalization. Existing contacts keep the values that this file does not have. --dry-run shows how the
    file is understood.
    """
    from cli.contacts.plan import reading_of

    if not _LIST_NAME.fullmatch(list_name):
        raise WrongUse(f"--list {list_name!r}: use up to 64 lower-case letters, digits, - and _")
    if retried_campaign(list_name):
        raise WrongUse(f"--list {list_name!r}: such names are of the lists of `campaign retry-failed`; use another")
    country, target = country_of(region), rejects_of(file, rejects)
    choices, cells = choices_of(column, ignore_column), delimiter_of(delimiter)
    reading = reading_of(encoding, cells, country, has_header=not no_header)
    plan = _plan(file, reading, choices, numbers_of(numbers))
    order = _Order(file, list_name, country, target, account, replace)
    summary = _dry_run(plan, order) if dry_run else _run(plan, order)
    if str(json) != "-":
        say_summary(summary, _outcome(summary))
    write_json(json, summary)
    if not summary["imported"]:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Order:
    """What a person asks of an import: which file into which list, and how. `country` of numbers without one;
    `account` of the consents, "" for all; `replaces`: what the file does not say of a contact is forgotten."""

    file: Path
    list_name: str
    country: str
    rejects: Path
    account: str
    replaces: bool


def _plan(file: Path, reading: Reading, choices: Choices, numbers: Choice) -> Plan:
    from cli.contacts.plan import plan_import
    from pipeline.audience.columns import ColumnsError

    try:
        return plan_import(file, reading, choices, numbers)
    except ColumnsError as error:
        raise UserError(f"{file}: {error}") from error


def _dry_run(plan: Plan, order: _Order) -> JsonObject:
    from cli.contacts.importing import look_through

    started = time.monotonic()
    return {"dry_run": True, **_summary(plan, order, look_through(plan, country=order.country), started)}


def _run(plan: Plan, order: _Order) -> JsonObject:
    from adapters.clickhouse import Store
    from adapters.contacts.store import ContactStore
    from adapters.errors import EmitError, StoreRefused, StoreUnavailable
    from adapters.settings import load
    from cli.contacts.importing import Targets, import_contacts
    from cli.contacts.plan import open_rejects

    settings = load()
    started = time.monotonic()
    try:
        with (
            open_rejects(order.rejects, plan.file, plan.columns) as rejected,
            _progress(order.file, plan.file.total) as view,
        ):
            targets = Targets(
                store=ContactStore(
                    Store(settings.clickhouse), order.list_name, view.waiting, replaces=order.replaces
                ),
                rejects=rejected,
                publish=lambda consents: asyncio.run(publish(settings.kafka, consents)),
                progress=view.update,
                file=order.file.name,
                account=_account_of(order.account, settings),
            )
            counts = import_contacts(plan, targets, country=order.country, merges=not order.replaces)
    except (StoreUnavailable, EmitError) as error:
        where = f"ClickHouse at {settings.clickhouse.host}:{settings.clickhouse.port}"
        if isinstance(error, EmitError):
            where = f"Kafka at {settings.kafka.bootstrap} (the file's opt-outs are published there)"
        raise UserError(
            f"the import stopped: {where} cannot be used ({error}). Check it with `longwave status`, then run the "
            "same command again: stored contacts are not duplicated"
        ) from error
    except StoreRefused as error:
        raise UserError(
            f"ClickHouse refused the contacts: {error}. If its tables are missing, create them with "
            "`longwave run migrate`, then run the same command again"
        ) from error
    summary = _summary(plan, order, counts, started)
    summary["rejects"] = str(order.rejects) if summary["rejected"] else None
    return summary


def _summary(plan: Plan, order: _Order, counts: Counts, started: float) -> JsonObject:
    from cli.contacts.plan import summary_of

    return {
        **summary_of(plan.file, plan.columns, plan.survey, plan.numbers, counts.rejected),
        "file": str(order.file),
        "list": order.list_name,
        "notes": plan.notes,
        "countries": dict(counts.countries.most_common()),
        "lines": counts.lines,
        "imported": counts.imported,
        "duplicates": counts.duplicates,
        "opted_out": len(counts.opted_out),
        "held": len(counts.held - counts.opted_out),
        "decided": len(counts.decided),
        "seconds": round(time.monotonic() - started, 3),
    }


async def publish(kafka: Kafka, consents: list[Consent]) -> None:
    """Write consent changes to Kafka in order; returns when all are acknowledged."""
    from adapters.kafka.consents import send_consents
    from adapters.kafka.producer import Producer

    producer = Producer(kafka)
    try:
        for first in range(0, len(consents), _EMIT_AT_ONCE):
            part = consents[first : first + _EMIT_AT_ONCE]
            await send_consents(producer, part)
    finally:
        await producer.close()


class _View:
    """The progress bar; without a terminal, only the problems."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task
        self._started = time.monotonic()

    def update(self, done: int, counts: Counts) -> None:
        rate = counts.lines / max(time.monotonic() - self._started, 1e-6)
        self._bar.update(self._task, completed=done, lines=f"{counts.lines:,} lines", rate=f"{rate:,.0f}/s")

    def waiting(self, attempt: int, error: Exception) -> None:
        note(f"waiting for ClickHouse, attempt {attempt}: {str(error).splitlines()[0]}")


@contextmanager
def _progress(file: Path, total: int) -> Iterator[_View]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = ("[progress.description]{task.description}", "{task.fields[lines]}", "{task.fields[rate]}")
    columns = (TextColumn(shown[0]), BarColumn(), TaskProgressColumn(), *map(TextColumn, shown[1:]))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        yield _View(bar, bar.add_task(file.name, total=max(total, 1), lines="", rate=""))


def _outcome(summary: JsonObject) -> list[str]:
    is_dry = summary.get("dry_run", False)
    would = "would be " if is_dry else ""
    said = [f"{summary['imported']:,} contacts {would}in list {summary['list']} from {summary['lines']:,} lines"]
    if is_dry and summary["countries"]:
        shown = list(summary["countries"].items())[:12]
        said.append(f"  countries: {', '.join(f'{country} {count:,}' for country, count in shown)}")
    if summary["duplicates"]:
        said.append(f"  {summary['duplicates']:,} duplicate lines (their values are merged; the last line wins)")
    if summary["opted_out"]:
        said.append(f"  {summary['opted_out']:,} {would}opted out")
    if summary["held"]:
        said.append(
            f"  {summary['held']:,} {would}held: their consent in the file is unclear, so nothing "
            "is sent to them until an operator has decided (`longwave optouts review`)"
        )
    if summary["decided"]:
        said.append(f"  {summary['decided']:,} not held again: an operator has decided about the same line before")
    return said


def _account_of(account: str, settings: Settings) -> str:
    """The account of `--account`. Without one Kafka is not asked: an import goes on while it is away.

    Raises:
        WrongUse: there is no such account. UserError: Kafka does not answer.
    """
    return account_of(account, stored_book(settings).names()) if account else ""
