"""`longwave contacts unreachable list | export | clear`: numbers that carriers cannot reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from adapters.terminal import say, to_json
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Numbers that carriers cannot reach and that campaigns skip: landlines, numbers not in use."""


@app.command("list")
def list_(
    cursor: Annotated[str, typer.Option("--cursor", help="Show the next page, as the page before says.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List unreachable numbers: why, since when, and when each is tried again."""
    answer = our_api().get("/v1/unreachable", cursor=cursor or None, limit=limit)
    if json:
        say(to_json(answer))
        return
    total = sum(answer["counts"].values())
    say(
        f"{total:,} unreachable numbers"
        + "".join(f", {n:,} {reason}" for reason, n in sorted(answer["counts"].items()))
    )
    for entry in answer["numbers"]:
        again = f"tried again from {entry['retry_at']}" if entry["retry_at"] else "not tried again automatically"
        said = f"campaign {entry['campaign']}" if entry["campaign"] else ""
        say(f"  {entry['number']:<16}  {entry['reason']:<20}  {entry['at']}  {again}  {said}".rstrip())
    if answer["next"]:
        say(f"  more: --cursor {answer['next']}")


@app.command()
def export(out: Annotated[Path, typer.Option("--out", help="CSV file to write.")]) -> None:
    """Export all unreachable numbers as CSV."""
    say(f"{out}: {our_api().download_csv('/v1/unreachable/export', out):,} numbers")


@app.command()
def clear(
    numbers: Annotated[list[str], typer.Argument(metavar="NUMBER…", help="With + and country code.")],
    who: Annotated[str, typer.Option("--who", help="Who decided; kept with the change.")] = "",
) -> None:
    """Let campaigns try numbers again. Numbers opted out at the carrier stay held for review."""
    client = our_api()
    for number in numbers:
        said = client.send("DELETE", f"/v1/unreachable/{quote(number)}", who=who or None)
        say(f"{said['cleared']} will be tried again")
