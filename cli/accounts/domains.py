"""`longwave domains list | add | set | remove`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import orjson
import typer

from adapters.terminal import say, to_json
from cli.accounts import changing
from cli.accounts.changing import Json, Settings
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")]
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="Host name, for instance go.example.com.")]


@app.callback()
def _group() -> None:
    """Domains of an account's links: short links and opt-out links, each domain with its limit of messages."""


@app.command("list")
def list_(account: Account, json: Json = False) -> None:
    """List the domains of an account, and what is left of them."""
    from cli.accounts.wording import domain_line, pool_line

    answer = our_api().get(f"/v1/accounts/{quote(account)}/domains")
    if json:
        say(to_json(answer))
        return
    for domain in answer["domains"]:
        say(domain_line(domain))
    for pool in answer["pools"]:
        say(pool_line(pool))
    if not answer["pools"]:
        say(f"{account} has no domains of its own: its links are at the installation's address")


@app.command()
def add(
    account: Account,
    domain: Domain,
    opt_out: Annotated[bool, typer.Option("--opt-out", help="For links by which people opt out.")] = False,
    messages: Annotated[int | None, typer.Option("--messages", min=0, help="Messages that may carry it.")] = None,
    json: Json = False,
) -> None:
    """Add a domain. Campaigns that wait for one go on by themselves."""
    spec = {"kind": "opt-out" if opt_out else "short", "messages": messages}
    path = _path(account, domain)
    answer = our_api().send("PUT", path, orjson.dumps(spec), headers={"If-None-Match": "*"})
    changing.shown(answer, json, "added", path)


@app.command("set")
def set_(account: Account, domain: Domain, settings: Settings, json: Json = False) -> None:
    """Set fields of a domain, for instance messages=100000 or active=false; or add it."""
    changing.put(our_api(), _path(account, domain), settings, json)


@app.command()
def remove(account: Account, domain: Domain, json: Json = False) -> None:
    """Take a domain away. Its links on phones go on working for as long as it leads here."""
    changing.removed(our_api(), _path(account, domain), json)


def _path(account: str, domain: str) -> str:
    return f"/v1/accounts/{quote(account)}/domains/{quote(domain, safe='')}"
