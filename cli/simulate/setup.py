"""What a simulation runs: terms, limits and audience of a campaign, from accounts and settings as in production."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from aiokafka.errors import KafkaError

from adapters.clickhouse import Store
from adapters.clickhouse.audience import preview
from adapters.clickhouse.consents import blocked_of
from adapters.clickhouse.review import unknown_lists
from adapters.errors import StoreUnavailable
from adapters.settings import Settings
from agents.context import Context
from agents.runner import Transient
from api.eligibility_state import EligibilityState
from api.terms import Installed
from api.web.refusal import ApiError
from pipeline.accounts.lane_terms import lane_terms
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.plan import CampaignPlan, Terms, compile_plan
from schemas.campaign import CampaignDocument, CampaignSpec
from schemas.lane import AccountTerms, SenderTerms
from schemas.reasons import Reason
from simulation.audience import Audience, sample
from simulation.run import REVISION, Before, Launch

SAMPLE_SIZE = 100_000


class SetupError(ValueError):
    """A simulation cannot be set up; the text is for the user."""


def launches_of(
    installed: Installed, specs: Sequence[CampaignSpec], recipients: int | None, seed: int
) -> list[Launch]:
    """One launch per spec; the first is the simulated campaign. `recipients`: number of sample recipients; None: the
    contacts of its lists and its typed numbers in ClickHouse, or sample recipients if ClickHouse does not answer.

    Raises:
        SetupError: an account, sender or list does not exist, or the list is empty.
        pipeline.campaign.plan.PlanError: a campaign cannot be sent as it is written.
    """
    context = Context(installed.settings, "simulation")
    context.accounts = installed.accounts
    return [_launch(context, f"{index + 1:08d}", spec, recipients, seed) for index, spec in enumerate(specs)]


def _launch(context: Context, name: str, spec: CampaignSpec, recipients: int | None, seed: int) -> Launch:
    terms = terms_of(context, spec)
    fields = _draft(name, spec, terms).fields
    sender = context.accounts.sender(spec.account, spec.sender)
    assert sender is not None, "it has terms"
    return Launch(
        id=name,
        spec=spec,
        audience=audience_of(context.settings, spec, fields, recipients, seed),
        terms=terms,
        lane_terms=lane_terms_of(Installed(context.settings, context.accounts), spec),
        batch=context.settings.aggregators[sender.aggregator].capabilities.batch,
        in_flight=context.settings.worker.in_flight,
        breaker_failures=context.settings.worker.breaker_failures,
    )


def terms_of(context: Context, spec: CampaignSpec) -> Terms:
    """What holds for a spec by its account and sender.

    Raises:
        SetupError: they are not there.
    """
    try:
        return context.terms(spec)
    except Transient as error:
        known = ", ".join(f"{sender.account}/{sender.sender}" for sender in context.accounts.all_senders())
        raise SetupError(f"there is no sender {spec.account}/{spec.sender}; there is {known} (--accounts)") from error


def lane_terms_of(installed: Installed, spec: CampaignSpec) -> list[tuple[int, AccountTerms | SenderTerms]]:
    """What the lanes' logs say of a spec's account and its senders."""
    accounts, lanes = installed.accounts, installed.settings.kafka.lanes
    account = accounts.account(spec.account)
    assert account is not None, "it has terms"
    return lane_terms(account.document, accounts.senders(spec.account).values(), lanes, 0)


def before_of(settings: Settings) -> Before | None:
    """Reservations and unreachable numbers as the workers have them; None if Kafka does not answer."""
    try:
        return asyncio.run(_before(EligibilityState(settings)))
    except (KafkaError, OSError, ApiError):
        return None


async def _before(eligibility: EligibilityState) -> Before:
    await eligibility.start()
    try:
        await eligibility.ready()
        return Before(dict(await eligibility.reservations()), eligibility.unreachable)
    finally:
        await eligibility.stop()


def audience_of(
    settings: Settings, spec: CampaignSpec, fields: Sequence[str], recipients: int | None, seed: int
) -> Audience:
    """Sample recipients, or the contacts of the campaign (see `launches_of`)."""
    if recipients is not None:
        return sample(recipients, seed, fields)
    store = Store(settings.clickhouse, timeout=30.0)
    try:
        return _contacts(store, spec, fields)
    except StoreUnavailable:
        contacts = sample(SAMPLE_SIZE, seed, fields)
        return Audience(contacts.page, contacts.opted_out, f"{contacts.source}, because ClickHouse does not answer")
    finally:
        store.close()


def _contacts(store: Store, spec: CampaignSpec, fields: Sequence[str]) -> Audience:
    missing = unknown_lists(store, spec.audience.lists)
    if missing:
        raise SetupError(
            f"audience.lists: no list {missing[0]!r}; import contacts into it, or use --recipients N for a sample"
        )
    page = preview(store, spec.audience.lists, typed_numbers(spec.audience.numbers)[0], fields)
    if not len(page):
        raise SetupError("audience: no recipients; import contacts, or use --recipients N for sample recipients")
    blocked = blocked_of(store, spec.account, np.asarray(page.numbers).tolist())
    out, held = (
        np.array([n for n, blocked_for in blocked.items() if blocked_for == reason], np.uint64)
        for reason in (Reason.OPTED_OUT, Reason.HELD_FOR_REVIEW)
    )
    source = f"{len(page):,} contacts of {', '.join(spec.audience.lists) or 'the typed numbers'}"
    return Audience(page, out, source, held)


def _draft(name: str, spec: CampaignSpec, terms: Terms) -> CampaignPlan:
    draft = CampaignDocument(
        id=name, spec=spec.model_dump(mode="json"), status="draft", revision=REVISION, created=0, updated=0
    )
    return compile_plan(draft, terms)
