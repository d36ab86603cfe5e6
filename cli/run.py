"""`longwave run NAME`: run one process in the foreground until SIGTERM; the supervisor and docker-compose use it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters import logs, stacks
from adapters import settings as configuration
from adapters import terminal as console
from adapters.private_files import OTHERS
from adapters.settings import Settings
from devstack import in_force
from devstack.children import follow_parent

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False)


class LogFormat(StrEnum):
    """The values of `--log-format`."""

    JSON = "json"
    TEXT = "text"
    AUTO = "auto"


_THRESHOLDS: Final = (10_000, 20, 50)
"""Allocations, then collections of the younger generation, that make a collection; Python's own are 700, 10, 10."""


_log_format: logs.Form | None = None
"""Of the command line; it wins over the setting."""


@app.callback()
def _before(
    log_format: Annotated[
        LogFormat | None, typer.Option(help="json, text, or auto: text on a terminal [setting log_format].")
    ] = None,
) -> None:
    """Run one process of Longwave in the foreground until SIGTERM."""
    global _log_format  # noqa: PLW0603 - of the whole process, as standard error is
    _log_format = None if log_format is None else log_format.value
    logs.to_stderr(form=_log_format or "auto")
    console.to_log()
    stacks.on_signal()
    follow_parent()
    os.umask(OTHERS)
    # A process that is still starting has nothing to finish; later it installs its own handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _settings(name: str) -> Settings:
    """The settings, recorded as those that process `name` runs with. From now on its log is as they say."""
    settings = configuration.load()
    logs.to_stderr(name, _log_format or settings.log_format)
    in_force.leave(settings, name)
    return settings


@app.command()
def kafka(
    record_classes: Annotated[
        Path | None,
        typer.Option(metavar="PATH", hidden=True, help="Leave an archive of its classes there."),
    ] = None,
) -> None:
    """Run the local Apache Kafka (needs Java); its data is in DATA/kafka."""
    from devstack import kafka as local
    from devstack.ready import split_address

    settings = _settings("kafka")
    host, port = split_address(settings.kafka.bootstrap)
    local.run(settings.data / "kafka", host, port, record_classes)


@app.command()
def clickhouse() -> None:
    """Run the local ClickHouse endpoint; its data is in DATA/clickhouse."""
    from devstack import clickhouse as clickhouse_endpoint

    settings = _settings("clickhouse")
    clickhouse_endpoint.serve(settings.data / "clickhouse", settings.clickhouse.host, settings.clickhouse.port)


@app.command()
def topics() -> None:
    """Create the missing topics, then end."""
    from adapters.kafka import topics as brokers
    from adapters.terminal import say

    made = brokers.ensure(configuration.load().kafka)
    say(f"created {', '.join(made)}" if made else "all topics exist")


@app.command()
def migrate() -> None:
    """Migrate ClickHouse's tables to this version, then end."""
    from adapters.clickhouse import migrate as apply
    from adapters.terminal import say

    applied = apply(configuration.load())
    say(f"applied {', '.join(applied)}" if applied else "all migrations were applied before")


@app.command()
def worker(
    index: Annotated[int, typer.Option(min=0, help="Which worker this is; its metrics port follows.")] = 0,
) -> None:
    """Run a Faust worker: coordinator, fan-out, eligibility, lanes."""
    from agents.app import run_worker

    _leave_out_of_collections()
    run_worker(_settings(f"worker-{index}"), index)


@app.command()
def writer() -> None:
    """Run the writer, which writes statuses and other records to ClickHouse."""
    from agents.writer_app import run_writer

    _leave_out_of_collections()
    run_writer(_settings("writer"))


@app.command()
def api() -> None:
    """Run the REST API and the campaigns page."""
    from api.server import serve

    _leave_out_of_collections()
    serve(_settings("api"))


@app.command()
def ingress() -> None:
    """Run the ingress, which receives receipts, clicks and inbound texts."""
    from api.ingress import serve

    _leave_out_of_collections()
    serve(_settings("ingress"))


@app.command()
def aggregator(
    script: Annotated[
        Path | None, typer.Option(help="TOML file that sets latency, errors, receipts, replies.")
    ] = None,
) -> None:
    """Run the simulated aggregator; its record is in DATA/aggregator."""
    from cli.aggregator import aggregator as alone

    _leave_out_of_collections()
    _settings("aggregator")
    alone(script=script)


def _leave_out_of_collections() -> None:
    """Leave what lives now out of all garbage collections; call it when everything is imported.

    A full collection walks some 300,000 objects of imported modules, and held the event loop for 70 to 130 ms every
    few seconds: submissions stood still for that long, and a sending limit cannot be used up afterwards.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
