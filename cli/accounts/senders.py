"""`longwave senders list | show | set | remove`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from adapters.terminal import say, to_json
from cli.accounts import changing
from cli.accounts.changing import Json, Settings, Suspend, of_name
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
Name = Annotated[str, typer.Argument(metavar="ACCOUNT/SENDER", help="Name of the sender, for instance demo/main.")]


@app.callback()
def _group() -> None:
    """Senders: the numbers, short codes and names that an account's messages come from."""


@app.command("list")
def list_(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")],
    size: Annotated[int, typer.Option("--size", min=1, max=1000)] = 100,
    after: Annotated[str, typer.Option("--after", help="Show the next page, as the page before says.")] = "",
    json: Json = False,
) -> None:
    """List the senders of an account."""
    from cli.accounts.wording import sender_line

    answer = our_api().get(f"/v1/accounts/{quote(account)}/senders", size=size, after=after or None)
    if json:
        say(to_json(answer))
        return
    for sender in answer["senders"]:
        say(sender_line(sender))
    if answer["next"]:
        say(f"more: --after {answer['next']}")


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a sender."""
    from cli.accounts.wording import sender_line, spec_lines

    sender = our_api().get(_path(name))
    if json:
        say(to_json(sender))
        return
    say(sender_line(sender))
    for line in spec_lines(sender["spec"]):
        say(line)


@app.command("set")
def set_(name: Name, settings: Settings, suspend: Suspend = False, json: Json = False) -> None:
    """Set fields of a sender, or make it."""
    changing.put(our_api(), _path(name), settings, json, suspend=suspend)


@app.command()
def remove(name: Name, suspend: Suspend = False, json: Json = False) -> None:
    """Remove a sender. Refused while campaigns wait on it."""
    changing.removed(our_api(), _path(name), json, suspend=suspend)


def _path(name: str) -> str:
    account, sender = of_name(name)
    return f"/v1/accounts/{quote(account)}/senders/{quote(sender)}"
