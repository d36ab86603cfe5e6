"""`longwave bench NAME`: measure, beside the bare limit of this machine."""

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
Json = Annotated[Path | None, typer.Option("--json", help="Write the result there.")]


@app.callback()
def _bench() -> None:
    """Measure on a private stack of real processes. Exit code 1 where what is required is not reached."""
    # Ended from outside, it still takes its stack down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@app.command()
def pipe(
    recipients: Annotated[int, typer.Option(min=500)] = 500_000,
    json: Json = None,
) -> None:
    """The bare hops: the same bytes over the same hops, no logic."""
    from loadtest.bench import pipe as bench

    _show(bench.run(recipients), json)


@app.command()
def whole(
    recipients: Annotated[int, typer.Option(min=500)] = 1_000_000,
    workers: Annotated[int, typer.Option(min=1, max=16)] = 1,
    lanes: Annotated[int, typer.Option(min=1, max=8)] = 1,
    json: Json = None,
) -> None:
    """One campaign the whole way: recipients per second from the launch to the last arrival."""
    from loadtest.bench import whole as bench

    _show(bench.run(recipients, workers, lanes), json)


@app.command()
def latency(messages: Annotated[int, typer.Option(min=10)] = 300, json: Json = None) -> None:
    """From a due time to the arrival at the aggregator, idle lane."""
    from loadtest.bench import latency as bench

    _show(bench.run(messages), json)


@app.command()
def rate(seconds: Annotated[int, typer.Option(min=5)] = 30, json: Json = None) -> None:
    """How exactly lanes keep limits of 1, 3, 100 and 5,000 segments/s."""
    from loadtest.bench import rate as bench

    _show(bench.run(seconds), json)


@app.command()
def cancel(
    cancels: Annotated[int, typer.Option(min=2)] = 40,
    recipients: Annotated[int, typer.Option(min=1000, help="Of each campaign.")] = 12_000,
    rate: Annotated[int, typer.Option(min=100, help="Segments per second, over four lanes.")] = 4000,
    json: Json = None,
) -> None:
    """From the command to the last submission, with eight campaigns at the limit of four lanes."""
    from loadtest.bench import cancel as bench

    _show(bench.run(cancels, recipients, rate), json)


@app.command()
def query(recipients: Annotated[int, typer.Option(min=1000)] = 10_000_000, json: Json = None) -> None:
    """The figures of one campaign with all states."""
    from loadtest.bench import query as bench

    _show(bench.run(recipients), json)


@app.command()
def delay(
    recipients: Annotated[int, typer.Option(min=8000, help="Waiting in all lanes together.")] = 10_000_000,
    json: Json = None,
) -> None:
    """Millions waiting: memory, restart after a kill, release at due time under load, look-up, cancel of half."""
    from loadtest.bench import delay as bench

    _show(bench.run(recipients, note), json)


@app.command()
def crash(
    kills: Annotated[int, typer.Option(min=1, max=1000, help="Blows under each policy.")] = 50,
    policy: Annotated[str, typer.Option(help="skip, resend, resend-with-key, query, or all.")] = "all",
    recipients: Annotated[int, typer.Option(min=1000, help="Of each campaign.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of the order and the moments of the blows.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Only blows of this kind; may be given again.")] = None,
    json: Json = None,
) -> None:
    """Kill processes at random moments in the middle of campaigns; nobody lost, nobody twice, back at work when."""
    from loadtest.bench.crash import bench
    from loadtest.bench.crash.plan import WEIGHTS

    if policy not in (*bench.POLICIES, "all"):
        raise WrongUse(f"there is no policy `{policy}`; there are {', '.join(bench.POLICIES)} and all")
    if wrong := set(only or ()) - WEIGHTS.keys():
        raise WrongUse(f"there is no kind of blow `{min(wrong)}`; there are {', '.join(WEIGHTS)}")
    _show(bench.run(kills, policy, recipients, seed, only or (), note), json)


@app.command()
def outage(
    minutes: Annotated[float, typer.Option(min=0.2, max=240, help="How long the aggregator is away.")] = 10.0,
    recipients: Annotated[int, typer.Option(min=5000)] = 300_000,
    rate: Annotated[int, typer.Option(min=100, help="Segments per second.")] = 5000,
    json: Json = None,
) -> None:
    """The aggregator away in the middle of a campaign, ClickHouse too for a while: memory of every process, the
    account, and what the page says."""
    from loadtest.bench import outage as bench

    _show(bench.run(minutes, recipients, rate), json)


@app.command()
def optouts(
    stops: Annotated[int, typer.Option(min=20)] = 200,
    numbers: Annotated[int, typer.Option(min=100_000, help="Opt-outs in memory.")] = 10_000_000,
    loaded: Annotated[int, typer.Option(min=1000, help="Opt-outs that a process reads at its start.")] = 1_000_000,
    kill: Annotated[
        bool, typer.Option("--kill", help="Instead: STOPs by text while workers are killed, stopped and ended.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="With --kill: how often all blows fall.")] = 1,
    recipients: Annotated[int, typer.Option(min=1000, help="With --kill: of each campaign.")] = 100_000,
    json: Json = None,
) -> None:
    """From a STOP acknowledged to the last message submitted to that number; memory and look-ups of opt-outs."""
    from loadtest.bench import optouts as bench
    from loadtest.bench import optouts_kill

    _show(optouts_kill.run(rounds, recipients, note) if kill else bench.run(stops, numbers, loaded), json)


@app.command()
def eligibility(
    recipients: Annotated[int, typer.Option(min=5000, help="People; four campaigns go to them.")] = 250_000,
    json: Json = None,
) -> None:
    """Who gets a message, with all rules on: recipients per second and core."""
    from loadtest.bench import eligibility as bench

    _show(bench.run(recipients), json)


@app.command()
def review(
    recipients: Annotated[int, typer.Option(min=1000, help="Of the largest audience that is sent to.")] = 20_000,
    large: Annotated[int, typer.Option(min=1000, help="Of an audience that is only reviewed.")] = 1_000_000,
    json: Json = None,
) -> None:
    """What reviews promise against what becomes of the campaigns: skips by reason, segments and cost."""
    from loadtest.bench import review as bench

    _show(bench.run(recipients, large), json)


@app.command("all")
def every(
    folder: Annotated[Path, typer.Option("--json", help="Folder for the results.")] = Path("bench-results"),
) -> None:
    """All of them with what they need by default; a few minutes."""
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
