"""`longwave balance show | top-up | statement | invoice`."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated
from urllib.parse import quote

import typer
from orjson import dumps as dump

from adapters.terminal import say, to_json
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.")]
Json = Annotated[bool, typer.Option("--json", help="Print the API's answer.")]


@app.callback()
def _group() -> None:
    """Money of accounts: balance, top-ups, statement, invoice. In credits, exact to a millionth."""


@app.command()
def show(account: Name, json: Json = False) -> None:
    """Show an account's balance, and which campaigns wait for a top-up."""
    answer = our_api().get(f"/v1/accounts/{quote(account)}/balance")
    if json:
        say(to_json(answer))
        return
    say(
        f"{account}: {answer['available']} credits available ({answer['balance']} of balance, {answer['reserved']} "
        f"reserved for campaigns); pays {'from it' if answer['billing'] == 'prepaid' else 'by invoice'}"
    )
    say(f"topped up {answer['topped_up']}, spent {answer['spent']} on {answer['segments']:,} segments")
    for waiting in answer["waiting"]:
        say(
            f"campaign {waiting['campaign']} waits: it needs {waiting['asked']} credits, {waiting['missing']} are "
            f"missing (`longwave balance top-up {account} {waiting['missing']}`)"
        )


@app.command("top-up", context_settings={"ignore_unknown_options": True})
def top_up(
    account: Name,
    amount: Annotated[str, typer.Argument(metavar="CREDITS", help="Below zero: a correction.")],
    note: Annotated[str, typer.Option("--note", help="Why, for the statement.")] = "",
    key: Annotated[
        str, typer.Option("--key", help="Names this top-up: run again with the same, it counts once.")
    ] = "",
    json: Json = False,
) -> None:
    """Add credits to an account's balance. Campaigns that wait for it go on by themselves."""
    body = dump({"amount": amount, "note": note})
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    answer = our_api().send("POST", f"/v1/accounts/{quote(account)}/top-ups", body, headers=headers)
    if json or "balance" not in answer:
        say(to_json(answer) if json else answer["message"])
        return
    say(f"{account}: {answer['amount']} credits added; {answer['balance']['available']} are available")


@app.command()
def statement(
    account: Name,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, UTC. Default: of this month.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day, UTC. Default: today.")] = "",
) -> None:
    """Print what changed an account's balance on these days, as CSV."""
    today = datetime.datetime.now(datetime.UTC).date()
    begin = first or today.replace(day=1).isoformat()
    _print_csv(f"/v1/accounts/{quote(account)}/statement.csv", {"from": begin, "to": last or today.isoformat()})


@app.command()
def invoice(
    account: Name,
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="UTC. Default: the last one.")] = "",
) -> None:
    """Print what each campaign of an account spent in a month, by price, as CSV."""
    before = datetime.datetime.now(datetime.UTC).date().replace(day=1) - datetime.timedelta(days=1)
    _print_csv(f"/v1/accounts/{quote(account)}/invoice.csv", {"month": month or f"{before:%Y-%m}"})


def _print_csv(path: str, asked: dict[str, str]) -> None:
    say(our_api().text(path, **asked).rstrip("\n"))
