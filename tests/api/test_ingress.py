"""The ingress on a real socket and a real Kafka: what is answered 2xx is in the topics, what is not is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from confluent_kafka import Consumer, TopicPartition

from adapters import clock, http
from adapters.aggregators import signing
from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import HttpBatchSettings
from adapters.doors.server import listening_socket
from adapters.doors.settings import Listen
from adapters.errors import LongwaveError
from adapters.kafka import topics
from adapters.kafka.producer import Producer
from adapters.ports import Submission
from adapters.settings import Kafka
from api.ingress.http import BODY_LIMIT
from devstack import ready
from loadtest.aggregator.submissions import Submissions
from pipeline.identity.optout_links import optout_tokens
from pipeline.identity.tokens import click_tokens, new_campaign_id
from schemas import feedback
from schemas.campaign import CampaignDocument
from schemas.deadletter import DEAD_LETTERS, DeadLetter, to_bytes
from schemas.wire import encode
from tests.accounts import write_accounts
from tests.stack import PATIENCE, Server, environment, free_ports, running

SECRET = "a-secret-of-the-test"
TOKEN_KEY = "a-token-key-of-the-test"
URLS = {"default": "https://shop.example/sale?a=1", "about": "https://shop.example/über uns"}


def click_token(key: bytes, campaign: str, message: int, ordinal: int, link: int) -> str:
    return click_tokens(key, campaign, message, link, [ordinal])[0]


class Ingress:
    """A running ingress process."""

    def __init__(self, url: str, child: subprocess.Popen[bytes], kafka: Kafka, metrics: str) -> None:
        self.url = url
        self.metrics = metrics
        self.child = child
        self.kafka = kafka

    async def post(
        self, path: str, content: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """POST, signed unless `headers` are given; content is bytes or what becomes JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        signed = signing.signed(SECRET.encode(), clock.now_ms(), body) if headers is None else headers
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, data=body, headers=signed) as got,
        ):
            return got.status, {"retry": got.headers.get("Retry-After", ""), **await got.json()}

    async def visit(self, token: str, method: str = "GET", agent: str = "Phone") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession(headers={"User-Agent": agent}) as session,
            session.request(method, f"{self.url}/c/{token}", allow_redirects=False) as got,
        ):
            return got.status, got.headers.get("Location", "")

    async def page(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as got:
            return got.status, await got.text()

    def ends(self, topic: str) -> dict[int, int]:
        consumer = self._consumer()
        actual = {}
        for partition in range(1 if topic == "dead-letters" else self.kafka.partitions):
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            actual[partition] = high
        consumer.close()
        return actual

    def since(self, topic: str, start: dict[int, int]) -> list[tuple[Any, Any]]:
        """Everything acknowledged in `topic` after `start`: (key, value)."""
        consumer, ends = self._consumer(), self.ends(topic)
        consumer.assign([TopicPartition(topic, p, offset) for p, offset in start.items()])
        wanted = sum(ends.values()) - sum(start.values())
        records: list[tuple[Any, Any]] = []
        while len(records) < wanted:
            got = consumer.poll(10)
            assert got is not None
            assert got.error() is None
            records.append((got.key(), got.value()))
        consumer.close()
        return records

    def _consumer(self) -> Consumer:
        return Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False}
        )


@contextlib.contextmanager
def ingress_on(kafka: Kafka, data: Path, **more: str) -> Iterator[Ingress]:
    port = free_ports(1)[0]
    variables = environment(data, kafka_bootstrap=kafka.bootstrap, ingress_port=port, partitions=kafka.partitions)
    variables |= {"LONGWAVE_AGGREGATORS__LOCAL__SECRET": SECRET, "LONGWAVE_TOKEN_KEY": TOKEN_KEY, **more}
    with running(["run", "ingress"], variables, data) as child:
        url = f"http://127.0.0.1:{port}"
        ready.wait_for(
            "ingress", lambda: http.answers(f"{url}/healthz"), lambda: child.poll() is None, timeout=PATIENCE
        )
        yield Ingress(url, child, kafka, f"http://127.0.0.1:{int(variables['LONGWAVE_METRICS_PORT']) - 3}/metrics")


