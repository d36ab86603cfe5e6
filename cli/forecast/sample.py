"""A forecast for sample recipients, the same as those of `longwave simulate`; no other campaigns, no stack."""

from __future__ import annotations

from pathlib import Path

from adapters.clock import now_ms
from adapters.settings import load
from adapters.terminal import UserError
from api.forecast.forecasting import draft_plan, forecast_json, forecast_of
from api.terms import Installed, terms_in, unconfigured
from cli.accounts.book import book_of_file
from cli.campaign.launch_time import given
from cli.campaign.spec_file import read_campaign
from pipeline.campaign.plan import PlanError
from schemas.json import JsonObject
from simulation.audience import sample
from simulation.facts import rehearsed


def forecast_sample(file: Path, recipients: int, seed: int, start: str | None, accounts: Path | None) -> JsonObject:
    """The forecast of a campaign file launched at `start` (in the store's zone; None: now), with the accounts of a
    file (None: the sample account).

    Raises:
        UserError: the file cannot be read or is not a campaign, or its account or sender is not there.
        WrongUse: `start` is not a time.
    """
    settings, spec = load(), read_campaign(file)
    installed = Installed(settings, book_of_file(accounts, settings))
    missing = unconfigured(installed.accounts, spec)
    if missing:
        raise UserError(f"{file}: {missing}")
    store_zone = terms_in(installed, spec).store_zone
    now = now_ms() if start is None else given(start, store_zone)
    try:
        plan = draft_plan(installed, spec, now)
        audience = sample(recipients, seed, plan.fields)
        acted = rehearsed(audience, plan, now)
        forecast = forecast_of(installed, spec, acted.crowds.values(), now)
    except PlanError as error:
        raise UserError(f"{file}: {error}") from error
    return forecast_json(spec.name, audience.source, forecast, acted.skipped)
