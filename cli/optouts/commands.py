"""`longwave optouts import | add | remove | review | confirm | clear | export | show`: who must not get messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from adapters.terminal import FAILED, note, one_line, say, to_json, write_json
from cli.client import our_api
from cli.contacts.options import Account as Whose
from cli.contacts.options import (
    Column,
    Delimiter,
    DryRun,
    Encoding,
    File,
    IgnoreColumn,
    Json,
    NoHeader,
    Region,
    RejectsTo,
    choices_of,
    country_of,
    delimiter_of,
    numbers_of,
    rejects_of,
    say_summary,
)
from cli.contacts.options import Numbers as HowNumbers
from schemas.json import JsonObject
from schemas.reasons import in_words

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)

Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER…", help="With + and country code.")]
Number = Annotated[str, typer.Argument(help="With + and country code.")]
Account = Annotated[str, typer.Option("--account", help="For this account only [every account].")]
Why = Annotated[str, typer.Option("--evidence", help="Why; kept forever.")]


@app.callback()
def _group() -> None:
    """Numbers that must not get messages, with the evidence of every change."""


@app.command("import")
def import_(  # noqa: PLR0913 - each is an option of the command
    file: File,
    region: Region = "",
    numbers: HowNumbers = "",
    rejects: RejectsTo = None,
    dry_run: DryRun = False,
    column: Column = None,
    ignore_column: IgnoreColumn = None,
    encoding: Encoding = "",
    delimiter: Delimiter = "",
    no_header: NoHeader = False,
    account: Whose = "",
    json: Json = None,
) -> None:
    """Import opt-outs. Importing a file again is safe.

    Every column of numbers counts. A readable number is opted out whatever else is wrong with its line.
    Columns out, opted_out and others about consent are used, and so are files of `longwave optouts export`.
    The command ends when Kafka has acknowledged everything. The exit code is 1 if a line was rejected.
    """
    from cli.contacts.plan import reading_of
    from cli.optouts.importing import look_through, plan, run

    country, target = country_of(region), rejects_of(file, rejects)
    reading = reading_of(encoding, delimiter_of(delimiter), country, has_header=not no_header, lenient=True)
    import_plan = plan(file, reading, choices_of(column, ignore_column), numbers_of(numbers))
    summary = look_through(import_plan, country) if dry_run else run(import_plan, country, account, target)
    if str(json) != "-":
        say_summary(summary, _outcome(summary))
    write_json(json, summary)
    if summary["rejected"]:
        raise typer.Exit(1)


@app.command()
def add(
    numbers: Numbers,
    evidence: Annotated[str, typer.Option("--evidence", help="What the person change or did; kept forever.")] = "",
    account: Account = "",
) -> None:
    """Opt out each number that can be read. Within a second nothing more is sent to it, waiting messages included."""
    import orjson

    body = {"numbers": numbers, "evidence": evidence, "account": account}
    change = our_api().send("POST", "/v1/optouts", orjson.dumps(body))
    say(f"{change['recorded']} opted out")
    if change["refused"]:
        for refused in change["refused"]:
            note(f"not opted out: {refused['error']}")
        raise typer.Exit(FAILED)


@app.command()
def remove(
    number: Number,
    evidence: Annotated[str, typer.Option("--evidence", help="What they agreed to, when and how; kept forever.")],
    account: Account = "",
) -> None:
    """Opt a number in again, for every account or for one. A text that waits for a decision still holds the number
    (`optouts review`)."""
    import orjson

    body = {"evidence": evidence, "account": account}
    change = our_api().send("DELETE", f"/v1/optouts/{quote(number)}", orjson.dumps(body))
    say(f"{number} may get messages again" + (f" from {account}" if account else ""))
    if change["held"]:
        say("  but a text of theirs still holds it until you decide: longwave optouts review")


@app.command()
def show(
    number: Number, json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False
) -> None:
    """Show which accounts may not write to a number, and every consent change with its evidence."""
    answer = our_api().get(f"/v1/optouts/{quote(number)}")
    if json:
        say(to_json(answer))
        return
    blocked = {name: reason for name, reason in answer["accounts"].items() if reason}
    say(f"{answer['number']} {'is opted out' if answer['opted_out'] else 'is not opted out'}")
    for name, reason in blocked.items():
        say(f"  {name} must not send to it: {in_words(reason)}")
    for change in answer["history"]:
        parts = (_words(change), change["source"], change["account"], change["who"])
        text = " ".join(part for part in parts if part)
        say(f"  {change['recorded']}  {text}  {one_line(change['evidence'])}")


@app.command()
def review(
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List texts that may be an opt-out. Nothing is sent to these numbers until you decide."""
    lines = list(_held())
    if json:
        say(to_json({"lines": lines}))
        return
    for line in lines:
        keyword = f" ({line['word']!r}, rule {line['rule']})" if line["word"] else ""
        say(f"{line['number']}  {line['at']}  {one_line(line['text'] or line['evidence'])}{keyword}")
    if lines:
        say("decide with `longwave optouts confirm NUMBER` (it is an opt-out) or `longwave optouts clear NUMBER`")
    else:
        say("no texts wait for a decision")