@pytest.fixture(scope="module")
def brokers(kafka: Server) -> Kafka:
    settings = Kafka(bootstrap=kafka.address, partitions=4, lanes=4)
    topics.ensure(settings)
    write_accounts(kafka.address, lanes=settings.lanes)
    return settings


@pytest.fixture(scope="module")
def ingress(brokers: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    with ingress_on(brokers, tmp_path_factory.mktemp("ingress")) as made:
        ready.wait_for("the ingress knows accounts", lambda: http.answers(f"{made.url}/readyz"), timeout=PATIENCE)
        yield made


@pytest.fixture
def campaign() -> str:
    return new_campaign_id(os.urandom(5))


def document(campaign: str, revision: int = 1, urls: dict[str, str] = URLS) -> CampaignDocument:
    spec = {
        "name": "test",
        "audience": {"numbers": ["+12125550123"]},
        "messages": [{"text": "hello {link}", "links": urls}],
    }
    return CampaignDocument(
        id=campaign, spec=spec, status="sending", revision=revision, created=1, updated=1, recipients=1000
    )


@contextlib.asynccontextmanager
async def producing(kafka: Kafka) -> AsyncIterator[Producer]:
    producer = Producer(kafka)
    yield producer
    await producer.close()


async def publish(ingress: Ingress, what: CampaignDocument) -> None:
    """Write a campaign and wait until the ingress knows this revision."""
    async with producing(ingress.kafka) as producer:
        await producer.emit("campaigns", encode(what), key=what.id.encode())
    urls = what.spec["messages"][0]["links"]
    token = click_token(TOKEN_KEY.encode(), what.id, 0, 999, len(urls) - 1)
    async with asyncio.timeout(20):
        while (await ingress.visit(token, "HEAD"))[0] != 302:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_receipts_are_written_by_campaign_before_they_are_answered(ingress: Ingress, campaign: str) -> None:
    other, start, before = new_campaign_id(os.urandom(5)), ingress.ends("receipts"), clock.now_ms()
    at = before - 60_000
    items = [
        {"id": f"{campaign}-0-7", "status": "delivered", "code": "", "at": at},
        {"id": f"{other}-0-3", "status": "UNDELIV", "code": 30003, "at": at // 1000},
        {"id": f"{campaign}-0-4294967294", "status": "REJECTD", "err": "ignored"},
        {"id": f"{campaign}-1-7", "status": "sent"},
    ]
    assert (await ingress.post("/v1/receipts/local", {"receipts": items}))[:1] == (202,)
    records = ingress.since("receipts", start)
    batches = {(b.campaign, b.message): b for b in (feedback.RECEIPTS.decode(value) for _, value in records)}
    assert {key for key, _ in records} == {campaign.encode(), other.encode()}
    assert len(records) == len(batches) == 3
    first = batches[campaign, 0]
    assert (first.ordinals, first.states, first.codes) == ([7, 4294967294], ["delivered", "rejected"], ["", ""])
    assert first.times[0] == at
    assert before <= first.times[1] == first.received <= clock.now_ms()
    second = batches[other, 0]
    assert (second.states, second.codes, second.times) == (["undelivered"], ["30003"], [at // 1000 * 1000])
    assert batches[campaign, 1].states == ["accepted"]


async def test_receipts_of_many_requests_share_records(ingress: Ingress, campaign: str) -> None:
    start = ingress.ends("receipts")
    posts = [
        ingress.post("/v1/receipts/local", {"receipts": [{"id": f"{campaign}-0-{n}", "status": "delivered"}]})
        for n in range(60)
    ]
    assert {status for status, _ in await asyncio.gather(*posts)} == {202}
    large = [{"id": f"{campaign}-0-{n}", "status": "delivered"} for n in range(60, 5060)]
    assert (await ingress.post("/v1/receipts/local", {"receipts": large}))[1]["taken"] == 5000
    batches = [feedback.RECEIPTS.decode(value) for _, value in ingress.since("receipts", start)]
    assert sorted(o for b in batches for o in b.ordinals) == list(range(5060))
    assert len(batches) < 60
    assert max(len(b.ordinals) for b in batches) == 2000


async def test_an_odd_receipt_never_refuses_its_neighbours(ingress: Ingress, campaign: str) -> None:
    await publish(ingress, document(campaign))
    start, letters = ingress.ends("receipts"), ingress.ends("dead-letters")
    good = {"id": f"{campaign}-0-1", "status": "delivered"}
    odd: list[Any] = [
        "no object", good | {"id": "SM42"}, good | {"id": 5}, good | {"status": "perhaps"}, {"id": f"{campaign}-0-1"},
        good | {"id": f"{campaign}-1-1"}, good | {"id": f"{campaign}-0-1000"}, good | {"id": "cut \ud83d"},
    ]  # fmt: skip
    taken = [
        good, good | {"code": None}, good | {"code": 30006}, good | {"code": "x" * 500},
        good | {"code": "cut \ud83d"}, good | {"at": "tomorrow"}, good | {"at": -1},
    ]  # fmt: skip
    counted = await _metric(ingress, 'longwave_receipts_excluded_total{reason="foreign_id"}')
    items = [item for pair in zip(odd, [*taken, good], strict=True) for item in pair]
    status, said = await ingress.post("/v1/receipts/local", {"receipts": items})
    assert (status, said["taken"]) == (202, 8)
    assert [item["index"] for item in said["refused"]] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert said["refused"][6]["reason"] == f"campaign {campaign} has no recipient 1000"
    batches = [feedback.RECEIPTS.decode(value) for _, value in ingress.since("receipts", start)]
    assert [(b.campaign, b.message) for b in batches] == [(campaign, 0)]
    assert batches[0].codes == ["", "", "30006", "x" * 64, "cut ?", "", "", ""]
    kept = [DEAD_LETTERS.decode(value) for _, value in ingress.since("dead-letters", letters)]
    actual = [entry for entry in kept if isinstance(entry, DeadLetter)]
    assert [json.loads(to_bytes(entry.value) or b"") for entry in actual].count(odd[1]) == 1
    assert all("from aggregator local" in entry.error for entry in actual)
    assert await _metric(ingress, 'longwave_receipts_excluded_total{reason="foreign_id"}') == counted + 3


@pytest.mark.parametrize("body", [b"", b"garbage", b"[]", b'{"receipts": 1}', b"\xff\xfe", b'{"texts": []}'])
async def test_garbage_is_refused(ingress: Ingress, body: bytes) -> None:
    assert (await ingress.post("/v1/receipts/local", body))[0] == 400


async def test_unsigned_requests_are_refused_and_counted(ingress: Ingress, campaign: str) -> None:
    start = ingress.ends("receipts")
    body = json.dumps({"receipts": [{"id": f"{campaign}-0-1", "status": "delivered"}]}).encode()
    good = signing.signed(SECRET.encode(), clock.now_ms(), body)
    old = signing.signed(SECRET.encode(), clock.now_ms() - 400_000, body)
    wrong = signing.signed(b"another secret", clock.now_ms(), body)
    counted = await _metric(ingress, 'longwave_ingress_requests_total{kind="receipts",status="401"}')
    for headers, why in (({}, "missing"), (wrong, "wrong"), (old, "old")):
        status, said = await ingress.post("/v1/receipts/local", body, headers)
        assert (status, why in said["error"]) == (401, True)
    assert (await ingress.post("/v1/receipts/local", body + b" ", good))[0] == 401
    assert await _metric(ingress, 'longwave_ingress_requests_total{kind="receipts",status="401"}') == counted + 4
    assert (await ingress.post("/v1/receipts/nobody", body, good))[0] == 404
    assert ingress.since("receipts", start) == []


async def _metric(ingress: Ingress, name: str) -> float:
    text = await asyncio.to_thread(http.page, ingress.metrics)
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0.0)


async def test_a_body_beyond_the_limit_is_refused(ingress: Ingress) -> None:
    assert (await ingress.post("/v1/receipts/local", b"x" * (BODY_LIMIT + 1)))[0] == 413

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1_000_000

    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientConnectionError):  # refused before it was all sent
            async with session.post(f"{ingress.url}/v1/receipts/local", data=parts()) as got:
                assert got.status == 413


async def test_wrong_methods_and_addresses(ingress: Ingress) -> None:
    async with asyncio.timeout(30):
        while (await ingress.page("/readyz"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (await ingress.page("/v1/receipts/local"))[0] == 405
    assert (await ingress.page("/"))[0] == 404
    assert (await ingress.page("/c/"))[0] == 404
    assert (await ingress.visit("x", "POST"))[0] == 405


async def test_inbound_texts_are_keyed_by_number(ingress: Ingress) -> None:
    start, at = ingress.ends("inbound"), clock.now_ms() - 60_000
    texts = [
        {"id": "in-1", "from": "+12125550123", "to": "+18885550100", "text": "STOP", "at": at},
        {"id": "in-2", "from": "33612345678", "to": "12345", "text": "d’accord 😀"},
    ]
    assert (await ingress.post("/v1/inbound/local", {"texts": texts}))[0] == 202
    records = dict(ingress.since("inbound", start))
    first = feedback.INBOUND.decode(records[b"12125550123"])
    assert (first.number, first.sender, first.text, first.at, first.id) == (
        12125550123,
        "+18885550100",
        "STOP",
        at,
        "in-1",
    )
    assert feedback.INBOUND.decode(records[b"33612345678"]).text == "d’accord 😀"


async def test_a_stop_is_in_the_log_of_consents_before_its_answer_however_its_sender_is_spelled(
    ingress: Ingress,
) -> None:
    spelled = ["+12125550199", "0012125550199", " 12125550199", "whatsapp:+12125550199", "tel:+1-212-555-0199",
               "\u202a+12125550199\u202c", "+12125550199\r"]  # fmt: skip
    start, texts = ingress.ends("optouts"), ingress.ends("inbound")
    items: list[Any] = [
        {"id": f"in-{n}", "from": item, "to": "+18885550100", "text": "STOP"} for n, item in enumerate(spelled)
    ]
    items += [{"id": "x", "from": "Bob", "to": "+18885550100", "text": "STOP"}, {"to": "12", "text": "STOP"}]
    status, answer = await ingress.post("/v1/inbound/local", {"texts": items})
    assert status == 202
    assert (answer["taken"], answer["refused"]) == (9, [])
    assert [item["index"] for item in answer["unread"]] == [7, 8]
    closed = [(key, feedback.OPTOUTS.decode(value)) for key, value in ingress.since("optouts", start)]
    assert [(key, item.state, item.account) for key, item in closed] == [(b"demo/12125550199", "out", "demo")] * 7
    kept = [feedback.INBOUND.decode(value) for _, value in ingress.since("inbound", texts)]
    assert sorted(item.person for item in kept if isinstance(item, feedback.UnreadText)) == ["", "Bob"]


async def test_an_odd_text_never_refuses_its_neighbours(ingress: Ingress) -> None:
    start, letters = ingress.ends("inbound"), ingress.ends("dead-letters")
    good = {"id": "in-9", "from": "+12125550123", "to": "+18885550100", "text": "hi"}
    items = [
        good | {"text": "x" * 9000 + " stop"}, "no object", good | {"text": None}, good | {"at": 1.5, "id": 7},
        good | {"text": "cut \ud83d"}, good | {"at": 32503680000000}, good,
    ]  # fmt: skip
    status, answer = await ingress.post("/v1/inbound/local", {"texts": items})
    assert (status, answer["taken"]) == (202, 5)
    assert answer["refused"] == [
        {"index": 1, "reason": "it is not an object"},
        {"index": 2, "reason": "it has no text"},
    ]
    actual = [feedback.INBOUND.decode(value) for _, value in ingress.since("inbound", start)]
    notes = sorted("+".join(item.notes) for item in actual)
    assert notes == ["", "broken_characters", "cut", "implausible_time", "implausible_time"]
    assert max(len(item.text) for item in actual) == feedback.TEXT_LIMIT
    assert "cut \ufffd" in {item.text for item in actual}
    assert all(item.at <= item.received for item in actual)
    kept = [DEAD_LETTERS.decode(value) for _, value in ingress.since("dead-letters", letters)]
    assert [(item.step, to_bytes(item.value)) for item in kept if isinstance(item, DeadLetter)] == [
        ("ingress-inbound", b'"no object"'),
        ("ingress-inbound", json.dumps(good | {"text": None}).encode()),
    ]


async def test_a_body_that_is_no_list_of_texts_is_refused_and_kept(ingress: Ingress) -> None:
    letters = ingress.ends("dead-letters")
    status, answer = await ingress.post("/v1/inbound/local", {"text": "STOP"})
    assert (status, "dead letter" in answer["error"]) == (400, True)
    assert len(ingress.since("dead-letters", letters)) == 1


async def test_a_click_is_recorded_and_leads_to_the_campaigns_own_url(ingress: Ingress, campaign: str) -> None:
    await publish(ingress, document(campaign))
    key, start = TOKEN_KEY.encode(), ingress.ends("clicks")
    about, default = (click_token(key, campaign, 0, 5, link) for link in (0, 1))
    assert await ingress.visit(about, agent="x" * 300) == (302, "https://shop.example/%C3%BCber%20uns")
    assert await ingress.visit(default, "HEAD", "Slackbot") == (302, "https://shop.example/sale?a=1")
    batches = [feedback.CLICKS.decode(value) for _, value in ingress.since("clicks", start)]
    clicks = [click for b in batches for click in b.clicks]
    assert {(b.campaign, b.message) for b in batches} == {(campaign, 0)}
    assert [(c.ordinal, c.link, c.method, c.user_agent) for c in clicks] == [
        (5, 0, "GET", "x" * 256),
        (5, 1, "HEAD", "Slackbot"),
    ]
    assert all(abs(c.at - clock.now_ms()) < 60_000 for c in clicks)


async def test_an_edited_campaign_leads_to_its_new_url(ingress: Ingress, campaign: str) -> None:
    await publish(ingress, document(campaign, 1, {"default": "https://shop.example/old"}))
    await publish(ingress, document(campaign, 2, {"default": "https://shop.example/new", "z": "https://z.example/"}))
    token = click_token(TOKEN_KEY.encode(), campaign, 0, 5, 0)
    assert await ingress.visit(token) == (302, "https://shop.example/new")


async def test_what_is_not_a_link_of_ours_leads_nowhere(ingress: Ingress, campaign: str) -> None:
    await publish(ingress, document(campaign))
    start, key = ingress.ends("clicks"), TOKEN_KEY.encode()
    good = click_token(key, campaign, 0, 5, 0)
    forged = ("B" if good[0] != "B" else "C") + good[1:]
    unknown = click_token(key, new_campaign_id(os.urandom(5)), 0, 5, 0)
    no_message, no_link = click_token(key, campaign, 3, 5, 0), click_token(key, campaign, 0, 5, 2)
    foreign = click_token(b"a key of somebody else", campaign, 0, 5, 0)
    for token in (forged, unknown, no_message, no_link, foreign, "x", "..%2f..", good[:-1]):
        assert (await ingress.visit(token)) == (404, "")
    assert ingress.since("clicks", start) == []


async def test_many_clicks_at_once_share_records(ingress: Ingress, campaign: str) -> None:
    await publish(ingress, document(campaign))
    start = ingress.ends("clicks")
    tokens = [click_token(TOKEN_KEY.encode(), campaign, 0, n, 0) for n in range(80)]
    answers = await asyncio.gather(*map(ingress.visit, tokens))
    assert {status for status, _ in answers} == {302}
    batches = [feedback.CLICKS.decode(value) for _, value in ingress.since("clicks", start)]
    assert sorted(c.ordinal for b in batches for c in b.clicks) == list(range(80))
    assert len(batches) < 80


async def test_health_and_metrics(ingress: Ingress) -> None:
    async with asyncio.timeout(20):
        while (await ingress.page("/readyz"))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await _metric(ingress, "process_resident_memory_bytes") > 1e6
    assert (await ingress.page("/metrics"))[0] == 404, "not on the public port"


async def test_without_kafka_everything_is_to_be_sent_again(tmp_path: Path, campaign: str) -> None:
    absent = Kafka(bootstrap=f"127.0.0.1:{free_ports(1)[0]}", partitions=4)
    with ingress_on(absent, tmp_path, LONGWAVE_KAFKA__SESSION_TIMEOUT="2") as ingress:
        receipt = {"receipts": [{"id": f"{campaign}-0-1", "status": "delivered"}]}
        text = {"texts": [{"id": "in-1", "from": "+12125550123", "to": "1", "text": "STOP"}]}
        answers = await asyncio.gather(
            ingress.post("/v1/receipts/local", receipt), ingress.post("/v1/inbound/local", text)
        )
        for status, said in answers:
            assert (status, said["retry"]) == (503, "1")
        assert (await ingress.visit(click_token(TOKEN_KEY.encode(), campaign, 0, 1, 0)))[0] == 503
        assert (await ingress.page("/readyz"))[0] == 503


async def test_a_stop_keeps_what_it_answered(brokers: Kafka, tmp_path: Path, campaign: str) -> None:
    answered: set[int] = set()
    with ingress_on(brokers, tmp_path) as ingress:
        start = ingress.ends("receipts")

        async def keep_on(first: int) -> None:
            for ordinal in range(first, first + 1_000_000):
                item = {"id": f"{campaign}-0-{ordinal}", "status": "delivered"}
                try:
                    status, _ = await ingress.post("/v1/receipts/local", {"receipts": [item]})
                except aiohttp.ClientConnectionError:
                    return
                assert status in {202, 503}
                if status == 202:
                    answered.add(ordinal)

        tasks = [asyncio.create_task(keep_on(lane * 1_000_000)) for lane in range(8)]
        await asyncio.sleep(1)
        ingress.child.send_signal(signal.SIGTERM)
        await asyncio.gather(*tasks)
        assert await asyncio.to_thread(ingress.child.wait, 15) == 0
        batches = [feedback.RECEIPTS.decode(value) for _, value in ingress.since("receipts", start)]
    assert len(answered) > 20
    assert answered <= {ordinal for b in batches for ordinal in b.ordinals}


def test_a_taken_port_is_reported() -> None:
    port = free_ports(1)[0]
    first = listening_socket("ingress", Listen(port=port))
    with pytest.raises(LongwaveError, match=r"cannot listen .* ingress\.port"):
        listening_socket("ingress", Listen(port=port))
    first.close()


async def test_from_aggregator_to_topics(ingress: Ingress, campaign: str, tmp_path: Path) -> None:
    """The simulated aggregator's receipts, replies and clicks of 300 messages all reach Kafka, once told each."""
    await publish(ingress, document(campaign))
    starts = {name: ingress.ends(name) for name in ("receipts", "inbound", "clicks")}
    script = tmp_path / "script.toml"
    script.write_text(
        "[receipts.delay]\nmedian = 0.2\n[clicks]\npeople = 1.0\n[clicks.delay]\nmedian = 2.0\nleast = 2.0\n"
        "[replies]\nstop = 1.0\n[replies.delay]\nmedian = 0.3\n"
    )
    port = free_ports(1)[0]
    words = ["aggregator", "--port", str(port), "--data", str(tmp_path), "--script", str(script)]
    variables = {"LONGWAVE_AGGREGATORS__LOCAL__SECRET": SECRET}
    with running([*words, "--ingress", ingress.url], variables, tmp_path) as child:
        url = f"http://127.0.0.1:{port}"
        ready.wait_for(
            "aggregator", lambda: http.answers(f"{url}/v1/stats"), lambda: child.poll() is None, timeout=PATIENCE
        )
        client = HttpBatch("x", HttpBatchSettings.model_validate({"url": f"{url}/v1/messages", "secret": SECRET}))
        tokens = [click_token(TOKEN_KEY.encode(), campaign, 0, n, 0) for n in range(300)]
        batch = [
            Submission(f"{campaign}-0-{n}", 12125550000 + n, f"see https://s.example/c/{token}", "+18885550100")
            for n, token in enumerate(tokens)
        ]
        assert {o.outcome for o in await client.submit(batch)} == {"accepted"}
        await client.close()
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(0.2)
                async with session.get(f"{url}/v1/stats") as got:
                    callbacks = (await got.json())["callbacks"]
                if callbacks["sent"]["visit"] and callbacks["held"] == 0:
                    break
    assert callbacks["retries"] == 0
    receipts = [feedback.RECEIPTS.decode(v) for _, v in ingress.since("receipts", starts["receipts"])]
    assert sorted(o for b in receipts for o in b.ordinals) == list(range(300))
    delivered = {o for b in receipts for o, s in zip(b.ordinals, b.states, strict=True) if s == "delivered"}
    texts = [feedback.INBOUND.decode(v) for _, v in ingress.since("inbound", starts["inbound"])]
    assert {t.number - 12125550000 for t in texts} == delivered
    clicks = [c for _, v in ingress.since("clicks", starts["clicks"]) for c in feedback.CLICKS.decode(v).clicks]
    assert sorted(c.ordinal for c in clicks) == sorted(delivered)
    assert Submissions.read(tmp_path).accepted == {message.id for message in batch}


# Opt-out links


async def follow(ingress: Ingress, token: str, method: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(headers={"User-Agent": "Phone"}) as session,
        session.request(method, f"{ingress.url}/o/{token}") as got,
    ):
        return got.status, await got.text()


async def test_an_opt_out_link_asks_first_and_opts_out_on_its_button(ingress: Ingress) -> None:
    [token] = optout_tokens(TOKEN_KEY.encode(), "4f7k2q9z", [33_612_345_678])
    start = ingress.ends("optouts")
    for method in ("GET", "HEAD"):
        status, page = await follow(ingress, token, method)
        assert status == 200
        assert ("<button>Unsubscribe</button>" in page) == (method == "GET")
        assert "33612345678" not in page
    assert ingress.ends("optouts") == start
    for _ in range(2):
        status, page = await follow(ingress, token, "POST")
        assert status == 200
        assert "Unsubscribed" in page
    records = [(key, feedback.OPTOUTS.decode(value)) for key, value in ingress.since("optouts", start)]
    assert [(key, item.number, item.state, item.source) for key, item in records] == [
        (b"/33612345678", 33_612_345_678, "out", "link")
    ] * 2, "nobody knows whose campaign it is: every account"
    assert "4f7k2q9z" in records[0][1].evidence
    assert records[0][1].campaign == "4f7k2q9z"


async def test_a_forged_opt_out_link_opts_nobody_out(ingress: Ingress) -> None:
    [forged] = optout_tokens(b"the-key-of-somebody-else", "4f7k2q9z", [33_612_345_678])
    start = ingress.ends("optouts")
    for token in (forged, "x", "%2e%2e"):
        for method in ("GET", "POST"):
            assert (await follow(ingress, token, method))[0] == 404
    assert (await follow(ingress, forged, "PUT"))[0] == 405
    assert ingress.ends("optouts") == start
