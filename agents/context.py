"""What the agents of one process share: settings, the producer, and the views of compacted topics."""

from __future__ import annotations

import asyncio
import logging

from adapters.clock import now_ms
from adapters.errors import EmitBroken
from adapters.kafka.accounts import AccountsView
from adapters.kafka.producer import Producer
from adapters.kafka.views import CampaignView, View
from adapters.settings import Settings
from agents.runner import Transient
from agents.traces import Traces
from pipeline.accounts.book import Accounts, quiet_hours
from pipeline.campaign.plan import CampaignPlan, Terms, compile_plan
from pipeline.campaign.terms import Installation, terms_of
from pipeline.eligibility.optouts import OptOuts
from pipeline.eligibility.unreachable import UnreachableNumbers
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.zones import read_rules
from schemas import metrics, topics
from schemas.campaign import CampaignDocument, CampaignSpec

log = logging.getLogger(__name__)

ACCOUNTS_SECONDS = 0.2
"""Between two looks at what follows from the accounts."""
CONSENT_AGE_MS = 750
"""Nothing is submitted on older knowledge of opt-outs: a STOP holds within a second of its acknowledgement."""

CONSENTS_LOST_MS = 5_000
"""Knowledge of opt-outs that is older is a problem of this process."""


class Context:
    """Made before the Faust app, started with its event loop."""

    def __init__(self, settings: Settings, worker: str, *, submits: bool = True) -> None:
        """`submits`: this process submits messages, so that it must know whether its opt-outs are current."""
        self.settings = settings
        self.worker = worker
        self.campaigns = CampaignView(settings.kafka)
        self.accounts = Accounts()
        self._accounts_view = AccountsView(settings.kafka, self.accounts.take)
        self.optouts = OptOuts()
        self._optouts_view = View(settings.kafka, topics.OPTOUTS.name, self._opt_out, aging=submits)
        self.unreachable = UnreachableNumbers()
        self._unreachable_view = View(settings.kafka, topics.UNREACHABLE.name, self._cannot_be_reached)
        self._installation = Installation(settings.kafka.lanes, settings.ingress.url)
        self._quiet: dict[str, tuple[int, QuietHours]] = {}
        self._plans: dict[str, tuple[tuple[int, int], CampaignPlan]] = {}
        self.traces: Traces | None = None
        """Makes the spans of sampled chunks; None while tracing is off."""
        self._producer: Producer | None = None
        self._broken: asyncio.Future[None] | None = None

    @property
    def producer(self) -> Producer:
        assert self._producer is not None, "the context is not started"
        return self._producer

    async def start(self) -> None:
        """Connect, and read the past of the views: no step may run on half of the opt-outs. What the rules of time
        read once is read now: the first chunk would stop the event loop for a second."""
        read_rules(now_ms())
        self.traces = self._traces()
        self._producer = Producer(self.settings.kafka, self._end)
        await self.campaigns.start()
        await self._accounts_view.start()
        await self._optouts_view.start()
        await self._unreachable_view.start()
        await self.campaigns.ready()
        await self._accounts_view.ready()
        await self._optouts_view.ready.wait()
        await self._unreachable_view.ready.wait()

    def _traces(self) -> Traces | None:
        for outcome in ("exported", "dropped"):
            metrics.TRACE_SPANS.labels(outcome)
        tracing = self.settings.tracing
        if not tracing.is_on:
            return None
        from adapters.tracing import OtlpSpans  # a quarter of a second, and nobody else needs OpenTelemetry's SDK

        spans = OtlpSpans(tracing.url, self.worker)
        log.info("tracing %g of all chunks to %s", tracing.sample_rate, tracing.url)
        return Traces(spans, tracing.sample_rate, self.campaigns.get, self.settings.kafka.partitions)

    async def until_broken(self) -> None:
        """Wait until this process fails.

        Raises:
            Exception: the error given to `fail`.
        """
        await asyncio.shield(self._breaking())

    def fail(self, error: Exception) -> None:
        """End this process: something that nobody awaits has failed for good."""
        if not self._breaking().done():
            self._breaking().set_exception(error)

    def _breaking(self) -> asyncio.Future[None]:
        if self._broken is None:
            self._broken = asyncio.get_running_loop().create_future()
        return self._broken

    def _end(self, error: EmitBroken) -> None:
        log.critical("%s", error)
        self.fail(error)

    async def stop(self) -> None:
        await self.campaigns.stop()
        await self._accounts_view.stop()
        await self._optouts_view.stop()
        await self._unreachable_view.stop()
        if self._producer is not None:
            await self._producer.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)

    def terms(self, spec: CampaignSpec) -> Terms:
        """What holds for a campaign by its account and sender.

        Raises:
            Transient: they are not known here (anymore).
        """
        account = self.accounts.account(spec.account)
        known = self.accounts.senders(spec.account)
        missing = [sender for sender in spec.senders if sender not in known]
        if account is None or missing:
            raise Transient(f"there is no sender {spec.account}/{(missing or spec.senders)[0]}")
        senders = [known[sender] for sender in spec.senders]
        prices = self.accounts.prices_of(spec.account)
        return terms_of(account, senders, prices, self._installation, self.quiet(spec.account))

    async def accounts_changed(self, version: int) -> None:
        """Wait until the book has another version, a moment at least: a file of many accounts is many of them."""
        await asyncio.sleep(ACCOUNTS_SECONDS)
        while self.accounts.version == version:
            await self._accounts_view.changed(timeout=1.0)

    def quiet(self, account: str) -> QuietHours:
        """The quiet hours of an account that there is; one for all who ask, since it remembers."""
        known, generation = self._quiet.get(account), self.accounts.generation(account)
        if known is None or known[0] != generation:
            hours = quiet_hours(self.accounts, account, self.settings.simulated(), now_ms())
            known = self._quiet[account] = generation, hours
        return known[1]

    def plan(self, campaign: str, launch_revision: int) -> CampaignPlan | None:
        """The plan of a campaign's newest document; None if there is no such campaign or launch anymore.

        Raises:
            Transient: the view has not read the document of that launch yet.
        """
        document = self.campaigns.get(campaign)
        if document is None or document.revision < launch_revision:
            raise Transient(f"campaign {campaign} (revision {launch_revision}) has not been read yet")
        if document.launch_revision != launch_revision:
            return None
        return self.plan_of(document)

    def plan_of(self, document: CampaignDocument) -> CampaignPlan:
        """The compiled plan of a document, kept until it or its account changes."""
        known, stamp = self._plans.get(document.id), (document.revision, self.accounts.stamp(document.account))
        if known is None or known[0] != stamp:
            known = self._plans[document.id] = stamp, compile_plan(document, self.terms(document.parsed()))
        return known[1]

    @property
    def knows_consents(self) -> bool:
        """Whether every opt-out is known here that was acknowledged until a moment ago: not so just after the process
        stood still, or while Kafka does not answer it."""
        return self._optouts_view.is_current(CONSENT_AGE_MS)

    def consents_problem(self) -> str:
        """Why nothing can be submitted for want of knowledge of opt-outs, "" if it can; may be called in any
        thread. A moment without it is usual."""
        if self._optouts_view.is_current(CONSENTS_LOST_MS):
            return ""
        return "opt-outs are not known up to this moment: nothing is submitted"

    async def consents(self, seconds: float) -> None:
        """Wait until more is known of opt-outs, at most so long."""
        await self._optouts_view.changed(seconds)

    def blocked(self, account: str, numbers: list[int]) -> list[str]:
        """Why `account` may not write to each of the numbers now, "" where it may."""
        return self.optouts.blocked_many(account, numbers)

    def _opt_out(self, key: bytes, value: bytes | None) -> None:
        wrong = self.optouts.take(key, value)
        if wrong:
            log.error("%s", wrong)

    def _cannot_be_reached(self, key: bytes, value: bytes | None) -> None:
        wrong = self.unreachable.take(key, value)
        if wrong:
            log.error("%s", wrong)
