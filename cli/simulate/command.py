"""`longwave simulate FILE`: run a campaign through the production rules on a virtual clock, in seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from adapters.terminal import FAILED, UserError, WrongUse, note, say, write_json
from cli.accounts.book import AccountsFile, book_of_file
from cli.campaign.launch_time import begin_of
from cli.campaign.spec_file import read_campaign
from schemas.json import JsonObject
from schemas.reasons import in_words
from schemas.succession import UNSENT

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH = 72
SCRIPTS = Path(__file__).parents[2] / "loadtest" / "aggregator" / "scripts"


def simulate(  # noqa: PLR0913 - each is an option of the command
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The campaign file.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 1,
    recipients: Annotated[
        int | None,
        typer.Option(min=1, max=20_000_000, help="Number of sample recipients [the campaign's contacts]."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="Launch time, in store time [send_at, else noon today]."),
    ] = None,
    script: Annotated[
        Path, typer.Option(metavar="FILE.toml", help="Script of the aggregator (as for `longwave aggregator`).")
    ] = SCRIPTS / "calm.toml",
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", metavar="FILE.toml", help="Another campaign, launched at the same time (may be repeated)."
        ),
    ] = None,
    accounts: AccountsFile = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Use slices as small as in production, however long it takes.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", metavar="FILE", help="Chart to FILE.svg or FILE.png.")
    ] = None,
) -> None:
    """Simulate a campaign before it is launched. Nothing is sent and nothing is stored."""
    if chart is not None and chart.suffix not in (".svg", ".png"):
        raise WrongUse(f"--chart {chart}: name the file FILE.svg or FILE.png")
    begun = time.monotonic()
    result = _result(_Order([file, *(beside or [])], seed, recipients, start, script, accounts, exact))
    if str(json) != "-":
        for line in lines(result):
            say(line)
        note(f"simulated in {time.monotonic() - begun:.1f} s")
    write_json(json, result)
    if chart is not None:
        _draw(result, chart)
    if result["worst_residual"] or result["unfinished"]:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Order:
    """What a person asks of a simulation. `files`: the campaign, then those launched beside it; `recipients`: how
    many samples, None for the campaign's contacts; `start`: store time, None for the campaign's own;
    `accounts`: their file, None for the sample account."""

    files: list[Path]
    seed: int
    recipients: int | None
    start: str | None
    script: Path
    accounts: Path | None
    exact: bool


def _result(order: _Order) -> JsonObject:
    from adapters.settings import load
    from api.terms import Installed
    from cli.simulate.setup import SetupError, before_of, launches_of
    from loadtest.aggregator.script import read_script
    from pipeline.campaign.plan import PlanError
    from simulation.report import report
    from simulation.run import Before, Conditions
    from simulation.run import simulate as run

    settings, aggregator_script = load(), read_script(order.script)
    specs = [read_campaign(path) for path in order.files]
    try:
        installed = Installed(settings, book_of_file(order.accounts, settings))
        launches = launches_of(installed, specs, order.recipients, order.seed)
        begin = begin_of(order.start, specs[0].send_at, launches[0].terms.store_zone)
        # Millions of objects live until the end; each full collection would visit all of them.
        gc.disable()
        before = before_of(settings) if order.recipients is None else Before()
        conditions = Conditions(
            aggregator_script, order.seed, begin, settings.kafka.partitions, order.exact, before or Before()
        )
        outcome = run(launches, conditions)
    except (SetupError, PlanError) as error:
        raise UserError(f"{order.files[0]}: {error}") from error
    finally:
        gc.enable()
    if before is None:
        note(
            "Kafka does not answer, so earlier messages and unreachable numbers are not known: a launch may skip more"
        )
    for launch in launches:
        note(f"{launch.spec.name}: {launch.audience.source}")
    return report(outcome, specs, [launch.audience.source for launch in launches], order.seed, order.script.name)


def _draw(result: JsonObject, path: Path) -> None:
    from simulation.chart import draw

    try:
        draw(result, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; choose another file with --chart"
        ) from error
    note(f"chart written to {path}")


def lines(result: JsonObject) -> Iterator[str]:
    """The result as text, with one line of chart per state and zone."""
    from pipeline.insight.forecast_words import duration

    yield f"{result['name']}: {result['targeted']:,} recipients, from {result['start']}"
    if result["seconds"] is None:
        yield f"does not finish: {result['unfinished']:,} are still waiting at {result['ended']}"
    else:
        yield f"finish     {result['finish']}, after {duration(result['seconds'])}"
    yield f"segments   {result['segments']:,}, {result['spend']:,.2f} credits"
    if result["outages"]:
        yield f"outages    the circuit breaker opened {result['outages']:,} times"
    clicked, texts = result["clicked"], result["texts"]
    if any(clicked.values()):
        yield f"clicked    {clicked['people']:,} people, {clicked['bots']:,} bots"
    if texts:
        replies = ", ".join(f"{count:,} {kind.upper()}" for kind, count in texts.items() if kind != "opted_out")
        yield f"replied    {replies}; {texts.get('opted_out', 0):,} opted out"
    yield f"residual   {result['worst_residual']} at {len(result['timeline'])} samples"
    for state, count in result["states"].items():
        if count:
            yield f"  {state:<12} {count:>12,}  {_share(count, result):5.1f} %  {_spark(result, state)}"
            reasons = result["reasons"].get(state, {})
            yield from (
                f"    {reason}: {number:,}  ({in_words(reason)})" for reason, number in reasons.items() if reason
            )
    yield "settled by zone"
    yield from _zones(result)


def _share(count: int, result: JsonObject) -> float:
    return float(100 * count / max(1, result["targeted"]))


def _columns(result: JsonObject) -> list[JsonObject]:
    """The samples at the ends of WIDTH equal spans of time."""
    samples = result["timeline"]
    last = samples[-1]["seconds"] or 1.0
    columns, place = [], 0
    for column in range(WIDTH):
        until = last * (column + 1) / WIDTH
        while place + 1 < len(samples) and samples[place + 1]["seconds"] <= until:
            place += 1
        columns.append(samples[place])
    return columns


def _spark(result: JsonObject, state: str) -> str:
    counts = [sample["states"].get(state, 0) for sample in _columns(result)]
    return _blocks(counts, max(1, *counts))


def _blocks(values: list[int], most: int) -> str:
    return "".join(BLOCKS[min(len(BLOCKS) - 1, -(-value * (len(BLOCKS) - 1) // most))] for value in values)


def _zones(result: JsonObject) -> Iterator[str]:
    waiting = UNSENT
    sizes = {zone: sum(cells.values()) for zone, cells in result["timeline"][-1]["zones"].items()}
    columns = _columns(result)
    for zone in sorted(sizes, key=lambda name: (-sizes[name], name))[:15]:
        settled = [
            sum(count for state, count in sample["zones"].get(zone, {}).items() if state not in waiting)
            for sample in columns
        ]
        yield f"  {zone[:28]:<28} {sizes[zone]:>10,}  {_blocks(settled, sizes[zone])}"
    if len(sizes) > 15:
        yield f"  and {len(sizes) - 15} more zones (--json has all)"
