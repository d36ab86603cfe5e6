"""`longwave keys list | create | rotate | revoke | link | audit`: keys of the API, and who did what with them."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from adapters.terminal import note, say, to_json
from cli.client import our_api
from schemas.json import JsonObject
from schemas.keys import SCOPES

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Key = Annotated[str, typer.Argument(metavar="ID", help="Id of a key, as `longwave keys list` shows it.")]


@app.callback()
def _group() -> None:
    """Keys of the API. Commands use LONGWAVE_API_KEY, else the first key in the data folder (file api-key)."""


@app.command("list")
def list_(json: Json = False) -> None:
    """List keys, the newest first, without their secrets."""
    answer = our_api().get("/v1/keys")
    if json:
        say(to_json(answer))
        return
    for key in answer["keys"]:
        accounts = ", ".join(key["accounts"]) or "every account"
        until = f"  until {key['expires']}" if key["expires"] else ""
        say(f"{key['id']}  {key['state']:<7}  {key['name']:<20}  {', '.join(key['scopes'])}  {accounts}{until}")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what uses it.")],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help=f"{', '.join(SCOPES)}; repeat it for several. [read]")
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", help="An account that it is for; without: every account.")
    ] = None,
    expires_days: Annotated[float | None, typer.Option("--expires-days", help="Days until it expires.")] = None,
    json: Json = False,
) -> None:
    """Create a key and print it. It cannot be read again."""
    body = {"name": name, "scopes": scope or ["read"], "accounts": account or [], "expires_days": expires_days}
    _say_secret(our_api().send("POST", "/v1/keys", orjson.dumps(body)), json)


@app.command()
def rotate(
    key: Key,
    overlap_hours: Annotated[
        float, typer.Option("--overlap-hours", help="Hours for which the old key still holds.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Replace a key by a new one that may do the same, and print that."""
    body = orjson.dumps({"overlap_hours": overlap_hours})
    _say_secret(our_api().send("POST", f"/v1/keys/{key}/rotate", body), json)


@app.command()
def revoke(key: Key) -> None:
    """Revoke a key: within a second it holds nowhere any more."""
    our_api().send("DELETE", f"/v1/keys/{key}")
    say(f"{key} is revoked")


@app.command()
def link() -> None:
    """Print a link that opens the page signed in, once, within ten minutes."""
    say(our_api().send("POST", "/v1/session/links")["url"])


@app.command()
def audit(
    key: Annotated[str, typer.Option("--key", help="Only what was done with this key.")] = "",
    campaign: Annotated[str, typer.Option("--campaign", help="Only what was done to this campaign.")] = "",
    size: Annotated[int, typer.Option("--size", min=1, max=500)] = 50,
    cursor: Annotated[str, typer.Option("--cursor", help="Show the next page, as the page before says.")] = "",
    json: Json = False,
) -> None:
    """Show who did what, the newest first: changes, exports, refused keys."""
    answer = our_api().get("/v1/audit", key=key or None, campaign=campaign or None, size=size, cursor=cursor or None)
    if json:
        say(to_json(answer))
        return
    for entry in answer["entries"]:
        who = f"{entry['name'] or 'no key'} ({entry['who']})" if entry["who"] else entry["name"] or "no key"
        say(f"{entry['at']}  {entry['status']}  {entry['method']:<6} {entry['path']}  {who} from {entry['address']}")
        for name in ("before", "after"):
            if entry[name]:
                say(f"    {name:<6}  {entry[name]}")
    if answer["next"]:
        say(f"more: --cursor {answer['next']}")


def _say_secret(made: JsonObject, json: bool) -> None:
    if json:
        say(to_json(made))
        return
    note(f"key {made['id']} ({made['name']}): keep it now, it cannot be read again")
    say(made["secret"])
