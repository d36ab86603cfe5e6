"""`longwave demo`: a sample campaign on the local stack, watched live, counted from both ends."""

from __future__ import annotations

import contextlib
import os
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer

from adapters import settings as configuration
from adapters.settings import Settings
from adapters.terminal import FAILED, UserError, note, say, write_json
from cli.client import api_of, retrying
from cli.demo import result as demo_result
from cli.demo import view as demo_view
from loadtest import aggregator as aggregator_scripts
from schemas.campaign import OVER
from schemas.json import JsonObject

LIST = "sample"
SAMPLE = "flash_sale.toml"
SCRIPT = Path(aggregator_scripts.__file__).parent / "scripts" / "calm.toml"
"""How the simulated aggregator behaves: receipts within seconds, some clicks, the odd STOP."""
SEED = 1
SAMPLE_EVERY = 0.5
STILL_SECONDS = 60.0
STACK_EVERY = 1.0
API_PATIENCE = 60.0
"""Seconds that the demo waits for an API that does not answer, for instance during a restart."""


def demo(
    recipients: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Lines of the sample contacts file.")
    ] = 100_000,
    exit: Annotated[bool, typer.Option("--exit", help="End when the campaign has finished.")] = False,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Result as JSON to FILE (- = standard output).")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Faust workers.")] = 1,
    data: Annotated[
        Path | None, typer.Option("--data", help="Where the stack keeps its data (setting `data`).")
    ] = None,
) -> None:
    """Start the local stack, send a sample campaign to the simulated aggregator and show it live. Ctrl-C ends all.

    With --exit the exit code is 1 unless it finished, with residual 0 all along, nothing lost, nothing sent twice.
    """
    if data is not None:
        os.environ["LONGWAVE_DATA"] = str(data)
    settings = configuration.load()
    with _stack(settings, workers):
        _accounts(settings)
        _contacts(settings, recipients)
        result = _campaign(settings)
        write_json(json, result)
        if exit:
            _judge(result)
            return
        note(f"page     {_signed_in(settings)}")
        note(f"         stays up; Ctrl-C ends the demo (data stays in {settings.data})")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                _check_stack(settings)
                time.sleep(STACK_EVERY)


@contextlib.contextmanager
def _stack(settings: Settings, workers: int) -> Iterator[None]:
    """A running stack: one that is already up (and stays up), else one that is started and stopped at the end."""
    from devstack import background, plan

    if background.is_up(settings.data):
        note(f"stack    already running on {settings.data}")
        yield
        return
    note("stack    starting Kafka, ClickHouse, the aggregator, a worker and the API …")
    try:
        with demo_view.echo(plan.log_of(settings.data.absolute(), "supervisor")):
            options = background.options(workers, plan.NAMES, SCRIPT)
            seconds = background.start(settings.data, *options, follow=True)
        note(f"stack    ready after {seconds:.1f} s")
        note(f"page     {_signed_in(settings)}")
        yield
    finally:
        if background.stop(settings.data):
            note("stack    stopped")


def _check_stack(settings: Settings) -> None:
    """Check that the stack's supervisor still runs.

    Raises:
        UserError: it was killed, or has stopped the stack.
    """
    from devstack import background

    if background.has_ended(settings.data):
        raise UserError(
            "the stack has ended; `longwave up` starts it again on the same data, and what was under way goes on"
        )


def _signed_in(settings: Settings) -> str:
    """A link that opens the page signed in, once, within ten minutes."""
    url: str = api_of(settings).send("POST", "/v1/session/links")["url"]
    return url


def _accounts(settings: Settings) -> None:
    """Add the sample account, where there is none of its name."""
    from loadtest.sample import accounts

    api = api_of(settings)
    if retrying(lambda: {"known": api.get_or_none("/v1/accounts/demo")}, API_PATIENCE, time.sleep)["known"]:
        return
    answer = api.send("POST", "/v1/accounts/apply", accounts.text().encode(), "application/toml")
    if answer["refused"] or not answer["carried_out"]:
        why = "; ".join(item["error"] for item in answer["refused"]) or "no worker answered, see `longwave status`"
        raise UserError(f"the sample account could not be added: {why}")
    note("account  demo added, with the sender main")


def _contacts(settings: Settings, recipients: int) -> None:
    file = settings.data / "demo" / f"contacts-{recipients}-{SEED}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        partial = file.with_suffix(".part.csv")
        _longwave("sample", "contacts", "--out", str(partial), "--count", str(recipients), "--seed", str(SEED))
        partial.rename(file)
    note(f"contacts importing {file}")
    _longwave("contacts", "import", str(file), "--list", LIST, "--json", str(file.with_suffix(".import.json")))


def _longwave(*words: str) -> None:
    from cli.main import run

    if run(list(words)):
        raise UserError(f"`longwave {' '.join(words)}` failed (see above), so the demo ends")


def _campaign(settings: Settings) -> JsonObject:
    api = api_of(settings)
    made = api.send("POST", "/v1/campaigns", orjson.dumps(_spec()))
    _check_carried_out(made)
    campaign = made["id"]
    _check_carried_out(api.send("POST", f"/v1/campaigns/{campaign}/launch"))
    note(f"campaign {campaign} launched: {settings.api.url}/#campaign={campaign}")
    begin = time.monotonic()
    samples: list[JsonObject] = []
    with demo_view.live() as show:
        while True:
            shown = retrying(lambda: api.get(f"/v1/campaigns/{campaign}"), API_PATIENCE, time.sleep)
            _check_stack(settings)
            samples.append(demo_result.sample(shown, time.monotonic() - begin))
            show(shown)
            if shown["status"] in OVER or _is_still(samples):
                break
            time.sleep(SAMPLE_EVERY)
    result = demo_result.count(settings, api, shown, samples)
    for line in demo_result.lines(result):
        say(line)
    return result


def _is_still(samples: list[JsonObject]) -> bool:
    """Whether everything is sent and no receipt has come for a minute: an aggregator that was up before may be
    scripted to send none, and the window for them is days."""
    last = samples[-1]
    before = [s for s in samples if s["seconds"] <= last["seconds"] - STILL_SECONDS]
    return (
        bool(before) and last["status"] == "sent" == before[-1]["status"] and before[-1]["states"] == last["states"]
    )


def _spec() -> JsonObject:
    from loadtest.sample.campaigns import texts

    # With smart sending a second demo would skip everyone, because they just got a message.
    return {**tomllib.loads(texts()[SAMPLE]), "smart_sending_hours": 0}


def _check_carried_out(answer: JsonObject) -> None:
    if answer.get("carried_out") is False:
        raise UserError(f"{answer['message']}; the worker's log is in DATA/logs")


def _judge(result: JsonObject) -> None:
    if not result["ok"]:
        raise typer.Exit(FAILED)
