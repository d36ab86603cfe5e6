"""`longwave accounts list | show | apply | set | remove`, and its alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from adapters.terminal import FAILED, note, say, to_json
from cli.accounts import changing
from cli.accounts.changing import DryRun, Json, Settings, Suspend
from cli.client import our_api

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
APPLY_SECONDS: Final = 1800.0
"""How long a large file may take."""
TEST_SECONDS: Final = 60.0
"""The API waits up to 25 for a test alert."""
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
def alerts(name: Name, size: Annotated[int, typer.Option("--size", min=1, max=200)] = 20, json: Json = False) -> None:
    """Show the last alerts of an account, and what became of each."""
    from cli.accounts.wording import alert_lines

    answer = our_api().get(f"/v1/accounts/{quote(name)}/alerts", size=size)
    if json:
        say(to_json(answer))
        return
    for alert in answer["alerts"]:
        for line in alert_lines(alert):
            say(line)
    if not answer["alerts"]:
        note(f"account {name} had no alert in the last 30 days")


@app.command("test-alert")
def send_test_alert(name: Name, json: Json = False) -> None:
    """Send a test alert to all who get the account's alerts, and say what became of it. The exit code is 1 where one
    did not get it."""
    from cli.accounts.wording import alert_lines

    answer = our_api(TEST_SECONDS).send("POST", f"/v1/accounts/{quote(name)}/alerts/test")
    if json:
        say(to_json(answer))
    elif not answer["carried_out"]:
        note("accepted, not sent yet: no worker answered; see `longwave status`, then `longwave accounts alerts`")
    else:
        for line in alert_lines(answer):
            say(line)
    if any(delivery["state"] != "sent" for delivery in answer["deliveries"]) or not answer["carried_out"]:
        raise typer.Exit(FAILED)


@app.command("alert-secret")
def alert_secret(name: Name, json: Json = False) -> None:
    """Show the secret that signs the webhooks of the account's alerts. `set NAME alerts.webhook_secret=2` makes
    another."""
    answer = our_api().get(f"/v1/accounts/{quote(name)}/alerts/secret")
    say(to_json(answer) if json else answer["secret"])


@app.command()
def remove(name: Name, suspend: Suspend = False, json: Json = False) -> None:
    """Remove an account with its senders. Refused while campaigns wait on it."""
    changing.removed(our_api(), f"/v1/accounts/{quote(name)}", json, suspend=suspend)
