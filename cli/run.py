"""`longwave run NAME`: one process in the foreground, until SIGTERM. The supervisor and docker-compose use it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from adapters import logs
from adapters import settings as configuration
from adapters import terminal as console
from adapters.garbage import leave_out_what_stays
from adapters.private_files import OTHERS
from adapters.settings import Settings
from devstack import in_force
from devstack.children import follow_parent

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


@app.callback()
def _before() -> None:
    """Run one process of Longwave in the foreground, until SIGTERM; settings as everywhere."""
    logs.to_stderr()
    if not sys.stderr.isatty():
        console.with_times()
    follow_parent()
    os.umask(OTHERS)
    # While the process still starts it has nothing to finish; later it has a handler of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _settings(name: str) -> Settings:
    """The settings, and a note that process `name` runs with them."""
    settings = configuration.load()
    in_force.leave(settings, name)
    return settings


@app.command()
def kafka(
    record_classes: Annotated[
        Path | None,
        typer.Option(metavar="PATH", hidden=True, help="Leave an archive of its classes there."),
    ] = None,
) -> None:
    """The local Apache Kafka (needs Java); its data in DATA/kafka."""
    from devstack import kafka as local
    from devstack.ready import split_address

    settings = _settings("kafka")
    host, port = split_address(settings.kafka.bootstrap)
    local.run(settings.data / "kafka", host, port, record_classes)


@app.command()
def clickhouse() -> None:
    """The local ClickHouse endpoint; its data in DATA/clickhouse."""
    from devstack import clickhouse as clickhouse_endpoint

    settings = _settings("clickhouse")
    clickhouse_endpoint.serve(settings.data / "clickhouse", settings.clickhouse.host, settings.clickhouse.port)


@app.command()
def topics() -> None:
    """Make the missing topics, then end."""
    from adapters.kafka import topics as brokers
    from adapters.terminal import say

    made = brokers.ensure(configuration.load().kafka)
    say(f"made {', '.join(made)}" if made else "every topic is there")


@app.command()
def migrate() -> None:
    """Bring ClickHouse's tables to this version, then end."""
    from adapters.clickhouse import migrate as apply
    from adapters.terminal import say

    applied = apply(configuration.load())
    say(f"applied {', '.join(applied)}" if applied else "up to date")


@app.command()
def worker(
    index: Annotated[int, typer.Option(min=0, help="Which worker this is; its metrics port follows.")] = 0,
) -> None:
    """A Faust worker: coordinator, fan-out, eligibility, lanes."""
    from agents.app import run_worker

    leave_out_what_stays()
    run_worker(_settings(f"worker-{index}"), index)


@app.command()
def writer() -> None:
    """The ClickHouse writer: status chunks into sets."""
    from agents.writer_app import run_writer

    leave_out_what_stays()
    run_writer(_settings("writer"))


@app.command()
def api() -> None:
    """The REST API and the Realtime Campaigns page."""
    from api.server import serve

    leave_out_what_stays()
    serve(_settings("api"))


@app.command()
def ingress() -> None:
    """What comes in: receipts, clicks, inbound texts."""
    from api.ingress import serve

    leave_out_what_stays()
    serve(_settings("ingress"))


@app.command()
def aggregator(
    script: Annotated[Path | None, typer.Option(help="How it behaves: latency, errors, receipts, replies.")] = None,
) -> None:
    """The simulated aggregator; its record in DATA/aggregator."""
    from cli.aggregator import aggregator as alone

    leave_out_what_stays()
    _settings("aggregator")
    alone(script=script)
