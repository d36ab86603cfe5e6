"""`longwave bench NAME`: measure Longwave beside the bare limit of this machine."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.terminal import FAILED, WrongUse, note, say

if TYPE_CHECKING:
    from loadtest.bench.report import Result

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)
Json = Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")]


@app.callback()
def _bench() -> None:
    """Measure on a private stack of real processes. The exit code is 1 if a required figure is not reached."""
    # A bench that is ended from outside still stops its stack.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@app.command()
def pipe(
    recipients: Annotated[int, typer.Option(min=500)] = 500_000,
    json: Json = None,
) -> None:
    """Throughput of the bare pipeline: the same bytes over the same hops, without logic."""
    from loadtest.bench import pipe as bench

    _show(bench.run(recipients), json)


@app.command()
def whole(
    recipients: Annotated[int, typer.Option(min=500)] = 1_000_000,
    workers: Annotated[int, typer.Option(min=1, max=16)] = 1,
    lanes: Annotated[int, typer.Option(min=1, max=8)] = 1,
    json: Json = None,
) -> None:
    """One campaign end to end: recipients per second from the launch to the last arrival."""
    from loadtest.bench import whole as bench

    _show(bench.run(recipients, workers, lanes), json)


@app.command()
def latency(messages: Annotated[int, typer.Option(min=10)] = 300, json: Json = None) -> None:
    """Time from a message's due time to its arrival at the aggregator, on an idle lane."""
    from loadtest.bench import latency as bench

    _show(bench.run(messages), json)


@app.command()
def urgent(
    messages: Annotated[int, typer.Option(min=10)] = 300,
    recipients: Annotated[int, typer.Option(min=1000)] = 1_000_000,
    json: Json = None,
) -> None:
    """The same for urgent messages of a sender with a campaign of so many recipients under way."""
    from loadtest.bench import latency as bench

    _show(bench.run_urgent(messages, recipients), json)


@app.command()
def rate(seconds: Annotated[int, typer.Option(min=5)] = 60, json: Json = None) -> None:
    """How closely lanes keep limits of 1, 3, 100 and 5,000 segments/s."""
    from loadtest.bench import rate as bench

    _show(bench.run(seconds), json)


@app.command()
def senders(
    senders: Annotated[int, typer.Option(min=10)] = 10_000,
    rate: Annotated[int, typer.Option(min=2, max=100, help="Segments per second of each.")] = 3,
    seconds: Annotated[int, typer.Option(min=5)] = 30,
    workers: Annotated[int, typer.Option(min=1, max=8)] = 2,
    json: Json = None,
) -> None:
    """How closely thousands of slow senders on eight lanes, and their accounts, keep their limits."""
    from loadtest.bench import senders as bench

    _show(bench.run(senders, rate, seconds, workers), json)


@app.command()
def cancel(
    cancels: Annotated[int, typer.Option(min=2)] = 40,
    recipients: Annotated[int, typer.Option(min=1000, help="Of each campaign.")] = 12_000,
    rate: Annotated[int, typer.Option(min=100, help="Segments per second, over four lanes.")] = 4000,
    json: Json = None,
) -> None:
    """Time from a cancel to the last submission, with eight campaigns at the limit of four lanes."""
    from loadtest.bench import cancel as bench

    _show(bench.run(cancels, recipients, rate), json)


@app.command()
def query(recipients: Annotated[int, typer.Option(min=1000)] = 10_000_000, json: Json = None) -> None:
    """Time to read the figures of one campaign with all states."""
    from loadtest.bench import query as bench

    _show(bench.run(recipients), json)


@app.command()
def export(recipients: Annotated[int, typer.Option(min=1000)] = 10_000_000, json: Json = None) -> None:
    """Export of one campaign in each format: rows per second, and memory of the API and of the client."""
    from loadtest.bench import export as bench

    _show(bench.run(recipients), json)


@app.command()
def delay(
    recipients: Annotated[int, typer.Option(min=8000, help="Waiting in all lanes together.")] = 10_000_000,
    json: Json = None,
) -> None:
    """Millions of delayed recipients: memory, restart after a kill, release when due, cancel of half."""
    from loadtest.bench import delay as bench

    _show(bench.run(recipients, note), json)


