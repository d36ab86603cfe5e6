"""The steps of the ledger and of the coordinator together: records lost, repeated and replayed between them."""

from __future__ import annotations

import random
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.settings import Settings
from agents.context import Context
from agents.coordinator import Coordinator
from agents.ledger import LedgerStep
from agents.runner import Output
from pipeline.ledger.sums import held
from schemas import topics
from schemas.accounts import ACCOUNTS
from schemas.alerts import ALERTS, Alert
from schemas.campaign import CAMPAIGNS, COMMANDS, CampaignDocument, Command, CommandsRecord, Frozen, Progress
from schemas.chunk import FANOUT, FanoutRange, Freeze
from schemas.ledger import LEDGER, LEDGER_COMMANDS, Bound, LedgerCommand, Spent, Tariff, TopUpCommand
from schemas.reasons import Reason, split
from schemas.wire import encode
from tests.account_step import StepInMemory, Table
from tests.pipeline.campaigns import spec

LATER = "2090-01-01T10:00:00"
ACCOUNT: dict[str, Any] = {
    "billing": "prepaid",
    "senders": {"main": {"number": "+18885550177"}},
}


class World:
    """Two steps over tables in memory; what they write to each other is read in the order in which it came."""

    def __init__(self, account: dict[str, Any] | None = None, chance: random.Random | None = None) -> None:
        settings = Settings()
        self.context = Context(settings, "test")
        step = StepInMemory(settings)
        step.apply({"accounts": {"shop": ACCOUNT | (account or {})}})
        for value in step.table.values():
            self.context.accounts.take(ACCOUNTS.decode(value))
        self.campaigns, self.facts = Table(), Table()
        self.log: list[bytes] = []
        self.costs: dict[str, int] = {}
        self.fanned_out: set[tuple[str, int]] = set()
        self.alerts: list[Alert] = []
        self._chance = chance
        self._waiting: deque[bytes] = deque()
        self._generation = 0
        self.start()

    def start(self) -> None:
        """A worker that knows only what is in the tables."""
        tables: Any = self.campaigns, self.facts
        self._generation += 1
        self._coordinator = Coordinator(self.context, tables[0])
        self._ledger = LedgerStep(self.context, tables[1])

    def send(self, record: CommandsRecord | LedgerCommand) -> None:
        self._waiting.append(encode(record))
        self.run()

    def run(self) -> None:
        while self._waiting:
            value = self._waiting.popleft()
            self.log.append(value)
            outputs = self._handled(value)
            if self._chance is not None and self._chance.random() < 0.3:
                # It died: what it wrote may have reached Kafka or not, and the record comes again.
                outputs = [item for item in outputs if self._chance.random() < 0.5]
                self.start()
                self._waiting.appendleft(value)
            for item in outputs:
                self._written(item)

    def _handled(self, value: bytes) -> list[Output]:
        event: Any = SimpleNamespace(app=SimpleNamespace(consumer_generation_id=self._generation))
        kind = b'"kind":"%s"'
        if any(kind % name in value for name in (b"top-up", b"reserve", b"spent", b"release")):
            return self._ledger.handle(LEDGER_COMMANDS.decode(value), event).outputs
        return self._coordinator.handle(COMMANDS.decode(value), event).outputs

    def _written(self, item: Output) -> None:
        assert item.value is not None
        if item.topic in (topics.COMMANDS.name, topics.LEDGER_COMMANDS.name):
            self._waiting.append(item.value)
        if item.topic == topics.ALERTS.name:
            self.alerts.append(ALERTS.decode(item.value))
        if item.topic != topics.FANOUT.name:
            return
        task = FANOUT.decode(item.value)
        if isinstance(task, Freeze):
            self._waiting.append(encode(self.frozen(task)))
        if isinstance(task, FanoutRange):
            self.fanned_out.add((task.campaign, task.revision))

    def frozen(self, task: Freeze) -> Frozen:
        """What the freeze says: each of the recipients costs 1."""
        tariff = Tariff(max_segments=6, prices=[(0, "*", "", 1)])
        account = self.context.accounts.account("shop")
        assert account is not None
        bound = Bound(
            billing=account.spec.billing,
            amount=self.costs.get(task.campaign, 100) if account.spec.billing == "prepaid" else 0,
            segments=100,
            trial=account.spec.trial_segments,
            tariff=tariff,
        )
        return Frozen(campaign=task.campaign, revision=task.revision, recipients=100, bound=bound, at=1)

    def launch(self, index: int, cost: int = 100, send_at: str | None = None) -> str:
        campaign = f"{index:08d}"
        self.costs[campaign] = cost
        form = spec(account="shop", **({} if send_at is None else {"send_at": send_at}))
        self.order(campaign, "create", spec=form)
        self.order(campaign, "launch")
        return campaign

    def order(self, campaign: str, action: Any, **more: Any) -> None:
        number = len(self.log)
        self.send(Command(id=f"{action}-{number}", campaign=campaign, action=action, at=1, by="test", **more))

    def top_up(self, amount: int, name: int = 1) -> None:
        self.send(TopUpCommand(id=f"{name:032x}", account="shop", amount=amount, at=1, by="test"))

    def spend(self, campaign: str, segments: int, rest: int | None) -> None:
        lines = [(1, segments, segments)]
        word = Spent(account="shop", campaign=campaign, billing="prepaid", lines=lines, rest=rest, at=1)
        self.send(word)

    def document(self, campaign: str) -> CampaignDocument:
        return CAMPAIGNS.decode(self.campaigns[campaign.encode()])

    def statuses(self) -> dict[str, str]:
        return {key.decode(): CAMPAIGNS.decode(value).status for key, value in self.campaigns.items()}

    @property
    def book(self) -> Any:
        from pipeline.ledger.book import AccountBook

        return AccountBook(LEDGER.decode(value) for value in self.facts.values())


