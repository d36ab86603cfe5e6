"""`longwave prices show | apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from adapters.terminal import UserError, say, to_json
from cli.accounts import changing
from cli.accounts.changing import DryRun, Json
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Prices: what a segment costs, by country, network and day."""


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A price list; without: all.")] = "", json: Json = False
) -> None:
    """Show price lists."""
    from cli.accounts.wording import price_lines

    api = our_api()
    answer = api.get(f"/v1/prices/{quote(name)}") if name else api.get("/v1/prices")
    if json:
        say(to_json(answer))
        return
    for listed in [answer] if name else answer["prices"]:
        for line in price_lines(listed):
            say(line)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="[[prices.NAME]] entries.")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make price lists as a file says, and show what changes."""
    from cli.accounts.book import read

    document = dict(read(file))
    if set(document) - {"prices"}:
        raise UserError(f"{file}: has more than prices; `longwave accounts apply` applies all of it")
    changing.apply(our_api(), document, json, dry_run=dry_run)
