"""Whether a campaign's account and sender are there, and may send."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.accounts.book import Accounts
from pipeline.campaign.transitions import Unfit
from schemas.accounts import sender_key
from schemas.campaign import CampaignSpec
from schemas.reasons import Reason, written


def unfit_sender(accounts: Accounts, spec: CampaignSpec) -> Unfit | None:
    """Why nothing can be sent for a spec's account and sender now; None if it can."""
    account = accounts.account(spec.account)
    inactive = written(Reason.ACCOUNT_INACTIVE, spec.account)
    if account is None:
        known = _names(accounts.names())
        return Unfit(inactive, f"there is no account {spec.account!r}; there is {known} (`longwave accounts list`)")
    for sender in spec.senders:
        if accounts.sender(spec.account, sender) is None:
            known = _names(accounts.senders(spec.account))
            return Unfit(
                written(Reason.SENDER_REMOVED, sender_key(spec.account, sender)),
                f"account {spec.account!r} has no sender {sender!r}; there is {known} (`longwave senders list`)",
            )
    return None if account.is_active else Unfit(inactive)


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "none"
