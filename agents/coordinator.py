"""The coordinator: commands in; each campaign's document, controls for its lanes and fan-out tasks out."""

from __future__ import annotations

from adapters.clock import now_ms
from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output
from agents.story import log_change
from pipeline.accounts.domains import domain_terms
from pipeline.accounts.lane_terms import lane_terms
from pipeline.audience.fanout import ranges
from pipeline.campaign.fitness import unfit_sender
from pipeline.campaign.plan import Terms
from pipeline.campaign.statuses import apply
from pipeline.campaign.transitions import (
    AskReserve,
    Effect,
    EmitStatuses,
    GiveBack,
    RaiseAlert,
    ReleaseReservations,
    StartFanout,
    StartFreeze,
    TendRetryList,
    Unfit,
    Withdraw,
    WriteControl,
    WriteFinish,
)
from pipeline.limits.reservations import routed
from pipeline.sending.unknown.policy import unsupported
from schemas import topics
from schemas.campaign import CAMPAIGNS, CampaignDocument, CampaignSpec, CommandsRecord
from schemas.lane import AccountTerms, Control, DomainTerms, Finish, SenderTerms
from schemas.wire import encode

LaneTerms = tuple[int, AccountTerms | SenderTerms | DomainTerms]
"""A lane, and what it must know."""


class Coordinator:
    """The step. Its table's changelog is the topic `campaigns` itself."""

    def __init__(self, context: Context, table: AckedTable) -> None:
        self._context = context
        self._table = table

    def handle(self, record: CommandsRecord, event: Event) -> Emissions:
        key = record.campaign.encode()
        stored = self._table.get(key)
        document = None if stored is None else CAMPAIGNS.decode(stored)
        transition = apply(document, record, now_ms(), self._terms)
        log_change(document, record, transition)
        if transition.delete:
            self._table.pop(key)
        elif transition.changed and transition.document is not None:
            self._table[key] = encode(transition.document)
        outputs: list[Output] = []
        for effect in transition.effects:
            outputs += self._outputs(effect, transition.document)
        emissions = Emissions(outputs, [lambda: self._table.settled([key])])
        if self._context.traces is not None:
            emissions.traced = self._context.traces.command(record.campaign, transition.effects, event)
        return emissions

    def _terms(self, spec: CampaignSpec) -> Terms | Unfit | str:
        accounts = self._context.accounts
        problem = unfit_sender(accounts, spec)
        if problem is not None:
            return problem
        terms = self._context.terms(spec)
        for name in spec.senders:
            sender = accounts.senders(spec.account)[name]
            aggregator = self._context.settings.aggregators.get(sender.aggregator)
            if aggregator is None:
                return f"aggregator {sender.aggregator!r} of {spec.account}/{name} is not configured on this worker"
            if wrong := unsupported(spec.unknown, sender.aggregator, aggregator.capabilities):
                return wrong
        return terms

    def _outputs(self, effect: Effect, document: CampaignDocument | None) -> list[Output]:
        match effect:
            case WriteControl():
                assert document is not None, "who is told of it has one"
                return self._control(effect, document)
            case WriteFinish():
                finish = Finish(campaign=effect.campaign, at=effect.at)
                return [output(topics.LANES, finish, partition=lane) for lane in effect.lanes]
            case StartFreeze(freeze):
                return [output(topics.FANOUT, freeze, freeze.campaign)]
            case TendRetryList(task):
                return [output(topics.FANOUT, task, task.campaign)]
            case StartFanout():
                size = self._context.settings.worker.fanout_range
                return [
                    output(topics.FANOUT, task, f"{task.campaign}/{task.first}")
                    for message in range(effect.messages)
                    for task in ranges(effect.campaign, effect.revision, message, effect.recipients, size)
                ]
            case AskReserve(reserve):
                return [output(topics.LEDGER_COMMANDS, reserve, reserve.account)]
            case GiveBack(release):
                return [output(topics.LEDGER_COMMANDS, release, release.account)]
            case Withdraw(withdrawn):
                return [output(topics.STATUSES, status_chunk, status_chunk.campaign) for status_chunk in withdrawn]
            case RaiseAlert(alert):
                return [output(topics.ALERTS, alert, alert.account)]
            case EmitStatuses(chunks):
                return [output(topics.STATUSES, chunk, chunk.campaign) for chunk in chunks]
            case ReleaseReservations(releases):
                partitions = self._context.settings.kafka.partitions
                return [
                    output(topics.RECIPIENTS, part, partition=partition)
                    for release in releases
                    for partition, part in routed(release, partitions)
                ]

    def _control(self, effect: WriteControl, document: CampaignDocument) -> list[Output]:
        settings = self._context.plan_of(document).lane_settings()
        control = Control(
            campaign=effect.campaign,
            revision=effect.revision,
            state=effect.state,
            settings=settings,
            at=effect.at,
        )
        controls = [output(topics.LANES, control, partition=lane) for lane in effect.lanes]
        return [*self._lane_terms(effect, document), *controls] if effect.state == "running" else controls

    def _lane_terms(self, effect: WriteControl, document: CampaignDocument) -> list[Output]:
        """What the lanes must know of the campaign's account and senders before they run it."""
        name, lanes = document.account, self._context.settings.kafka.lanes
        account = self._context.accounts.account(name)
        known = self._context.accounts.senders(name)
        senders = [known[of.sender] for of in document.senders if of.sender in known]
        if account is None:
            return []
        terms: list[LaneTerms] = [*lane_terms(account.document, senders, lanes, effect.at)]
        domains = self._context.accounts.domains(name)
        if domains is not None:
            terms += domain_terms(domains, account.document, effect.at)
        return [output(topics.LANES, record, partition=lane) for lane, record in terms if lane in effect.lanes]
