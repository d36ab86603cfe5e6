"""`longwave accounts list | show | apply | set | remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from adapters.terminal import note, say, to_json
from cli.accounts import changing
from cli.accounts.changing import DryRun, Json, Settings, Suspend
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
APPLY_SECONDS: Final = 1800.0
"""How long a large file may take."""
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]


@app.callback()
def _group() -> None:
    """Accounts: what a shop may send, when, how fast, and from which numbers. They change while everything runs."""


@app.command("list")
def list_(
    size: Annotated[int, typer.Option("--size", min=1, max=1000)] = 100,
    after: Annotated[str, typer.Option("--after", help="Show the next page, as the page before says.")] = "",
    json: Json = False,
) -> None:
    """List accounts by name."""
    from cli.accounts.wording import account_line

    answer = our_api().get("/v1/accounts", size=size, after=after or None)
    if json:
        say(to_json(answer))
        return
    for account in answer["accounts"]:
        say(account_line(account))
    if not answer["accounts"] and not after:
        note("no account yet: `longwave accounts apply FILE.toml` adds those of a file")
    if answer["next"]:
        say(f"more: --after {answer['next']}")


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show an account and its senders."""
    from cli.accounts.wording import sender_line, spec_lines

    api = our_api()
    account = api.get(f"/v1/accounts/{quote(name)}")
    senders = api.get(f"/v1/accounts/{quote(name)}/senders", size=1000)["senders"]
    if json:
        say(to_json({**account, "senders": senders}))
        return
    say(f"{name}  changed {account['updated']} by {account['by']}")
    for line in spec_lines(account["spec"]):
        say(line)
    for sender in senders:
        say(sender_line(sender))


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Accounts, senders and prices.")],
    dry_run: DryRun = False,
    suspend: Suspend = False,
    json: Json = False,
) -> None:
    """Make accounts, senders and prices as a file says, and show what changes. What it does not name stays."""
    from cli.accounts.book import read

    changing.apply(our_api(APPLY_SECONDS), dict(read(file)), json, dry_run=dry_run, suspend=suspend)


@app.command("set")
def set_(name: Name, settings: Settings, suspend: Suspend = False, json: Json = False) -> None:
    """Set fields of an account, or make it."""
    changing.put(our_api(), f"/v1/accounts/{quote(name)}", settings, json, suspend=suspend)


@app.command()
def remove(name: Name, suspend: Suspend = False, json: Json = False) -> None:
    """Remove an account with its senders. Refused while campaigns wait on it."""
    changing.removed(our_api(), f"/v1/accounts/{quote(name)}", json, suspend=suspend)