@pytest.fixture(params=[None, *range(12)])
def chance(request: pytest.FixtureRequest) -> random.Random | None:
    """None: nothing goes wrong; else workers die by this chance."""
    return None if request.param is None else random.Random(request.param)


def test_only_what_is_reserved_is_fanned_out(chance: random.Random | None) -> None:
    world = World(chance=chance)
    world.top_up(250)
    campaigns = [world.launch(index) for index in range(1, 6)]
    assert [world.document(campaign).status for campaign in campaigns] == ["sending"] * 2 + ["draft"] * 3
    assert {campaign for campaign, _ in world.fanned_out} == set(campaigns[:2])
    assert (world.book.reserved, world.book.available) == (200, 50)
    refused = world.document(campaigns[2])
    assert refused.reason == "balance_short:0.00005"
    assert "short of 0.00005 credits" in refused.outcomes[-1].error
    assert (refused.recipients, refused.bound, refused.launch_revision) == (0, None, 0)


def test_a_draft_that_was_refused_can_be_launched_after_a_top_up(chance: random.Random | None) -> None:
    world = World(chance=chance)
    campaign = world.launch(1)
    assert world.document(campaign).status == "draft"
    world.top_up(100)
    world.order(campaign, "launch")
    assert world.document(campaign).status == "sending"
    assert world.document(campaign).outcomes[-1].error == ""


def scheduled(world: World, index: int, cost: int = 100) -> str:
    campaign = world.launch(index, cost, LATER)
    document = world.document(campaign)
    assert document.status == "scheduled"
    world.send(Progress(campaign=campaign, reached="due", at=document.begins))
    return campaign


def test_a_scheduled_campaign_waits_for_a_top_up_and_goes_on_by_itself(chance: random.Random | None) -> None:
    world = World(chance=chance)
    world.top_up(30)
    first, second = scheduled(world, 1), scheduled(world, 2, 60)
    document = world.document(first)
    assert (document.status, document.resume_to, document.reason) == (
        "suspended", "processing", "balance_short:0.00007",
    )  # fmt: skip
    assert not world.fanned_out
    world.top_up(70, 2)
    assert world.document(first).status == "sending"
    assert (world.document(second).status, world.document(second).reason) == ("suspended", "balance_short:0.00006")
    world.spend(first, 40, 0)
    assert world.document(second).status == "sending", "what the first did not need is enough"
    assert world.document(second).holds == []
    assert world.book.available == 0


