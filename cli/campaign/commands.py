"""`longwave campaign …`: create, review, launch, control, show and export campaigns over the REST API."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import orjson
import typer

from adapters.terminal import FAILED, UserError, WrongUse, note, say, write_json
from cli.campaign import wording as text
from cli.client import Client, Unfinished, our_api
from cli.contacts.numbers_file import read_numbers, user
from schemas.campaign import OVER
from schemas.json import JsonObject

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(metavar="ID", help="The campaign's id (`longwave campaign list`).")]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
]
State = Annotated[list[str] | None, typer.Option(help="Only this state (may be repeated).")]
WithReason = Annotated[
    list[str] | None,
    typer.Option("--reason", help="Only this reason, as `campaign show` names it (may be repeated)."),
]
FORMATS = ("csv", "ndjson", "parquet")
EXPORT_SECONDS = 90.0
"""How long a part of an export may take: the API gives ClickHouse 60 s for each."""


@app.callback()
def _group() -> None:
    """Create, review, launch, control and export campaigns."""


@app.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign file.")], json: Json = None
) -> None:
    """Create a draft from a TOML file and print its id."""
    raw = _read(file)
    try:
        made = our_api().send("POST", "/v1/campaigns", raw, "application/toml")
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    say(made["id"])
    _say_pending(made)
    write_json(json, made)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error


@app.command()
def review(campaign: Id, json: Json = None) -> None:
    """Show what a launch would do: recipients, segments, cost, warnings. Exit code 1 if it would be refused."""
    answer = our_api().get(f"/v1/campaigns/{_id(campaign)}/review")
    for line in text.review_lines(answer):
        say(line)
    write_json(json, answer)
    if not answer["ok"]:
        raise typer.Exit(FAILED)


@app.command()
def launch(
    campaign: Id,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until the campaign has ended.")] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Launch even if the review says that no recipient would get the message."),
    ] = False,
    json: Json = None,
) -> None:
    """Review and launch. With --wait the exit code is 1 unless it finishes with residual 0 and reaches someone."""
    api = our_api()
    answer = api.send("POST", f"/v1/campaigns/{_id(campaign)}/launch", allow_empty=allow_empty or None)
    _say_done(answer, "launched")
    if not wait:
        write_json(json, answer)
        return
    begin = time.monotonic()
    last = follow(api, campaign, lambda shown: note(text.progress_line(shown)))
    say(text.progress_line(last))
    write_json(json, {**text.result(last), "seconds": round(time.monotonic() - begin, 3)})
    if last["status"] != "finished" or text.residual(last) != 0 or (last.get("outcome") and not allow_empty):
        raise typer.Exit(FAILED)


def follow(api: Client, campaign: str, tell: Callable[[JsonObject], None], every: float = 1.0) -> JsonObject:
    """Poll a campaign until it has ended; `tell` gets each state that is read. Returns the last one."""
    while True:
        shown = api.get(f"/v1/campaigns/{_id(campaign)}")
        tell(shown)
        if shown["status"] in OVER:
            return shown
        time.sleep(every)


@app.command()
def pause(campaign: Id) -> None:
    """Pause a campaign: nothing more is submitted until `resume`."""
    _act(campaign, "pause", "paused")


@app.command()
def resume(campaign: Id) -> None:
    """Resume a paused campaign."""
    _act(campaign, "resume", "resumed")


@app.command()
def cancel(campaign: Id) -> None:
    """Cancel a campaign for good. Nothing more is submitted; messages already submitted are counted."""
    _act(campaign, "cancel", "canceled")


@app.command()
def duplicate(
    campaign: Id, name: Annotated[str | None, typer.Option(help="Name of the copy [`NAME (copy)`].")] = None
) -> None:
    """Create a draft with the same definition and print its id."""
    body = orjson.dumps({} if name is None else {"name": name})
    made = our_api().send("POST", f"/v1/campaigns/{_id(campaign)}/duplicate", body)
    say(made["id"])
    _say_pending(made)


@app.command()
def edit(
    campaign: Id,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE.toml", help="The new definition, instead of an editor.")
    ] = None,
) -> None:
    """Edit a draft in $VISUAL or $EDITOR, or replace it by a file. Refused if somebody else changed it meanwhile."""
    from cli.campaign import editing

    api = our_api()
    shown = api.get(f"/v1/campaigns/{_id(campaign)}")
    raw = editing.edited(shown) if file is None else _read(file)
    answer = editing.replace(api, shown, raw, file)
    if answer is None:
        say(f"{campaign} unchanged")
    else:
        _say_done(answer, "changed")


@app.command()
def apply(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.toml...", help="Campaign files with a key or an id.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    json: Json = None,
) -> None:
    """Make campaigns be as files say: drafts are created or changed. Nothing is done if a file is refused."""
    from cli.campaign import versioned

    api, read = our_api(), {file: _read(file) for file in files}
    planned = versioned.planned(api, read)
    for file, answer in planned.items():
        _say_change(file, answer, json)
    refused = [f"{file}: {answer['refused']}" for file, answer in planned.items() if answer["refused"]]
    if refused:
        raise UserError(f"nothing was changed: {'; '.join(refused)}")
    if dry_run:
        note("nothing was changed (--dry-run)")
        done = planned
    else:
        changing = {file: read[file] for file, answer in planned.items() if answer["what"] != "same"}
        done = {**planned, **versioned.applied(api, changing)}
        _say_waiting(done)
    write_json(json, list(done.values()))


def _say_waiting(done: Mapping[Path, JsonObject]) -> None:
    for file, answer in done.items():
        if answer["what"] != "same" and not answer["carried_out"]:
            note(f"{file}: accepted, not yet carried out: no worker answered; see `longwave status`")


@app.command()
def diff(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A campaign file with a key or an id.")],
    json: Json = None,
) -> None:
    """Show what differs between a file and what is stored. Exit code 0 nothing, 1 something, 2 it cannot be said."""
    from cli.campaign import versioned

    try:
        planned = versioned.planned(our_api(), {file: _read(file)})
    except UserError as error:
        raise WrongUse(str(error)) from error
    _say_change(file, planned[file], json)
    if planned[file]["refused"]:
        note(planned[file]["refused"])
    write_json(json, planned[file])
    if planned[file]["what"] != "same":
        raise typer.Exit(FAILED)


def _say_change(file: Path, answer: JsonObject, json: Path | None) -> None:
    if str(json) != "-":
        for line in text.applied_lines(str(file), answer):
            say(line)


@app.command()
def delete(campaign: Id) -> None:
    """Delete a draft."""
    answer = our_api().send("DELETE", f"/v1/campaigns/{_id(campaign)}")
    _say_pending(answer) if _is_pending(answer) else say(f"{campaign} deleted")


@app.command()
def show(
    campaign: Id,
    json: Json = None,
    toml: Annotated[
        bool, typer.Option("--toml", help="Its definition as a file for `campaign diff` and `campaign apply`.")
    ] = False,
) -> None:
    """Show one campaign: status, what a draft lacks, recipients by state, reasons, spend."""
    answer = our_api().get(f"/v1/campaigns/{_id(campaign)}")
    if toml:
        from cli.campaign import editing

        say(editing.as_file(answer).rstrip())
        return
    if str(json) != "-":
        for line in text.show_lines(answer):
            say(line)
    write_json(json, text.result(answer))


@app.command("list")
def list_(
    search: Annotated[str | None, typer.Option(help="Part of a name, tag or id.")] = None,
    status: Annotated[str | None, typer.Option(help="Only this status.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only this tag.")] = None,
    page: Annotated[int, typer.Option(min=1)] = 1,
    size: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json: Json = None,
) -> None:
    """List campaigns, newest first."""
    answer = our_api().get("/v1/campaigns", search=search, status=status, tag=tag, page=page, size=size)
    if str(json) != "-":
        text.print_list(answer)
    write_json(json, answer)


@app.command()
def export(
    campaign: Id,
    out: Annotated[Path, typer.Option("--out", help="FILE.csv, FILE.ndjson or FILE.parquet (- = standard output).")],
    state: State = None,
    reason: WithReason = None,
    format: Annotated[
        str | None, typer.Option("--format", metavar="|".join(FORMATS), help="[by the file's extension]")
    ] = None,
) -> None:
    """Export one row per recipient: number, state, reason, price, times."""
    kind = format or ("" if str(out) == "-" else out.suffix.removeprefix(".").lower())
    if kind not in FORMATS:
        problem = (
            f"--format {format}: choose" if format else f"--out {out}: name a file of this kind, or say --format:"
        )
        raise WrongUse(f"{problem} {', '.join(FORMATS)}")
    path = f"/v1/campaigns/{_id(campaign)}/export"
    query = {"format": kind, "state": state, "reason": reason}
    if str(out) == "-":
        _print_export(path, query)
        return
    our_api(EXPORT_SECONDS).download(path, out, **query)
    say(f"{out}: {out.stat().st_size:,} bytes")


def _print_export(path: str, query: JsonObject) -> None:
    stream = sys.stdout.buffer
    if query["format"] == "parquet" and stream.isatty():
        raise WrongUse("--format parquet: a terminal cannot show it; send it to a file or a program")
    try:
        our_api(EXPORT_SECONDS).pass_on(path, stream, **query)
        stream.flush()
    except Unfinished as error:
        raise UserError(f"{error}; what was printed is not the whole of it. Repeat the command") from error
    except BrokenPipeError as error:
        # What is left in the buffer cannot be written either, and Python would try when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UserError("whoever read the export stopped before its end") from error
    except OSError as error:
        raise UserError(f"cannot write to standard output: {error.strerror or error}") from error


@app.command("retry-failed")
def retry_failed(
    campaign: Id,
    state: State = None,
    reason: WithReason = None,
) -> None:
    """Create a draft to recipients who did not get the message, and print its id: those who were rejected, not
    delivered to, or too late, or those of --state and --reason."""
    body = orjson.dumps({"states": state or [], "reasons": reason or []})
    made = our_api().send("POST", f"/v1/campaigns/{_id(campaign)}/retry-failed", body)
    if retry := made.get("retry"):
        note(text.retry_list_line(retry))
    say(made["id"])
    _say_pending(made)


@app.command()
def resolve(
    campaign: Id,
    outcome: Annotated[
        str,
        typer.Option(
            "--as", metavar="sent|not-sent|resend", help="Their outcome (resend: also create a draft to them)."
        ),
    ],
    numbers: Annotated[
        Path | None,
        typer.Option(
            "--numbers", metavar="FILE", help="Only these: one number per line, or an export of unknown (CSV)."
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Record the outcome of unknown messages: of all, or of those in --numbers."""
    if outcome not in ("sent", "not-sent", "resend"):
        raise WrongUse(f"--as {outcome}: choose sent, not-sent or resend")
    body = {"as": outcome, "by": user(), **({"numbers": read_numbers(numbers)} if numbers else {})}
    answer = our_api().send("POST", f"/v1/campaigns/{_id(campaign)}/resolve", orjson.dumps(body))
    resolution = answer["resolution"]
    verdict = "sent" if outcome == "sent" else "not sent"
    if _is_pending(answer):
        _say_pending(answer)
    else:
        say(f"{campaign}: {resolution['recipients']:,} resolved as {verdict}")
    if "resend" in resolution:
        note("a draft to these recipients was created; review it, then launch it")
        say(resolution["resend"])
    write_json(json, answer)


def _act(campaign: str, action: str, done: str) -> None:
    _say_done(our_api().send("POST", f"/v1/campaigns/{_id(campaign)}/{action}"), done)


def _say_done(answer: JsonObject, done: str) -> None:
    _say_pending(answer) if _is_pending(answer) else say(f"{answer['id']} {done}: {answer['status']}")


def _is_pending(answer: JsonObject) -> bool:
    return answer.get("carried_out") is False


def _say_pending(answer: JsonObject) -> None:
    if _is_pending(answer):
        note(answer["message"])


def _id(campaign: str) -> str:
    # The id becomes part of a URL: text that is not an id must not become another path.
    if not campaign.isalnum() or not campaign.isascii():
        raise UserError(f"no campaign {campaign!r}; see `longwave campaign list`")
    return campaign
