"""`longwave bench latency`: from a message's due time to its arrival at the aggregator, on an idle lane. `longwave
bench urgent`: the same for urgent messages of a sender that has a large campaign to send.

The messages wait in the lane's delay table and become due one after another, apart enough for the lane to be idle.
The bare limit is measured in the same run: a record written to Kafka and read back, then one HTTP request.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import orjson
import uvloop
from aiokafka import TopicPartition

from adapters import http
from adapters.aggregators import signing
from adapters.clock import now_ms
from adapters.kafka.producer import Producer
from adapters.kafka.reading import reader
from adapters.settings import Settings
from loadtest.aggregator.phone import shared_secret
from loadtest.bench.campaigns import FIRST_NUMBER, Api, fill, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from pipeline.accounts.placing import lanes_of
from schemas import topics
from schemas.lane import Control, LaneMessage, LaneSettings, Work
from schemas.wire import encode

P50, P99 = 30.0, 150.0
CAMPAIGN = "000ready"
URGENT_P99 = 200.0
APART_MS = 100


def run(messages: int = 300) -> Result:
    """Let `messages` become due one by one and compare due and arrival times."""
    late, bare = _measured(messages, 0)
    required = f"p50 <= {P50:.0f} ms, p99 <= {P99:.0f} ms"
    p50, p99 = _percentiles(late)
    return _result("latency", late, bare, required, {"messages": messages}, ok=p50 <= P50 and p99 <= P99)


def run_urgent(messages: int = 300, recipients: int = 1_000_000) -> Result:
    """The same while a campaign of so many `recipients` is sent from the same sender at its limit."""
    late, bare = _measured(messages, recipients)
    inputs = {"messages": messages, "recipients": recipients}
    ok = _percentiles(late)[1] <= URGENT_P99
    return _result("urgent", late, bare, f"p99 <= {URGENT_P99:.0f} ms", inputs, ok=ok)


def _measured(messages: int, behind: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each message, and bare; with a campaign of `behind` recipients under way."""
    with private_stack("") as stack:
        bare = uvloop.run(_bare(stack.settings, 100))
        lane = lanes_of(stack.sender(), stack.settings.kafka.lanes)[0]
        if behind:
            fill(stack.settings, "everybody", behind)
            Api(stack.settings).launch("a large campaign", ["everybody"])
            wait_until("the campaign is under way", lambda: stack.accepted() > 0, 300)
        dues = uvloop.run(_delay(stack.settings, messages, lane))
        wait_until("all have arrived", lambda: _arrived(stack) >= messages, 60 + messages * APART_MS / 1000)
        return _latencies(stack, dues), bare


def _result(
    name: str, late: list[float], bare: list[float], required: str, inputs: dict[str, int], *, ok: bool
) -> Result:
    p50, p99 = _percentiles(late)
    bare50, bare99 = _percentiles(bare)
    return Result(
        name=name,
        figure=round(p50, 2),
        unit="ms (p50)",
        limit=round(bare50, 2),
        ratio=round(bare50 / p50, 3),
        required=required,
        ok=ok,
        inputs={**inputs, "apart_ms": APART_MS},
        details={"p99_ms": round(p99, 2), "max_ms": round(max(late), 2), "bare_p99_ms": round(bare99, 2)},
    )


def _percentiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _delay(settings: Settings, messages: int, lane: int) -> list[int]:
    """Put the work into the lane's log; the due times by ordinal (ms)."""
    producer = Producer(settings.kafka)
    now = now_ms()
    lane_settings = LaneSettings(
        messages=[LaneMessage(text="Your code is {code}", links=[])],
        priority="urgent", weight=1, deadline=None, unknown="skip", transactional=True,
    )  # fmt: skip
    control = Control(campaign=CAMPAIGN, revision=1, state="running", settings=lane_settings, at=now)
    await producer.emit(topics.LANES.name, encode(control), partition=lane)
    dues = [now + 3000 + n * APART_MS for n in range(messages)]
    for first in range(0, messages, 500):
        part = dues[first : first + 500]
        await producer.emit(topics.LANES.name, encode(_work(first, part, now)), partition=lane)
    await producer.close()
    return dues


def _work(first: int, dues: list[int], now: int) -> Work:
    n = len(dues)
    return Work(
        campaign=CAMPAIGN,
        message=0,
        account="demo",
        sender="main",
        at=now,
        ordinals=list(range(first, first + n)),
        numbers=[FIRST_NUMBER + first + k for k in range(n)],
        segments=[1] * n,
        prices=[7900] * n,
        dues=[(1, due) for due in dues],
        zones=[""],
        zone=[0] * n,
        fields={"code": [f"{k:06d}" for k in range(n)]},
    )


def _arrived(stack: Stack) -> int:
    return sum(message_id.startswith(CAMPAIGN) for message_id in stack.submissions().ids)


def _latencies(stack: Stack, dues: list[int]) -> list[float]:
    submissions = stack.submissions()
    return [
        submissions.times[n] / 1e6 - dues[int(message_id.rsplit("-", 1)[1])]
        for n, message_id in enumerate(submissions.ids)
        if message_id.startswith(CAMPAIGN)
    ]


async def _bare(settings: Settings, rounds: int) -> list[float]:
    """Milliseconds of: one record written to Kafka and read back, then one request to the aggregator."""
    producer = Producer(settings.kafka)
    consumer = reader(settings.kafka, fetch_max_wait_ms=50)
    await consumer.start()
    place = TopicPartition(topics.CLICKS.name, 0)
    consumer.assign([place])
    await consumer.seek_to_end()
    await consumer.position(place)
    url = settings.aggregators["local"].url
    secret = shared_secret(settings)
    times = []
    async with http.session() as session:
        for n in range(rounds):
            await asyncio.sleep(APART_MS / 1000)
            started = time.perf_counter()
            await producer.emit(place.topic, b"{}", partition=place.partition)
            await consumer.getone()
            message = {"id": f"0000bare-0-{n}", "to": "+12125550100", "text": "Your code is 000000"}
            body = orjson.dumps({"from": "+18885550100", "messages": [message]})
            headers = {"Content-Type": "application/json"} | signing.signed(secret, now_ms(), body)
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
            times.append((time.perf_counter() - started) * 1000)
    await consumer.stop()
    await producer.close()
    return times
