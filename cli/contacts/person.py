"""`longwave contacts show | export | delete`: what is stored about one number, and its erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from adapters.terminal import UserError, WrongUse, one_line, say, to_json
from cli.client import our_api
from schemas.reasons import in_words

Number = Annotated[str, typer.Argument(help="With + and country code.")]


def show(
    number: Number, json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False
) -> None:
    """Everything that is stored about a number, in short."""
    found = our_api(timeout=60.0).get(f"/v1/contacts/{quote(number)}")
    if json:
        say(to_json(found))
        return
    contact = found["contact"]
    say(found["number"] + ("" if contact else ": no contact"))
    if contact:
        place = " ".join(part for part in (contact["country"], contact["region"], contact["zone"]) if part)
        say(f"  place      {place or 'not known'}")
        for name, value in sorted(contact["attributes"].items()):
            say(f"  {one_line(name):10} {one_line(value)}")
    say(f"  lists      {', '.join(one['list'] for one in found['lists']) or '-'}")
    for message in found["messages"]:
        last = message["statuses"][-1]["state"] if message["statuses"] else "pending"
        say(f"  campaign   {message['campaign']} {one_line(message['name'])}: {last}")
    for text in found["texts"]:
        say(f"  wrote      {text['received']}  {one_line(text['text'])}")
    for answer in found["answers"]:
        say(f"  answered   {answer['at']}  {one_line(answer['text'])}")
    for change in found["consents"]:
        what = ("hold ended" if change["state"] == "in" else "held") if change["hold"] else change["state"]
        say(f"  consent    {change['recorded']}  {what} by {change['source']}  {one_line(change['evidence'])}")
    if found["unreachable"]:
        say(f"  carrier    {found['unreachable']['at']}  {_reachability(found['unreachable'])}")


def export(number: Number, out: Annotated[Path, typer.Option("--out", help="JSON file to write.")]) -> None:
    """Everything that is stored about a number, as JSON: what you hand out when somebody asks for their data."""
    found = our_api(timeout=60.0).get(f"/v1/contacts/{quote(number)}")
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
    said = our_api(timeout=60.0).send("DELETE", f"/v1/contacts/{quote(number)}", body)
    say(f"{said['erased']} is erased and opted out of every account. What stays:")
    for one in said["stays"]:
        say(f"  {one}")


def _reachability(said: dict[str, Any]) -> str:
    if said["state"] == "cleared":
        return f"unreachable till {one_line(said['by']) or 'an operator'} cleared it"
    return f"unreachable ({in_words(said['reason'])}), said of campaign {said['campaign']}"
