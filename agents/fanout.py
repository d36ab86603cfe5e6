"""Fan-out: freezes an audience into ordinals, then expands ordinal ranges into recipient chunks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.retry_lists import RetryLists
from adapters.clock import now_ms
from adapters.errors import StoreUnavailable
from agents.context import Context
from agents.faust_port import Event
from agents.outbox import Outbox
from agents.runner import Emissions, output
from pipeline.audience.fanout import chunks
from pipeline.audience.typed_numbers import typed_numbers
from pipeline.campaign.plan import CampaignPlan
from pipeline.ledger.tariff import MostCost
from schemas import topics
from schemas.campaign import Frozen, Note, RetryListed
from schemas.chunk import DropRetryList, FanoutRange, FanoutRecord, Freeze, MakeRetryList
from schemas.ids import retry_list
from schemas.ledger import Billing, Bound, Tariff
from schemas.reasons import Reason, split, written
from schemas.selection import Selection

SILENT_SECONDS = 10.0
"""How long ClickHouse may take for one task before the campaign says that it waits."""


PAGE = 20_000
"""Recipients whose cost is counted at once."""


@dataclass(frozen=True, slots=True)
class _Cost:
    most: MostCost
    billing: Billing
    trial: int | None


class Fanout:
    """The step. Repeating a task repeats the same chunks: the frozen audience does not change."""

    def __init__(self, context: Context, store: AudienceStore, lists: RetryLists) -> None:
        self._context = context
        self._store = store
        self._lists = lists
        self._outbox: Outbox | None = None
        self._noted: set[str] = set()

    async def handle(self, record: FanoutRecord, event: Event) -> Emissions:
        match record:
            case MakeRetryList():
                return await self._make_list(record)
            case DropRetryList():
                return await self._drop_list(record)
            case _:
                return await self._send_out(record, event)

    async def _make_list(self, record: MakeRetryList) -> Emissions:
        selection = Selection(tuple(record.states), tuple(record.reasons), tuple(record.left_out))
        name = retry_list(record.of, record.campaign)
        recipients = await asyncio.to_thread(self._lists.make, name, record.of, selection)
        listed = RetryListed(campaign=record.campaign, recipients=recipients, at=now_ms())
        return Emissions([output(topics.COMMANDS, listed, record.campaign)], recipients=recipients)

    async def _drop_list(self, record: DropRetryList) -> Emissions:
        """A copy of the draft may go to the same list, which then stays."""
        name = retry_list(record.of, record.campaign)
        others = (other for other in self._context.campaigns.all() if other.id != record.campaign)
        if not any(name in other.spec.get("audience", {}).get("lists", ()) for other in others):
            await asyncio.to_thread(self._lists.drop, name)
        return Emissions()

    async def _send_out(self, record: Freeze | FanoutRange, event: Event) -> Emissions:
        plan = self._context.plan(record.campaign, record.revision)
        if plan is None or plan.canceled:
            return Emissions()
        silent = asyncio.get_running_loop().call_later(
            SILENT_SECONDS, self._wait, record.campaign, f"no answer for {SILENT_SECONDS:.0f} s"
        )
        try:
            done = await (self._freeze(record, plan) if isinstance(record, Freeze) else self._expand(record))
            if (traces := self._context.traces) is not None:
                done.traced = (
                    traces.froze(record, done.recipients, event)
                    if isinstance(record, Freeze)
                    else traces.expanded(record, event)
                )
        except StoreUnavailable as error:
            self._wait(record.campaign, str(error))
            raise
        finally:
            silent.cancel()
        self._waited(record.campaign)
        return done

    async def _freeze(self, record: Freeze, plan: CampaignPlan) -> Emissions:
        audience, cost = plan.spec.audience, self._cost(plan)
        recipients = await asyncio.to_thread(
            self._store.freeze,
            record.campaign,
            record.revision,
            audience.lists,
            typed_numbers(audience.numbers)[0],
            plan.fields,
        )
        bound = None if cost is None else await asyncio.to_thread(self._most, plan, cost, recipients)
        frozen = Frozen(
            campaign=record.campaign, revision=record.revision, recipients=recipients, bound=bound, at=now_ms()
        )
        return Emissions([output(topics.COMMANDS, frozen, record.campaign)], recipients=recipients)

    def _cost(self, plan: CampaignPlan) -> _Cost | None:
        """What the cost of a campaign follows from now; None where nobody has to know before it is sent."""
        account = self._context.accounts.account(plan.spec.account)
        if account is None or (account.spec.billing == "invoice" and account.spec.trial_segments is None):
            return None
        spec = account.spec
        most = MostCost(plan.prices, plan.max_segments, plan.due, plan.deadline)
        return _Cost(most, spec.billing, spec.trial_segments)

    def _most(self, plan: CampaignPlan, cost: _Cost, recipients: int) -> Bound:
        """The most that a frozen audience can cost. Blocks."""
        most = cost.most
        for first in range(0, recipients, PAGE):
            page = self._store.page(plan.campaign, plan.launch_revision, first, first + PAGE)
            for message in plan.messages:
                segments = message.renderer.segments(page.fields, len(page), plan.links)
                most.add(page.countries, page.country, page.fields, segments)
        return Bound(
            billing=cost.billing,
            amount=most.amount if cost.billing == "prepaid" else 0,
            segments=most.segments,
            trial=cost.trial,
            tariff=Tariff(max_segments=plan.max_segments, prices=most.tariff()),
        )

    async def _expand(self, record: FanoutRange) -> Emissions:
        page = await asyncio.to_thread(self._store.page, record.campaign, record.revision, record.first, record.last)
        partitions = self._context.settings.kafka.partitions
        outputs = [
            output(topics.RECIPIENTS, chunk, partition=partition)
            for partition, chunk in chunks(record, page, partitions)
        ]
        return Emissions(outputs, recipients=len(page))

    def _wait(self, campaign: str, reason: str) -> None:
        self._noted.add(campaign)
        self._note(campaign, written(Reason.WAITING_FOR_CLICKHOUSE, reason))

    def _waited(self, campaign: str) -> None:
        """ClickHouse did it: take back what was noted, here or by a worker that is gone."""
        document = self._context.campaigns.get(campaign)
        if campaign in self._noted or (
            document is not None and split(document.reason)[0] is Reason.WAITING_FOR_CLICKHOUSE
        ):
            self._noted.discard(campaign)
            self._note(campaign, "")

    def _note(self, campaign: str, reason: str) -> None:
        if self._outbox is None:
            self._outbox = Outbox(self._context.producer)
        note = Note(campaign=campaign, reason=reason, at=now_ms())
        self._outbox.send(output(topics.COMMANDS, note, campaign))
