"""`longwave contacts show | export | delete`: what is stored about one number, and its erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from adapters.terminal import UserError, WrongUse, one_line, say, to_json
from cli.client import our_api
from schemas.json import JsonObject
from schemas.reasons import in_words

Number = Annotated[str, typer.Argument(help="With + and country code.")]


def show(
    number: Number, json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False
) -> None:
    """Show a summary of everything that is stored about a number."""
    found = our_api(timeout=60.0).get(f"/v1/contacts/{quote(number)}")
    if json:
        say(to_json(found))
        return
    contact = found["contact"]
    say(found["number"] + ("" if contact else ": not a contact"))
    if contact:
        place = " ".join(part for part in (contact["country"], contact["region"], contact["zone"]) if part)
        say(f"  place      {place or 'not known'}")
        for name, value in sorted(contact["attributes"].items()):
            say(f"  {one_line(name):10} {one_line(value)}")
    say(f"  lists      {', '.join(entry['list'] for entry in found['lists']) or '-'}")
    for message in found["messages"]:
        last = message["statuses"][-1]["state"] if message["statuses"] else "pending"
        say(f"  campaign   {message['campaign']} {one_line(message['name'])}: {last}")
    for text in found["texts"]:
        say(f"  received   {text['received']}  {one_line(text['text'])}")
    for answer in found["answers"]:
        say(f"  replied    {answer['at']}  {one_line(answer['text'])}")
    for change in found["consents"]:
        what = ("hold ended" if change["state"] == "in" else "held") if change["hold"] else change["state"]
        say(f"  consent    {change['recorded']}  {what} by {change['source']}  {one_line(change['evidence'])}")
    if found["unreachable"]:
        say(f"  carrier    {found['unreachable']['at']}  {_reachability(found['unreachable'])}")


def export(number: Number, out: Annotated[Path, typer.Option("--out", help="JSON file to write.")]) -> None:
    """Write everything that is stored about a number as JSON, for a person who asks for it."""
    contact = our_api(timeout=60.0).get(f"/v1/contacts/{quote(number)}")
    try:
        out.write_text(to_json(contact) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}; choose another file with --out") from error
    say(
        f"{out}: {len(contact['messages'])} campaigns, {len(contact['texts'])} texts, "
        f"{len(contact['consents'])} consent changes"
    )


def delete(
    number: Number,
    evidence: Annotated[
        str, typer.Option("--evidence", help="Who asked for the erasure, and how; kept with the opt-out.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a number's contact, lists, texts, replies and carrier reports, and opt it out of every account."""
    import getpass

    import orjson

    if not yes and not typer.confirm(f"Erase everything about {number} and opt it out? This cannot be undone"):
        raise WrongUse("nothing was erased")
    body = orjson.dumps({"evidence": evidence, "who": getpass.getuser()})
    record = our_api(timeout=60.0).send("DELETE", f"/v1/contacts/{quote(number)}", body)
    say(f"{record['erased']} is erased and opted out of every account. These records stay:")
    for kind in record["stays"]:
        say(f"  {kind}")


def _reachability(record: JsonObject) -> str:
    if record["state"] == "cleared":
        return f"unreachable until {one_line(record['by']) or 'an operator'} cleared it"
    return f"unreachable ({in_words(record['reason'])}), reported for campaign {record['campaign']}"