def _held() -> Iterator[JsonObject]:
    client, cursor = our_api(), ""
    while True:
        page = client.get("/v1/inbox", what="held", size=200, cursor=cursor or None)
        yield from page["lines"]
        cursor = page["next"]
        if not cursor:
            return


@app.command()
def confirm(number: Number, evidence: Why = "") -> None:
    """Decide that the waiting texts of a number are opt-outs."""
    _decide(number, "out", evidence, "opted out")


@app.command()
def clear(number: Number, evidence: Why = "") -> None:
    """Decide that the waiting texts of a number are not opt-outs: the number is no longer held."""
    _decide(number, "clear", evidence, "no longer held")


def _decide(number: str, decision: str, evidence: str, done: str) -> None:
    import getpass

    import orjson

    body = {"decision": decision, "evidence": evidence, "who": getpass.getuser()}
    change = our_api().send("POST", f"/v1/optouts/{quote(number)}/holds", orjson.dumps(body))
    say(f"{number} is {done} ({change['decided']} decided)")


def _words(change: JsonObject) -> str:
    if change["hold"]:
        return "held" if change["state"] == "held" else "hold ended"
    return str(change["state"])


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="CSV file to write.")],
    current: Annotated[bool, typer.Option("--current", help="Only numbers that are opted out now.")] = False,
) -> None:
    """Export every consent change with its time, source and evidence as CSV."""
    lines = our_api().download_csv("/v1/optouts/export", out, current="true" if current else None)
    say(f"{out}: {lines:,} lines")


@app.command()
def classify(
    text: Annotated[str | None, typer.Argument(help="A text as a person wrote it.")] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="CSV file with class, language, text: measure the rules on it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Classify an inbound text, with the word and the rule that decide. Nothing is recorded.

    `doubtful` texts may be an opt-out: their number is held until an operator decides. With --corpus the exit
    status is 1 if an opt-out is overlooked.
    """
    from pipeline.feedback.keywords import classify as read

    if (text is None) == (corpus is None):
        raise typer.BadParameter("pass a text, or --corpus FILE")
    if corpus is not None:
        _measure(corpus)
    elif text is not None:
        reading = read(text)
        keyword = f": {reading.word} ({reading.rule})" if reading.rule else ""
        shown = {"intent": reading.intent, "word": reading.word, "rule": reading.rule}
        say(to_json(shown) if json else f"{reading.intent}{keyword}")


def _measure(corpus: Path) -> None:
    from pipeline.feedback.keyword_corpus import measure, read_corpus, table

    try:
        with corpus.open(encoding="utf-8", newline="") as lines:
            measured = measure(read_corpus(lines))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{corpus} cannot be measured: {error}") from error
    for line in table(measured):
        say(line)
    if measured.misses:
        raise typer.Exit(1)


def _outcome(summary: JsonObject) -> list[str]:
    would = "would be " if summary.get("dry_run", False) else ""
    change = {
        "opted_in": f"{would}opted in again",
        "held": f"{would}held until an operator decides (`longwave optouts review`)",
        "cleared": f"{would}cleared of a hold that an operator had ended",
        "no_change": "lines without a change: no opt-out, or superseded by a later decision",
    }
    return [
        f"{summary['imported']:,} {would}opted out from {summary['lines']:,} lines",
        *(f"  {summary[name]:,} {words}" for name, words in change.items() if summary[name]),
    ]
