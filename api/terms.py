"""What holds for a spec by its account and sender."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.clock import now_ms
from adapters.settings import Settings
from pipeline.accounts.book import Accounts, quiet_hours
from pipeline.accounts.domains import pools_of
from pipeline.campaign.completeness import Missing, missing_parts, missing_senders
from pipeline.campaign.fitness import unfit_sender
from pipeline.campaign.terms import Installation, Terms, terms_of
from schemas.campaign import DraftSpec
from schemas.reasons import in_words


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation has: its settings and its accounts."""

    settings: Settings
    accounts: Accounts


def unconfigured(accounts: Accounts, spec: DraftSpec) -> str:
    """Which of account and sender there is not, or that the account is inactive; "" where both may send."""
    problem = unfit_sender(accounts, spec)
    return "" if problem is None else problem.refusal or in_words(problem.reason)


def missing_of(accounts: Accounts, draft: DraftSpec) -> tuple[Missing, ...]:
    """All that stands between a draft and its review: what it lacks itself, and the account and senders it names."""
    return (*missing_parts(draft), *missing_senders(accounts, draft))


def terms_in(installed: Installed, spec: DraftSpec) -> Terms:
    """The terms of the account's senders.

    Raises:
        KeyError: there is no such account or sender.
    """
    settings, accounts = installed.settings, installed.accounts
    account = accounts.account(spec.account)
    if account is None:
        raise KeyError(spec.account)
    senders = [accounts.senders(spec.account)[sender] for sender in spec.senders]
    quiet = quiet_hours(accounts, spec.account, settings.simulated(), now_ms())
    installation = Installation(settings.kafka.lanes, settings.ingress.url)
    terms = terms_of(account, senders, accounts.prices_of(spec.account), installation, quiet)
    return replace(terms, pools=pools_of(account.spec, accounts.domains(spec.account)))
