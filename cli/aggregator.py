"""`longwave aggregator`: the simulated aggregator alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.settings import Settings, load
from adapters.terminal import WrongUse
from loadtest.aggregator.phone import shared_secret
from loadtest.aggregator.script import Script, read_script
from loadtest.aggregator.server import Account, serve


def aggregator(
    host: Annotated[str | None, typer.Option(help="Address to listen on [aggregator.host].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [aggregator.port].", min=1, max=65535)] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for its record [DATA/aggregator].")] = None,
    script: Annotated[
        Path | None, typer.Option(help="TOML file that sets latency, errors, receipts, clicks …")
    ] = None,
    ingress: Annotated[str | None, typer.Option(help="URL that receives the callbacks [ingress].")] = None,
    account: Annotated[str, typer.Option(help="Aggregator of the settings whose secret it shares.")] = "local",
) -> None:
    """Run a simulated aggregator. It answers as its script says and records every submission on disk."""
    settings = load()
    serve(
        host or settings.aggregator.host,
        port or settings.aggregator.port,
        data or settings.data / "aggregator",
        read_script(script) if script is not None else Script(),
        _account(settings, account, ingress),
    )


def _account(settings: Settings, name: str, ingress: str | None) -> Account:
    if name not in settings.aggregators:
        names = ", ".join(sorted(settings.aggregators))
        raise WrongUse(f"--account {name}: the settings have no [aggregators.{name}]; configured: {names}")
    return Account(shared_secret(settings, name), name, ingress or settings.ingress.url, settings.ingress.ca)
