"""Whether a campaign's account and sender are there, may send, and have domains for its links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.accounts.book import Account, Accounts
from pipeline.accounts.domains import domain_reason, names_of, required_kinds
from pipeline.campaign.terms import wording_of
from pipeline.campaign.transitions import Unfit
from pipeline.content.outgoing import domain_kinds
from pipeline.content.template import TemplateError
from pipeline.content.texts import effective_text
from schemas.accounts import sender_key
from schemas.campaign import DraftSpec
from schemas.reasons import Reason, written


def unfit_sender(accounts: Accounts, spec: DraftSpec) -> Unfit | None:
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
    return _unfit_domains(account, spec) if account.is_active else Unfit(inactive)


def _unfit_domains(account: Account, spec: DraftSpec) -> Unfit | None:
    """Why no link can be made: the account must use domains of its own, and has none that is active."""
    try:
        kinds = {kind for text in _texts(account, spec) for kind in domain_kinds(text)}
    except TemplateError:
        return None  # refused for that
    for kind in required_kinds(account.spec):
        if kind in kinds and not names_of(account.spec, kind):
            return Unfit(domain_reason(Reason.NO_DOMAIN, kind, account.name))
    return None


def _texts(account: Account, spec: DraftSpec) -> Iterator[str]:
    for message in spec.messages:
        yield effective_text(message.text, wording_of(account.spec), spec.opt_out_language)


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "none"
