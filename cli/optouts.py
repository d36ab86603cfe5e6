"""`longwave optouts import | add | remove | export | show`: who must not be written to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.console import say, to_json, write_json
from cli.import_options import File, Json, Region, RejectsTo, country_of, rejects_of, say_rejected, say_speed

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)

Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER…", help="With + and country code.")]
Number = Annotated[str, typer.Argument(help="With + and country code.")]


@app.callback()
def _group() -> None:
    """Opt-outs: who must not be written to, with the evidence of every change."""


@app.command("import")
def import_(
    file: File,
    region: Region = "",
    rejects: RejectsTo = None,
    json: Json = None,
) -> None:
    """Import opt-outs. Importing a file again is safe.

    The number is in column phone, number, mobile, msisdn or phone_number. Columns country, at (when they opted out:
    ISO 8601 with an offset; else now) and evidence (their words; else the file and line) are understood, others are
    ignored. Ends when Kafka has acknowledged every opt-out.
    """
    from cli.optout_import import run

    summary = run(file, country_of(region), rejects_of(file, rejects))
    if str(json) != "-":
        _print(summary)
    write_json(json, summary)


@app.command()
def add(
    numbers: Numbers,
    evidence: Annotated[str, typer.Option("--evidence", help="What the person said or did; kept for ever.")] = "",
) -> None:
    """Opt numbers out: all or none. Within a second nothing is sent to them, waiting messages included."""
    import orjson

    said = _client().send("POST", "/v1/optouts", orjson.dumps({"numbers": numbers, "evidence": evidence}))
    say(f"{said['recorded']} opted out")


@app.command()
def remove(
    number: Number,
    evidence: Annotated[str, typer.Option("--evidence", help="What they agreed to, when and how; kept for ever.")],
) -> None:
    """Let a number be written to again."""
    import orjson

    _client().send("DELETE", f"/v1/optouts/{quote(number)}", orjson.dumps({"evidence": evidence}))
    say(f"{number} may be written to again")


@app.command()
def show(
    number: Number, json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False
) -> None:
    """Whether a number is opted out, and every change with its evidence."""
    found = _client().get(f"/v1/optouts/{quote(number)}")
    if json:
        say(to_json(found))
        return
    say(f"{found['number']} {'is opted out' if found['opted_out'] else 'is not opted out'}")
    for change in found["history"]:
        evidence = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", change["evidence"])
        say(f"  {change['at']}  {'out' if change['out'] else 'in ':3}  {change['source']}  {evidence}")


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")],
    current: Annotated[bool, typer.Option("--current", help="Only who is opted out now.")] = False,
) -> None:
    """Every consent change with its time, source and evidence, as CSV."""
    _client().download("/v1/optouts/export", out, current="true" if current else None)
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    say(f"{out}: {max(0, lines - 1):,} lines")


def _client() -> Any:
    from adapters.settings import load
    from cli.client import Client

    return Client(load().api.url)


def _print(summary: dict[str, Any]) -> None:
    say(f"{summary['imported']:,} opted out from {summary['lines']:,} lines")
    if summary["duplicates"]:
        say(f"  {summary['duplicates']:,} duplicate lines (the last one of a number counts)")
    say_rejected(summary)
    say_speed(summary)
