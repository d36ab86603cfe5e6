"""`longwave forecast FILE`: when a campaign would finish, who would not be reached, and what limits it.

The API answers, because it has loaded the data. A forecast for sample recipients needs no stack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from adapters.terminal import FAILED, UserError, note, say, write_json
from cli.accounts.book import AccountsFile
from schemas.json import JsonObject
from schemas.reasons import in_words

ZONES_SHOWN = 12


def forecast(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign file.")],
    recipients: Annotated[
        int | None,
        typer.Option(min=1, max=20_000_000, help="Number of sample recipients [the campaign's contacts]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample recipients.")] = 1,
    start: Annotated[str | None, typer.Option(metavar="ISO", help="Launch time, in store time [now].")] = None,
    accounts: AccountsFile = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
    ] = None,
) -> None:
    """Forecast whether and when a campaign can be sent. The exit code is 1 if recipients would not be reached."""
    result = _from_api(file, start) if recipients is None else _sampled(file, recipients, seed, start, accounts)
    note(f"{result['name']}: {result['audience']}")
    if str(json) != "-":
        for line in lines(result):
            say(line)
    write_json(json, result)
    if result["unreached"]:
        raise typer.Exit(FAILED)


def _from_api(file: Path, start: str | None) -> JsonObject:
    from cli.client import our_api

    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    try:
        return our_api().send("POST", "/v1/forecast", raw, "application/toml", start=start)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def _sampled(file: Path, recipients: int, seed: int, start: str | None, accounts: Path | None) -> JsonObject:
    from cli.forecast.sample import forecast_sample

    return forecast_sample(file, recipients, seed, start, accounts)


def lines(result: JsonObject) -> Iterator[str]:
    """The forecast as text."""
    from pipeline.insight.forecast_words import duration

    yield f"{result['name']}: {result['recipients']:,} recipients, about {result['segments']:,} segments"
    for reason, count in result["skipped"].items():
        yield f"skipped    {count:,} {reason}  ({in_words(reason)})"
    if result["finish"] is not None:
        yield f"finish     {result['finish']}, after {duration(result['seconds'])}"
    elif result["beyond_horizon"]:
        reached = result["recipients"] - result["unreached"]
        yield f"finish     after {result['horizon']}, the end of the forecast; {reached:,} are submitted by then"
    else:
        yield f"not reached {result['unreached']:,} of {result['recipients']:,}"
    yield f"limited by {result['binding'].replace('_', ' ')}"
    yield f"why        {result['why']}"
    sizes = Counter({entry["zone"]: entry["recipients"] for entry in result["zones"]})
    by_zone = {entry["zone"]: entry for entry in result["zones"]}
    left = "after the end of the forecast" if result["beyond_horizon"] else "not reached"
    for zone, size in sizes.most_common(ZONES_SHOWN):
        entry = by_zone[zone]
        end = entry["finish"] or f"{entry['unreached']:,} {left}"
        yield f"  {zone[:28]:<28} {size:>10,}  {end}"
    if len(sizes) > ZONES_SHOWN:
        yield f"  and {len(sizes) - ZONES_SHOWN} more zones (--json has all)"
