"""The step of alerts and the deliverer, with a log in memory, a real mail server and real webhooks: replayed, killed,
slow, handed to another worker."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from adapters.clock import now_ms
from adapters.kafka.alerts import AlertsView
from adapters.ports import Delivered
from adapters.settings import Settings
from agents.alerts import deliverer as deliverer_module
from agents.alerts.deliverer import Deliverer
from agents.alerts.step import AlertsStep
from pipeline.alerts import deliveries
from schemas import topics
from schemas.alerts import ALERT_DELIVERIES, ALERTS, Alert, AlertDocument, AlertKind, alert_id
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes
from schemas.lane import LANES, Control, Work
from schemas.wire import DecodeError, encode
from tests.account_step import StepInMemory, Table
from tests.adapters.alerts.mail_server import Mails
from tests.adapters.alerts.mail_server import serving as serving_mail
from tests.adapters.peer import Peer, always, answer, serving

PHONE, OTHER_PHONE = "+12125550123", "+12125550124"
START = now_ms() - 60_000


@dataclass
class World:
    """One partition of `alerts` with its changelog, the lanes and dead letters, which outlive every worker."""

    settings: Settings
    accounts: StepInMemory
    log: list[tuple[bytes, bytes]] = field(default_factory=list)
    lanes: list[Control | Work] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    table: Table = field(default_factory=Table)
    blocked: dict[int, str] = field(default_factory=dict)
    committed: int = 0

    def send(
        self, topic: str, value: bytes, *, key: bytes | None = None, partition: int | None = None
    ) -> asyncio.Future[Delivered]:
        if topic == topics.ALERTS.name:
            assert key is not None
            self.log.append((key, value))
        elif topic == topics.LANES.name:
            self.lanes.append(LANES.decode(value))  # type: ignore[arg-type]
        else:
            self.letters.append(DEAD_LETTERS.decode(value))  # type: ignore[arg-type]
        sent: asyncio.Future[Delivered] = asyncio.get_running_loop().create_future()
        sent.set_result(None)  # type: ignore[arg-type]
        return sent

    def tell(self, number: int, about: AlertKind = "campaign_suspended", account: str = "shop") -> Alert:
        item = Alert(
            id=alert_id(about, account, number), account=account, about=about, subject=f"c{number}",
            at=START + number, text=f"Campaign {number} is suspended",
        )  # fmt: skip
        self.log.append((account.encode(), encode(item)))
        return item

    def document(self, item: Alert) -> AlertDocument:
        return ALERT_DELIVERIES.decode(self.table[f"{item.account}/{item.id}".encode()])

    def states(self, item: Alert) -> list[str]:
        return [one.state for one in self.document(item).deliveries]

    @property
    def works(self) -> list[Work]:
        return [record for record in self.lanes if isinstance(record, Work)]


class Worker:
    """A worker with the step: reads the log from what was committed, and goes by what the table says."""

    def __init__(self, world: World) -> None:
        self.world = world
        context: Any = SimpleNamespace(
            settings=world.settings,
            accounts=world.accounts.book,
            producer=world,
            blocked=lambda account, numbers: [world.blocked.get(number, "") for number in numbers],
        )
        self.deliverer = Deliverer(context, lambda: list(world.table.items()), lambda: 1)
        table: Any = world.table
        self.step = AlertsStep(context, table, self.deliverer)
        self.read = world.committed

    async def handle(self, *, die_before_texts: bool = False) -> None:
        """The next record of the log."""
        _, value = self.world.log[self.read]
        event: Any = SimpleNamespace(message=SimpleNamespace(partition=0, offset=self.read, value=value))
        emissions = self.step.handle(ALERTS.decode(value), event)
        self.read += 1
        if die_before_texts:
            return
        for out in emissions.outputs:
            assert out.value is not None
            self.world.send(out.topic, out.value, key=out.key)
        for settled in emissions.settled:
            await settled()

    async def work(self, until: Callable[[], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not until() or self.read < len(self.world.log):
                while self.read < len(self.world.log):
                    await self.handle()
                await asyncio.sleep(0.01)
        self.world.committed = self.read


@contextlib.asynccontextmanager
async def working(world: World) -> AsyncIterator[Worker]:
    worker = Worker(world)
    running = asyncio.create_task(worker.deliverer.run())
    try:
        yield worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def world(alerts: dict[str, Any], mail_port: int = 9, **spec: Any) -> World:
    settings = Settings(smtp={"host": "127.0.0.1", "port": mail_port, "security": "none", "timeout": 5})  # type: ignore[arg-type]
    accounts = StepInMemory(settings)
    senders = {"main": {"number": "+18885550177"}}
    accounts.apply({"accounts": {"shop": {"site_name": "Shop", "alerts": alerts, "senders": senders, **spec}}})
    return World(settings, accounts)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliverer_module, "ROUND_SECONDS", 0.02)
    monkeypatch.setattr(deliveries, "PAUSES", (50,))


async def test_an_alert_arrives_by_mail_post_and_text_message_once() -> None:
    mails = Mails()
    async with serving(always(answer(200))) as peer:
        with serving_mail(mails) as port:
            hook = f"http://127.0.0.1:{peer.port}/hook"
            shop = world({"emails": ["ann@shop.example"], "webhooks": [hook], "numbers": [PHONE]}, port)
            item = shop.tell(1)
            async with working(shop) as worker:
                await worker.work(lambda: len(shop.log) == 3)
    assert shop.states(item) == ["sent"] * 3
    [mail] = mails.messages
    assert (mail["To"], mail["Subject"]) == ("ann@shop.example", "shop: a campaign is suspended")
    assert mail["Message-ID"] == f"<{item.id}@localhost>"
    [(headers, body)] = peer.requests
    assert headers["webhook-id"] == item.id
    assert [one["text"] for one in orjson.loads(body)["data"]["alerts"]] == [item.text]
    [work] = shop.works
    assert (work.numbers, work.fields["text"]) == ([int(PHONE[1:])], ["Shop: Campaign 1 is suspended"])
    assert shop.letters == []


async def test_a_worker_that_dies_again_and_again_sends_each_text_once_and_loses_no_mail_nor_post() -> None:
    chance, mails = random.Random(7), Mails()
    async with serving(always(answer(200))) as peer:
        with serving_mail(mails) as port:
            hook = f"http://127.0.0.1:{peer.port}/"
            shop = world({"emails": ["ann@shop.example"], "webhooks": [hook], "numbers": [PHONE, OTHER_PHONE]}, port)
            items = [shop.tell(number) for number in range(8)]
            for _ in range(12):
                async with working(shop) as worker:
                    # It reads again from somewhere before what it had done.
                    worker.read = max(0, shop.committed - chance.randrange(4))
                    for _ in range(chance.randrange(1, 5)):
                        if worker.read < len(shop.log):
                            await worker.handle(die_before_texts=chance.random() < 0.3)
                    shop.committed = max(0, worker.read - chance.randrange(1, 4))
                    await asyncio.sleep(chance.random() * 0.05)
            async with working(shop) as worker:
                worker.read = 0
                await worker.work(
                    lambda: all(
                        set(shop.states(item)) == {"sent"}
                        for item in items
                        if f"shop/{item.id}".encode() in shop.table
                    )
                )
    assert len(shop.table) == len(items)
    assert {message["Message-ID"] for message in mails.messages} == {f"<{item.id}@localhost>" for item in items}
    assert {headers["webhook-id"] for headers, _ in peer.requests} == {item.id for item in items}
    # The lane takes an ordinal once: what counts is how many different ones it was given.
    texts = {(work.campaign, work.message, work.ordinals[0]): work.numbers[0] for work in shop.works}
    assert Counter(texts.values()) == {int(PHONE[1:]): len(items), int(OTHER_PHONE[1:]): len(items)}


async def test_one_slow_destination_holds_up_nobody_else() -> None:
    async def stuck(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        await reader.read()

    async with serving(stuck) as slow, serving(always(answer(200))) as quick_peer:
        hooks = [f"http://127.0.0.1:{slow.port}/", f"http://127.0.0.1:{quick_peer.port}/"]
        shop = world({"webhooks": hooks, "numbers": [PHONE]})
        items = [shop.tell(number) for number in range(3)]
        async with working(shop) as worker:
            await worker.work(lambda: _all_states(shop, items)["sent"] == 6)
            assert [shop.document(item).deliveries[0].attempts for item in items] == [0] * 3, "still in its first"
    assert [shop.states(item) for item in items] == [["waiting", "sent", "sent"]] * 3


async def test_what_fails_is_tried_again_with_the_same_id_until_it_is_there() -> None:
    answers = iter([500, 302, 503])

    async def recovering(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.request(reader)
        writer.write(answer(next(answers, 200)))
        await writer.drain()

    mails = Mails(recipients=["450 later", "451 later"], data=[""])
    async with serving(recovering) as peer:
        with serving_mail(mails) as port:
            hook = f"http://127.0.0.1:{peer.port}/"
            shop = world({"emails": ["ann@shop.example"], "webhooks": [hook]}, port)
            item = shop.tell(1)
            async with working(shop) as worker:
                await worker.work(
                    lambda: f"shop/{item.id}".encode() in shop.table and shop.states(item) == ["sent", "sent"]
                )
    assert [headers["webhook-id"] for headers, _ in peer.requests] == [item.id] * 4
    assert len({body for _, body in peer.requests}) == 1
    assert {message["Message-ID"] for message in mails.messages} == {f"<{item.id}@localhost>"}
    assert [one.attempts for one in shop.document(item).deliveries] == [4, 4]


async def test_what_nobody_takes_ends_in_the_dead_letters_and_replayed_goes_where_it_failed() -> None:
    mails = Mails(recipients=["550 no such person"])
    async with serving(always(answer(200))) as peer:
        with serving_mail(mails) as port:
            hook = f"http://127.0.0.1:{peer.port}/"
            shop = world({"emails": ["ann@shop.example"], "webhooks": [hook]}, port)
            item = shop.tell(1)
            async with working(shop) as worker:
                await worker.work(lambda: len(shop.letters) == 1 and len(shop.log) == 3)
                assert shop.states(item) == ["failed", "sent"]
                [letter] = shop.letters
                assert (letter.origin, letter.reason) == ("alerts/0/0", "alert_undelivered")
                assert "1 of 2 destinations of account shop: email: the mail server says 550" in letter.error
                key, value = to_bytes(letter.key), to_bytes(letter.value)
                assert (key, value) == shop.log[0]
                assert key is not None
                assert value is not None
                shop.log.append((key, value))  # longwave dead-letters replay
                await worker.work(lambda: shop.states(item) == ["sent", "sent"])
    assert len(peer.requests) == 1
    assert len(mails.messages) == 1


async def test_a_destination_that_was_taken_away_and_one_that_is_opted_out() -> None:
    async with serving(always(answer(500))) as peer:
        shop = world({"webhooks": [f"http://127.0.0.1:{peer.port}/"], "numbers": [PHONE, OTHER_PHONE]})
        shop.blocked[int(PHONE[1:])] = "opted_out"
        item = shop.tell(1)
        async with working(shop) as worker:
            await worker.work(lambda: len(peer.requests) >= 2)
            shop.accounts.apply({"accounts": {"shop": {"alerts": {"webhooks": []}}}}, at=2)
            await worker.work(lambda: shop.states(item)[0] == "removed")
    assert shop.states(item) == ["removed", "failed", "sent"]
    assert "opted out" in shop.document(item).deliveries[1].problem
    assert [work.numbers for work in shop.works] == [[int(OTHER_PHONE[1:])]]
    assert shop.letters == [], "a person decided both"


def _all_states(shop: World, items: list[Alert]) -> Counter[str]:
    stored = [item for item in items if f"shop/{item.id}".encode() in shop.table]
    return Counter(state for item in stored for state in shop.states(item))


async def test_too_many_go_together_when_the_hour_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "HOUR", 1_000)
    mails = Mails()
    with serving_mail(mails) as port:
        shop = world({"emails": ["ann@shop.example"], "numbers": [PHONE]}, port)
        items = [shop.tell(number) for number in range(15)]
        async with working(shop) as worker:
            await worker.work(lambda: _all_states(shop, items) == {"sent": 30})
    assert len(mails.messages) == 11
    assert len({(work.campaign, work.ordinals[0]) for work in shop.works}) == 11
    last = mails.messages[-1]
    assert last["Subject"] == "shop: 5 alerts"
    assert all(item.text in last.get_content() for item in items[10:])  # type: ignore[attr-defined]
    assert "5 alerts, the newest: Campaign 14" in shop.works[-1].fields["text"][0]


async def test_nobody_to_tell_and_no_such_account() -> None:
    shop = world({})
    item, strange = shop.tell(1), shop.tell(2, account="nobody")
    async with working(shop) as worker:
        await worker.work(lambda: len(shop.table) == 2)
    assert shop.states(item) == shop.states(strange) == []


async def test_an_inactive_account_hears_by_mail_and_the_missing_text_is_a_dead_letter() -> None:
    mails = Mails()
    with serving_mail(mails) as port:
        shop = world({"emails": ["ann@shop.example"], "numbers": [PHONE]}, port, active=False)
        item = shop.tell(1)
        async with working(shop) as worker:
            await worker.work(lambda: _all_states(shop, [item]) == {"sent": 1, "failed": 1})
    assert len(mails.messages) == 1
    assert "inactive" in shop.letters[0].error


async def test_what_is_stored_and_cannot_be_read_keeps_nobody_from_hearing_what_is_new() -> None:
    shop = world({"numbers": [PHONE]})
    dict.__setitem__(shop.table, b"shop/broken", b"\xff not a record")
    item = shop.tell(1)
    async with working(shop) as worker:
        await worker.work(lambda: len(shop.works) == 1)
        assert shop.states(item) == ["sent"]


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}", b"[1]", b'{"kind":"alert"}', b"\xff", b'{"v":2,"kind":"alert-release"}', b'{"kind":"x"}'],
)
def test_garbage_is_not_read(garbage: bytes) -> None:
    with pytest.raises(DecodeError):
        ALERTS.decode(garbage)


@pytest.mark.parametrize(
    "change",
    [{"account": "../x"}, {"id": "short"}, {"text": ""}, {"text": "x" * 1001}, {"about": "else"}, {"at": -1}],
)
def test_an_alert_that_is_none_is_not_read(change: dict[str, Any]) -> None:
    item = Alert(id=alert_id("test", "shop"), account="shop", about="test", at=1, text="x")
    form = orjson.loads(encode(item))
    assert ALERTS.decode(orjson.dumps(form)) == item
    with pytest.raises(DecodeError):
        ALERTS.decode(orjson.dumps(form | change))


def test_the_view_has_an_accounts_alerts_newest_first_and_forgets_what_is_removed() -> None:
    view = AlertsView(Settings().kafka)
    for number in range(3):
        item = Alert(id=alert_id("test", "shop", number), account="shop", about="test", at=number, text="x")
        view.apply(f"shop/{item.id}".encode(), encode(AlertDocument(alert=item, place=number, deliveries=[])))
    assert [document.alert.at for document in view.of("shop")] == [2, 1, 0]
    view.apply(f"shop/{item.id}".encode(), None)
    assert [document.alert.at for document in view.of("shop")] == [1, 0]
    assert view.of("sho") == []
