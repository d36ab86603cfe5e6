"""`longwave forecast FILE`: when a campaign would finish, who would not be reached, and what binds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.campaign_file import read_campaign
from cli.console import FAILED, UserError, note, say, write_json

ZONES_SHOWN = 12


def forecast(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign file.")],
    recipients: Annotated[
        int | None,
        typer.Option(min=1, max=20_000_000, help="So many sample people (else the campaign's own contacts)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample people.")] = 1,
    start: Annotated[
        str | None, typer.Option(metavar="ISO", help="Launch at this time, in the store's zone (else now).")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
    ] = None,
) -> None:
    """Whether and when a campaign can be sent. Exit code 1 if somebody would not be reached."""
    result = _result(file, recipients, seed, start)
    if str(json) != "-":
        for line in lines(result):
            say(line)
    write_json(json, result)
    if result["unreached"]:
        raise typer.Exit(FAILED)


def _result(file: Path, recipients: int | None, seed: int, start: str | None) -> dict[str, Any]:
    from adapters.clock import now_ms
    from adapters.settings import load
    from api.forecasting import forecast_of
    from api.reviewing import account_facts
    from cli.launch_time import given
    from pipeline.plan import PlanError

    settings, spec = load(), read_campaign(file)
    account, missing = account_facts(settings, spec)
    if account is None:
        raise UserError(f"{file}: {missing}")
    now = now_ms() if start is None else given(start, account.store_zone)
    from cli.forecast_facts import contacts, sampled

    facts = contacts(settings, spec) if recipients is None else sampled(settings, spec, recipients, seed)
    note(f"{spec.name}: {facts.source}")
    try:
        found = forecast_of(settings, spec, facts.people, facts.mean_parts, now, facts.rivals)
    except PlanError as error:
        raise UserError(f"{file}: {error}") from error
    return {"name": spec.name, "audience": facts.source, **as_json(asdict(found))}


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """Times as ISO 8601 in UTC."""
    from loadtest.simulation.report import instant

    zones = [{**one, "finish": one["finish"] and instant(one["finish"])} for one in found["zones"]]
    times = {name: found[name] and instant(found[name]) for name in ("begin", "finish")}
    return {**found, **times, "zones": zones}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The forecast in words."""
    from pipeline.forecast_words import duration

    yield f"{result['name']}: {result['recipients']:,} recipients, about {result['segments']:,} segments"
    if result["finish"] is not None:
        yield f"finish     {result['finish']}, after {duration(result['seconds'])}"
    else:
        yield f"not reached {result['unreached']:,} of {result['recipients']:,}"
    yield f"binds      {result['binding'].replace('_', ' ')}"
    yield f"why        {result['why']}"
    sizes = Counter({one["zone"]: one["recipients"] for one in result["zones"]})
    by_zone = {one["zone"]: one for one in result["zones"]}
    for zone, size in sizes.most_common(ZONES_SHOWN):
        one = by_zone[zone]
        end = one["finish"] or f"{one['unreached']:,} not reached"
        yield f"  {zone[:28]:<28} {size:>10,}  {end}"
    if len(sizes) > ZONES_SHOWN:
        yield f"  and {len(sizes) - ZONES_SHOWN} more zones (--json has all)"
