"""The settings of a campaign's account and sender, as the review needs them."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.settings import Settings
from pipeline.insight.review import AccountFacts
from schemas.campaign import CampaignSpec


def account_facts(settings: Settings, spec: CampaignSpec) -> tuple[AccountFacts | None, str]:
    """The facts of an account, or (None, what is missing) if the account or sender is not configured."""
    account = settings.accounts.get(spec.account)
    if account is None:
        return (
            None,
            f"no account {spec.account!r} is configured; configured: {_names(settings.accounts)}",
        )
    sender = account.senders.get(spec.sender)
    if sender is None:
        known = _names(account.senders)
        return (
            None,
            f"account {spec.account!r} has no sender {spec.sender!r}; configured: {known}",
        )
    facts = AccountFacts(
        site_name=account.site_name,
        store_zone=account.store_zone,
        lateness_hours=account.lateness_hours,
        transactional_lateness_hours=account.transactional_lateness_hours,
        segments_per_second=min(sender.segments_per_second, account.segments_per_second),
    )
    return facts, ""


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "none"