def test_a_resume_cannot_do_without_money(chance: random.Random | None) -> None:
    world = World(chance=chance)
    campaign = scheduled(world, 1)
    world.order(campaign, "resume")
    assert world.document(campaign).status == "suspended"
    assert "top it up" in world.document(campaign).outcomes[-1].error
    world.order(campaign, "pause")
    world.order(campaign, "resume")
    assert world.document(campaign).status == "suspended"
    assert split(world.document(campaign).reason)[0] is Reason.BALANCE_SHORT
    world.order(campaign, "pause")
    world.top_up(100)
    document = world.document(campaign)
    assert (document.status, document.resume_to, document.is_funded) == ("paused", "sending", True)
    world.order(campaign, "resume")
    assert world.document(campaign).status == "sending"


def test_a_cancel_gives_the_place_in_the_queue_back(chance: random.Random | None) -> None:
    world = World(chance=chance)
    first, second = scheduled(world, 1, 500), scheduled(world, 2)
    world.order(first, "cancel")
    world.top_up(100)
    assert world.statuses() == {first: "canceled", second: "sending"}
    assert first not in {campaign for campaign, _ in world.fanned_out}
    assert world.book.reserved == 100


def test_what_is_reserved_for_a_launch_that_is_no_more_is_given_back() -> None:
    world = World()
    world.top_up(100)
    campaign = world.launch(1)
    value = next(value for value in world.log if b'"kind":"funding"' in value)
    # Deleted in between, as it were: the answer finds no campaign.
    world.campaigns.pop(campaign.encode())
    world._waiting.append(value)
    world.run()
    assert (world.book.reserved, world.book.available) == (0, 100)


def test_the_trial_limit_fails_a_campaign(chance: random.Random | None) -> None:
    world = World({"billing": "invoice", "trial_segments": 150}, chance)
    first, second = world.launch(1), world.launch(2)
    assert world.document(first).status == "sending"
    assert (world.document(second).status, world.document(second).reason) == ("failed", "trial_limit")


def test_people_are_told_of_a_low_balance_once_per_crossing(chance: random.Random | None) -> None:
    world = World({"low_balance": "0.0001"}, chance)
    world.top_up(150)
    campaign = world.launch(1)
    world.spend(campaign, 0, 0)  # nothing of it was sent: it is above again
    world.launch(2)
    told = {alert.id: alert.text for alert in world.alerts if alert.about == "balance_low"}
    assert len(told) == 2, "whatever came again came under the same id"
    assert all("0.00005 credits are available" in text for text in told.values())


def test_an_account_that_pays_by_invoice_waits_for_nobody() -> None:
    world = World({"billing": "invoice"})
    assert world.document(world.launch(1)).status == "sending"
    assert world.book.reserved == 0


def test_what_is_under_way_is_paid_as_it_was_launched() -> None:
    world = World()
    world.top_up(100)
    campaign = world.launch(1)
    world.context.accounts.take(_with_billing(world, "invoice"))
    world.spend(campaign, 60, 0)
    assert (world.book.balance, world.book.reserved) == (40, 0)
    other = world.launch(2, 1000)
    assert world.document(other).status == "sending", "by invoice now"
    bound = world.document(other).bound
    assert bound is not None
    assert bound.amount == 0


def _with_billing(world: World, billing: str) -> Any:
    import msgspec

    account = world.context.accounts.account("shop")
    assert account is not None
    document = account.document
    form = {**document.spec, "billing": billing}
    return msgspec.structs.replace(
        document, spec=form, revision=document.revision + 1, generation=document.generation + 1
    )


def test_a_replay_of_everything_changes_no_balance(chance: random.Random | None) -> None:
    world = World(chance=chance)
    world.top_up(250)
    for index in range(1, 5):
        world.launch(index)
    first = f"{1:08d}"
    world.spend(first, 30, None)
    world.spend(first, 55, 0)
    scheduled(world, 9, 900)
    before = (dict(world.facts), world.statuses(), world.book.available, world.book.reserved)
    ledger_only = [value for value in world.log if any(b'"kind":"%s"' % kind in value for kind in KINDS)]
    world.start()
    world._waiting.extend(ledger_only)
    world.run()
    after = (dict(world.facts), world.statuses(), world.book.available, world.book.reserved)
    assert after == before
    assert all(charge.state != "reserved" or held(charge) <= charge.asked for charge in world.book.charges.values())


KINDS = (b"top-up", b"reserve", b"spent", b"release")
