"""Changes that the command line asks the API for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer

from adapters.terminal import FAILED, UserError, WrongUse, note, say, to_json
from cli.client import Client
from schemas.json import JsonObject

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Suspend = Annotated[
    bool, typer.Option("--suspend", help="Suspend campaigns that need what is taken away, instead of refusing.")
]
Settings = Annotated[
    list[str], typer.Argument(metavar="KEY=VALUE...", help="As in the file, for instance caps.day=2; KEY= resets.")
]


def assigned(spec: JsonObject, settings: Sequence[str]) -> JsonObject:
    """A spec with `key=value` settings; `a.b=1` sets a field of a table, `a=` takes the field out.

    Raises:
        WrongUse: one is no such setting.
    """
    changed: JsonObject = orjson.loads(orjson.dumps(spec))
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not all(name.split(".")):
            raise WrongUse(f"{setting!r}: write KEY=VALUE, for instance segments_per_second=10")
        *tables, last = name.split(".")
        into = changed
        for table in tables:
            into = into.setdefault(table, {})
            if not isinstance(into, dict):
                raise WrongUse(f"{setting!r}: {table} is no table")
        if text:
            into[last] = _value(text)
        else:
            into.pop(last, None)
    return changed


def _value(text: str) -> Any:
    """What TOML makes of a value, and a plain text as it is: `10`, `true`, `["a"]`, `Harbor & Pine`; with a plus in
    front it is a phone number."""
    if text.startswith("+"):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def put(api: Client, path: str, settings: Sequence[str], json: bool, *, suspend: bool = False) -> None:
    """Set fields of what is at `path`, or make it."""
    known = api.get_or_none(path)
    spec = assigned({} if known is None else known["spec"], settings)
    # Of what somebody else changes in between, nothing is lost: the change is refused.
    headers = {"If-None-Match": "*"} if known is None else {"If-Match": f'"{known["revision"]}"'}
    answer = api.send("PUT", path, orjson.dumps(spec), headers=headers, suspend=suspend or None)
    shown(answer, json, "made" if known is None else "unchanged" if _is_same(known, answer) else "changed", path)


def _is_same(known: JsonObject, answer: JsonObject) -> bool:
    return bool(known["revision"] == answer.get("revision"))


def removed(api: Client, path: str, json: bool, *, suspend: bool = False) -> None:
    """Remove what is at `path`."""
    shown(api.send("DELETE", path, suspend=suspend or None), json, "removed", path)


def shown(answer: JsonObject, json: bool, what: str, path: str) -> None:
    """Say what became of a change."""
    if json:
        say(to_json(answer))
    elif answer.get("carried_out") is False:
        note(answer["message"])
    else:
        say(f"{path.removeprefix('/v1/accounts/').replace('/senders/', '/').replace('/domains/', '/')} {what}")


def apply(api: Client, document: JsonObject, json: bool, *, dry_run: bool = False, suspend: bool = False) -> None:
    """Apply the tables of a file, and show what changes. The exit code is 1 if anything was refused."""
    from cli.accounts.wording import changed_lines

    answer = api.send(
        "POST", "/v1/accounts/apply", orjson.dumps(document), dry_run=dry_run or None, suspend=suspend or None
    )
    if json:
        say(to_json(answer))
    else:
        for line in changed_lines(answer):
            say(line)
        if dry_run:
            note("nothing was changed (--dry-run)")
        if not answer["carried_out"]:
            note("accepted, not yet carried out: no worker answered; see `longwave status`")
    if answer["refused"]:
        raise typer.Exit(FAILED)


def of_name(name: str) -> tuple[str, str]:
    """(account, sender) of ACCOUNT/SENDER.

    Raises:
        UserError: it is no such name.
    """
    account, slash, sender = name.partition("/")
    if not slash or not account or not sender:
        raise UserError(f"{name!r}: write ACCOUNT/SENDER, for instance demo/main")
    return account, sender
