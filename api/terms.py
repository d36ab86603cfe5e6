"""What the settings say of a spec's account and sender."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.clock import now_ms
from adapters.settings import Settings
from pipeline.campaign.terms import Terms, terms_of
from pipeline.timing.quiet_hours import quiet_of
from schemas.campaign import CampaignSpec


def unconfigured(settings: Settings, spec: CampaignSpec) -> str:
    """Which of account and sender the settings do not have, and which they have; "" where they have both."""
    account = settings.accounts.get(spec.account)
    if account is None:
        return f"no account {spec.account!r} is configured; there is {_names(settings.accounts)} (see accounts)"
    if spec.sender not in account.senders:
        known = _names(account.senders)
        return f"account {spec.account!r} has no sender {spec.sender!r}; there is {known} (see accounts)"
    return ""


def terms_in(settings: Settings, spec: CampaignSpec) -> Terms:
    """The terms of the account's sender.

    Raises:
        KeyError: one is `unconfigured`.
    """
    account = settings.accounts[spec.account]
    quiet = quiet_of(settings.quiet_reading(spec.account), account.quiet_hours, now_ms())
    return terms_of(account, account.senders[spec.sender], settings.prices, settings.ingress.url, quiet)


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "none"
