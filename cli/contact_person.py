"""`longwave contacts show | export | delete`: what is stored about one number, and its erasure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.console import UserError, WrongUse, say, to_json

Number = Annotated[str, typer.Argument(help="With + and country code.")]


def show(
    number: Number, json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False
) -> None:
    """Everything that is stored about a number, in short."""
    found = _client().get(f"/v1/contacts/{quote(number)}")
    if json:
        say(to_json(found))
        return
    contact = found["contact"]
    say(found["number"] + ("" if contact else ": no contact"))
    if contact:
        place = " ".join(part for part in (contact["country"], contact["region"], contact["zone"]) if part)
        say(f"  place      {place or 'not known'}")
        for name, value in sorted(contact["attributes"].items()):
            say(f"  {_plain(name):10} {_plain(value)}")
    say(f"  lists      {', '.join(one['list'] for one in found['lists']) or '-'}")
    for message in found["messages"]:
        last = message["statuses"][-1]["state"] if message["statuses"] else "pending"
        say(f"  campaign   {message['campaign']} {_plain(message['name'])}: {last}")
    for text in found["texts"]:
        say(f"  wrote      {text['received']}  {_plain(text['text'])}")
    for answer in found["answers"]:
        say(f"  answered   {answer['at']}  {_plain(answer['text'])}")
    for change in found["consents"]:
        what = ("hold ended" if change["state"] == "in" else "held") if change["hold"] else change["state"]
        say(f"  consent    {change['recorded']}  {what} by {change['source']}  {_plain(change['evidence'])}")
    if found["unreachable"]:
        say(f"  carrier    {found['unreachable']['at']}  {_reachability(found['unreachable'])}")


def export(number: Number, out: Annotated[Path, typer.Option("--out", help="JSON file to write.")]) -> None:
    """Everything that is stored about a number, as JSON: what you hand out when somebody asks for their data."""
    found = _client().get(f"/v1/contacts/{quote(number)}")
    try:
        out.write_text(to_json(found) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; choose another file with --out") from error
    say(f"{out}: {len(found['messages'])} campaigns, {len(found['texts'])} texts, {len(found['consents'])} consents")


def delete(
    number: Number,
    evidence: Annotated[str, typer.Option("--evidence", help="Who asked for it, and how; kept with the opt-out.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase contact, lists, texts, answers and what carriers said of a number, and opt it out of every account."""
    import getpass

    import orjson

    if not yes and not typer.confirm(f"Erase what is stored about {number}, and opt it out? This cannot be undone"):
        raise WrongUse("nothing was erased")
    body = orjson.dumps({"evidence": evidence, "who": getpass.getuser()})
    said = _client().send("DELETE", f"/v1/contacts/{quote(number)}", body)
    say(f"{said['erased']} is erased and opted out of every account. What stays:")
    for one in said["stays"]:
        say(f"  {one}")


def _reachability(said: dict[str, Any]) -> str:
    if said["state"] == "cleared":
        return f"unreachable till {_plain(said['by']) or 'an operator'} cleared it"
    return f"unreachable ({said['reason'].replace('_', ' ')}), said of campaign {said['campaign']}"


def _client() -> Any:
    from adapters.settings import load
    from cli.client import Client

    return Client(load().api.url, timeout=60.0)


def _plain(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)