@app.command()
def crash(
    kills: Annotated[int, typer.Option(min=1, max=1000, help="Kills under each unknown policy.")] = 50,
    policy: Annotated[str, typer.Option(help="skip, resend, resend-with-key, query, or all.")] = "all",
    recipients: Annotated[int, typer.Option(min=1000, help="Of each campaign.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Seed of the order and the moments of the kills.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Only kills of this kind (may be repeated).")] = None,
    json: Json = None,
) -> None:
    """Kill processes at random moments while campaigns run: lost and doubled messages, and time to recover."""
    from loadtest.bench.crash import bench
    from loadtest.bench.crash.plan import WEIGHTS

    if policy not in (*bench.POLICIES, "all"):
        raise WrongUse(f"unknown policy `{policy}`; choose one of {', '.join(bench.POLICIES)} or all")
    if wrong := set(only or ()) - WEIGHTS.keys():
        raise WrongUse(f"unknown kind of kill `{min(wrong)}`; choose one of {', '.join(WEIGHTS)}")
    _show(bench.run(kills, policy, recipients, seed, only or (), note), json)


@app.command()
def outage(
    minutes: Annotated[float, typer.Option(min=0.2, max=240, help="Minutes without the aggregator.")] = 10.0,
    recipients: Annotated[int, typer.Option(min=5000)] = 300_000,
    rate: Annotated[int, typer.Option(min=100, help="Segments per second.")] = 5000,
    json: Json = None,
) -> None:
    """An outage of the aggregator, and for a while of ClickHouse, while a campaign runs: memory of every process,
    every message accounted for, and what the page shows."""
    from loadtest.bench import outage as bench

    _show(bench.run(minutes, recipients, rate), json)


@app.command()
def optouts(  # noqa: PLR0913 - each is an option of the command
    stops: Annotated[int, typer.Option(min=20)] = 200,
    numbers: Annotated[int, typer.Option(min=100_000, help="Opt-outs in memory.")] = 10_000_000,
    loaded: Annotated[int, typer.Option(min=1000, help="Opt-outs that a process loads at its start.")] = 1_000_000,
    kill: Annotated[
        bool, typer.Option("--kill", help="Instead: STOP texts while workers are killed, paused and ended.")
    ] = False,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="With --kill: how often each kind of kill happens.")
    ] = 1,
    recipients: Annotated[int, typer.Option(min=1000, help="With --kill: of each campaign.")] = 100_000,
    json: Json = None,
) -> None:
    """Time from an acknowledged STOP to the last message to that number; memory and look-ups of opt-outs."""
    from loadtest.bench import optouts as bench
    from loadtest.bench import optouts_kill

    _show(optouts_kill.run(rounds, recipients, note) if kill else bench.run(stops, numbers, loaded), json)


@app.command()
def eligibility(
    recipients: Annotated[int, typer.Option(min=5000, help="Recipients; four campaigns go to them.")] = 250_000,
    json: Json = None,
) -> None:
    """Throughput of eligibility with all rules on: recipients per second and core."""
    from loadtest.bench import eligibility as bench

    _show(bench.run(recipients), json)


@app.command()
def review(
    recipients: Annotated[int, typer.Option(min=1000, help="Of the largest audience that is sent to.")] = 20_000,
    large: Annotated[int, typer.Option(min=1000, help="Of an audience that is only reviewed.")] = 1_000_000,
    json: Json = None,
) -> None:
    """What reviews promise against what the campaigns do: skips by reason, segments and cost."""
    from loadtest.bench import review as bench

    _show(bench.run(recipients, large), json)


@app.command("all")
def every(
    folder: Annotated[Path, typer.Option("--json", help="Folder for the results.")] = Path("bench-results"),
) -> None:
    """Run every bench with its default size; takes a few minutes."""
    from loadtest.bench import cancel, eligibility, latency, optouts, pipe, query, rate, whole

    folder.mkdir(parents=True, exist_ok=True)
    benches = {
        "pipe": pipe.run, "whole": whole.run, "latency": latency.run, "rate": rate.run, "query": query.run,
        "cancel": cancel.run, "optouts": optouts.run, "eligibility": eligibility.run,
    }  # fmt: skip
    missed = []
    for name, run in benches.items():
        result = run()
        result.write(folder / f"{name}.json")
        for line in result.lines():
            say(line)
        if not result.ok:
            missed.append(name)
    if missed:
        say(f"not reached: {', '.join(missed)}")
        raise typer.Exit(FAILED)


def _show(result: Result, json: Path | None) -> None:
    result.write(json)
    for line in result.lines():
        say(line)
    if not result.ok:
        raise typer.Exit(FAILED)
