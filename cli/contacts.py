"""`longwave contacts`: bring a shop's contacts in."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import contact_person
from cli.console import UserError, WrongUse, note, say, write_json
from cli.import_options import File, Json, Region, RejectsTo, country_of, rejects_of, say_rejected, say_speed

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
for _command in (contact_person.show, contact_person.export, contact_person.delete):
    app.command()(_command)

_LIST_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_EMIT_AT_ONCE = 10_000


@app.callback()
def _group() -> None:
    """Contacts and lists."""


@app.command("import")
def import_(
    file: File,
    list_name: Annotated[str, typer.Option("--list", help="List that the contacts join (made if new).")],
    region: Region = "",
    rejects: RejectsTo = None,
    json: Json = None,
) -> None:
    """Import contacts and add them to a list. Importing a file again is safe: nothing is doubled.

    The number is in column phone, number, mobile, msisdn or phone_number. Columns country, region (US state,
    Canadian province, French department), zone (IANA), opted_out and consent are understood; every other column
    becomes an attribute for personalisation.
    """
    if not _LIST_NAME.fullmatch(list_name):
        raise WrongUse(f"--list {list_name!r}: use up to 64 lower-case letters, digits, - and _")
    summary = _run(file, list_name, country_of(region), rejects_of(file, rejects))
    if str(json) != "-":
        _print(summary)
    write_json(json, summary)


def _run(file: Path, list_name: str, country: str, rejects: Path) -> dict[str, Any]:
    from adapters.clickhouse import Store
    from adapters.contact_files import open_contacts
    from adapters.contact_store import ContactStore
    from adapters.errors import EmitError, StoreRefused, StoreUnavailable
    from adapters.settings import load
    from cli.contact_import import import_contacts
    from pipeline.contacts import ColumnsError, columns_of

    settings = load()
    contacts = open_contacts(file)
    started = time.monotonic()
    try:
        columns_of(contacts.header)
        with _rejects(rejects) as rejected, _progress(file, contacts.total) as view:
            counts = import_contacts(
                contacts,
                ContactStore(Store(settings.clickhouse), list_name, view.waiting),
                rejected,
                country=country,
                on_opted_out=lambda numbers: asyncio.run(_publish(settings.kafka, numbers, file.name)),
                on_progress=view.update,
            )
    except ColumnsError as error:
        raise UserError(f"{file}: {error}") from error
    except (StoreUnavailable, EmitError) as error:
        where = f"ClickHouse at {settings.clickhouse.host}:{settings.clickhouse.port}"
        if isinstance(error, EmitError):
            where = f"Kafka at {settings.kafka.bootstrap} (the file's opt-outs are published there)"
        raise UserError(
            f"the import stopped: {where} cannot be used ({error}). Check it with `longwave status`, then run the "
            "same command again: what is stored already is not doubled"
        ) from error
    except StoreRefused as error:
        raise UserError(
            f"ClickHouse refused the contacts: {error}. If its tables are missing, make them with "
            "`longwave run migrate`, then run the same command again"
        ) from error
    if not counts.lines:
        raise UserError(f"{file} has a header but no contacts")
    return {
        "file": str(file),
        "list": list_name,
        "lines": counts.lines,
        "imported": counts.imported,
        "duplicates": counts.duplicates,
        "opted_out": counts.opted_out,
        "rejected": dict(counts.rejected.most_common()),
        "rejects": str(rejects) if counts.rejected else None,
        "seconds": round(time.monotonic() - started, 3),
    }


@contextmanager
def _rejects(path: Path) -> Iterator[Any]:
    from cli.contact_import import Rejects

    try:
        rejects = Rejects(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another file with --rejects") from error
    with rejects:
        yield rejects


async def _publish(kafka: Any, numbers: list[int], file: str) -> None:
    """Write an opt-out for each number to Kafka; returns when all are acknowledged."""
    from adapters.clock import now_ms
    from adapters.producer import Producer
    from schemas import topics, wire
    from schemas.feedback import Consent, consent_key

    producer, at = Producer(kafka), now_ms()
    try:
        for first in range(0, len(numbers), _EMIT_AT_ONCE):
            part = numbers[first : first + _EMIT_AT_ONCE]
            said = f"opted out in the contacts of {file}"
            records = [Consent(number=n, state="out", at=at, source="import", evidence=said) for n in part]
            await asyncio.gather(
                *(producer.send(topics.OPTOUTS.name, wire.encode(r), key=consent_key(r)) for r in records)
            )
    finally:
        await producer.close()


class _View:
    """The progress bar; on anything but a terminal, only what went wrong."""

    def __init__(self, bar: Any, task: Any) -> None:
        self._bar, self._task = bar, task
        self._started = time.monotonic()

    def update(self, done: int, counts: Any) -> None:
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


def _print(summary: dict[str, Any]) -> None:
    say(f"{summary['imported']:,} contacts in list {summary['list']} from {summary['lines']:,} lines")
    if summary["duplicates"]:
        say(f"  {summary['duplicates']:,} duplicate lines (the last one of a number counts)")
    if summary["opted_out"]:
        say(f"  {summary['opted_out']:,} opted out")
    say_rejected(summary)
    if "no_country" in summary["rejected"]:
        say("  no_country: these numbers have no + and no country; name their country with --region")
    say_speed(summary)
