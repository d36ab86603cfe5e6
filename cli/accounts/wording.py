"""Accounts, senders, prices and what changes of them, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from schemas.json import JsonObject

_SIGNS: Final = {"added": "+", "changed": "~", "removed": "-"}


def changed_lines(answer: JsonObject) -> Iterator[str]:
    """What a file changes: a line for each account, sender and price list, and one for each field."""
    changes = [change for change in answer["changes"] if change["what"] != "same"]
    for change in changes:
        yield f"{_SIGNS[change['what']]} {change['key']}"
        for name, (before, after) in change["fields"].items():
            yield from _field(name, before, after)
    for refused in answer["refused"]:
        yield f"! {refused['key']}: {refused['error']}"
    same = len(answer["changes"]) - len(changes)
    if not changes:
        yield f"nothing to change: all {same} are as the file says"
    elif same:
        yield f"{same} more are as the file says"


def _field(name: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for inner in dict.fromkeys([*before, *after]):
            if before.get(inner) != after.get(inner):
                yield from _field(f"{name}.{inner}", before.get(inner), after.get(inner))
    else:
        yield f"    {name}: {_value(before)} → {_value(after)}"


def _value(value: Any) -> str:
    text = "not set" if value is None or value == [] else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def account_line(account: JsonObject) -> str:
    """An account in a list."""
    spec = account["spec"]
    state = "active" if spec["active"] else "inactive"
    rate = f"{spec['segments_per_second']:,.10g}/s"
    count = account["senders"]
    senders = f"{count} sender{'s' * (count != 1)}"
    return f"{account['account']:<20}  {state:<8}  {rate:>14}  {senders:<11}  {spec['site_name']}"


def sender_line(sender: JsonObject) -> str:
    """A sender in a list."""
    spec = sender["spec"]
    name = f"{sender['account']}/{sender['sender']}"
    lanes = ", ".join(map(str, sender["lanes"]))
    rate = f"{spec['segments_per_second']:,.10g}/s"
    return f"{name:<28}  {spec['number']:<16}  {spec['kind']:<12}  {rate:>12}  {spec['aggregator']:<10}  lane {lanes}"


def domain_line(domain: JsonObject) -> str:
    """A domain in a list."""
    spec = domain["spec"]
    state = "active" if spec["active"] else "inactive"
    limit = "no limit" if spec["messages"] is None else f"of {spec['messages']:,}"
    return f"{domain['domain']:<32}  {spec['kind']:<8}  {state:<8}  {domain['used']:>12,} {limit}"


def pool_line(pool: JsonObject) -> str:
    """What is left of the domains of a kind."""
    left = "any number of" if pool["left"] is None else f"{pool['left']:,}"
    warning = "  NEARLY USED UP: add a domain or raise a limit" if pool["nearly_used"] else ""
    return f"{pool['kind']} links: {left} more messages{warning}"


def alert_lines(alert: JsonObject) -> Iterator[str]:
    """An alert, and a line for each destination."""
    yield f"{alert['at'][:19].replace('T', ' ')}  {alert['text']}"
    for delivery in alert["deliveries"]:
        problem = f": {delivery['problem']}" if delivery["problem"] else ""
        following = f", next at {delivery['next'][:19].replace('T', ' ')}" if delivery["next"] else ""
        yield f"    {delivery['channel']:<8} {delivery['state']:<8} {delivery['to']}{problem}{following}"
    if not alert["deliveries"]:
        yield "    nobody was told: the account names nobody who gets its alerts"


def price_lines(listed: JsonObject) -> Iterator[str]:
    """A price list, an entry a line."""
    note = "  (built in)" if listed["built_in"] else ""
    yield f"{listed['name']}{note}"
    for entry in listed["prices"]:
        network = f"  {entry['network']}" if entry["network"] else ""
        yield f"  {entry['from']}  {entry['country']:<2}  {entry['price']:>10}{network}"


def spec_lines(spec: JsonObject, indent: str = "  ") -> Iterator[str]:
    """A spec, a field a line, tables indented."""
    for name, value in spec.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}"
            yield from spec_lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name} = {'not set' if value in (None, {}, []) else value}"
