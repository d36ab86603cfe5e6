"""The breaker of an aggregator with a real HTTP client and a real server that hangs, errs and comes back; and what a
lane says to its campaigns meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import Submission, SubmitOutcome
from agents.lane.breaker import AggregatorBreaker
from agents.lane.instant import instant
from pipeline.lane.state import LaneState
from pipeline.sending.outage import announcing as lane_outage
from pipeline.sending.outage import breaker as rules
from pipeline.sending.outage.announcing import Outage
from schemas import metrics
from schemas.campaign import CampaignDocument, Hold, Note, Suspension
from tests.agents.worker import until
from tests.pipeline.lane.records import A, Log, control, owner, sender_terms, work

LIMIT = 3
PLAN = [Submission(f"{A}-0-0", 12125550100, "hello", "+1")]


class Peer:
    """An aggregator whose status the test sets; counts batches with messages and health checks."""

    def __init__(self) -> None:
        self.status = 200
        self.batches = 0
        self.health_checks = 0
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        messages = (await request.json())["messages"]
        self.batches += bool(messages)
        self.health_checks += not messages
        if self.status != 200:
            return web.Response(status=self.status)
        if not messages:
            return web.Response(status=400)
        said = [{"id": message["id"], "status": "accepted", "aggregator_id": "x"} for message in messages]
        return web.json_response({"messages": said})


@contextlib.asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, HttpBatch, AggregatorBreaker]]:
    made = Peer()
    app = web.Application()
    app.router.add_post("/", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    client = HttpBatch("down", HttpBatchSettings(url=f"http://127.0.0.1:{made.port}/", timeout=1.0))
    breaker = AggregatorBreaker("down", client, LIMIT)
    breaker.rule._pause = rules.FIRST_PAUSE
    yield made, client, breaker
    await breaker.close()
    await client.close()
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(rules, "LAST_PAUSE", 0.2)


async def submit(client: HttpBatch, breaker: AggregatorBreaker) -> None:
    breaker.record_result(await client.submit(PLAN))


def shown() -> float:
    return float(metrics.AGGREGATOR_BREAKER.labels("down")._value.get())


@pytest.mark.parametrize("status", [500, 503, 401, 402])
async def test_health_checks_cost_no_message_and_one_probe_closes_it(status: int) -> None:
    async with peer() as (made, client, breaker):
        woken: list[float] = []
        breaker.join(lambda: woken.append(shown()))
        made.status = status
        for _ in range(LIMIT):
            assert breaker.allowance(0)
            await submit(client, breaker)
        assert (shown(), breaker.allowance(0), breaker.admit()) == (1, 0, False)
        await until(lambda: made.health_checks >= 1)
        await until(lambda: made.health_checks >= 2)
        assert (made.batches, breaker.rule.state) == (LIMIT, "open")
        made.status = 200
        await until(lambda: shown() == 2)
        assert breaker.allowance(0) == 1
        breaker.proposed()
        assert breaker.admit()
        await submit(client, breaker)
        assert (shown(), breaker.rule.state, breaker.allowance(15)) == (0, "closed", rules.UNLIMITED)
        assert woken == [1, 2, 0]


async def test_a_refused_connection_and_a_silent_peer_do_not_answer_a_health_check() -> None:
    async with peer() as (made, client, _):
        assert await client.check_health() == ""
        made.status = 429
        assert await client.check_health() == ""  # too fast is alive
        made.status = 503
        assert await client.check_health() == "http:503"
    nobody = HttpBatch("down", HttpBatchSettings(url=f"http://127.0.0.1:{made.port}/", timeout=1.0))
    assert await nobody.check_health() == "connect"
    await nobody.close()
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(30), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    mute = HttpBatch("down", HttpBatchSettings(url=f"http://127.0.0.1:{port}/", timeout=0.3))
    assert await mute.check_health() == "no_answer"
    await mute.close()
    silent.close()


class Said:
    """What a lane says while its campaigns' documents are as the test sets them."""

    def __init__(self, breaker: AggregatorBreaker, suspend_after: float = 60.0) -> None:
        self.documents: dict[str, CampaignDocument] = {}
        self.outage = Outage(7, breaker, suspend_after, self.documents.get)

        self._records: list[Note | Suspension] = []

    def look(self, state: LaneState) -> None:
        self._records += [item.record for item in self.outage.look(state, instant())]

    def take(self) -> list[Note | Suspension]:
        taken, self._records = self._records, []
        return taken


def document(status: Any = "sending", reason: str = "", held: str = "") -> CampaignDocument:
    holds = [Hold(by="lane 7, aggregator down", reason=held, at=1)] if held else []
    return CampaignDocument(
        id=A, spec={}, status=status, reason=reason, revision=3, created=1, updated=1, recipients=4, holds=holds
    )


async def test_a_lane_says_why_suspends_and_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_outage, "PAUSE", 0.0)
    breaker, log = AggregatorBreaker("down", None, LIMIT), Log()  # type: ignore[arg-type]
    said = Said(breaker, suspend_after=0.3)
    for record in (owner(), control(), work([0, 1, 2, 3]), sender_terms(aggregator="down")):
        log.add(record)
    log.state.table.release(1 << 50)
    said.documents[A] = document()
    said.look(log.state)
    assert said.take() == []
    for _ in range(LIMIT):
        breaker.rule.failed(monotonic(), "http:503", 0.0)
    said.look(log.state)
    (note,) = said.take()
    assert isinstance(note, Note)
    assert note.reason == "waiting_for_aggregator:down: http:503"
    said.look(log.state)
    assert said.take() == []  # once
    said.documents[A] = document(reason=note.reason)
    await asyncio.sleep(0.35)
    said.look(log.state)
    (held,) = said.take()
    assert isinstance(held, Suspension)
    assert (held.suspended, held.by, held.reason) == (True, "lane 7, aggregator down", note.reason)
    said.documents[A] = document("suspended", note.reason, note.reason)
    said.look(log.state)
    assert said.take() == []
    assert said.outage.suspended == 1
    said.documents[A] = document()  # an operator resumed it: it has as long again
    said.look(log.state)
    assert said.take() == []
    await asyncio.sleep(0.35)
    said.look(log.state)
    assert [type(item) for item in said.take()] == [Suspension]
    said.documents[A] = document("suspended", note.reason, note.reason)
    breaker.rule.succeeded()
    said.look(log.state)
    said.look(log.state)
    (free,) = said.take()
    assert isinstance(free, Suspension)
    assert (free.suspended, free.reason, free.by) == (False, "", "lane 7, aggregator down")
    said.documents[A] = document()
    said.look(log.state)
    assert said.take() == []
    assert said.outage.suspended == 0


async def test_a_throttled_account_says_until_when_and_takes_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_outage, "PAUSE", 0.0)
    monkeypatch.setattr(lane_outage, "WORTH_SAYING", 0.2)
    log = Log()
    async with peer() as (_, _, breaker):
        said = Said(breaker)
        woken: list[float] = []
        breaker.join(lambda: woken.append(breaker.held))
        for record in (owner(), control(), work([0, 1, 2, 3]), sender_terms(aggregator="down")):
            log.add(record)
        log.state.table.release(1 << 50)
        said.documents[A] = document()
        for _ in range(3):  # the first, and two that were under way
            breaker.record_result([SubmitOutcome("retry", "throttled", "", 0.4, True)])
        assert metrics.AGGREGATOR_HELD.labels("down")._value.get() == 1
        assert (breaker.allowance(0), breaker.admit()) == (0, False)
        said.look(log.state)
        (note,) = said.take()
        assert isinstance(note, Note)
        assert re.fullmatch(r"waiting_for_aggregator:down: throttled until \d\d:\d\d:\d\d UTC", note.reason)
        said.documents[A] = document(reason=note.reason)
        await until(lambda: metrics.AGGREGATOR_HELD.labels("down")._value.get() == 0)
        assert woken == [0.0]
        said.look(log.state)
        assert said.take() == []  # nobody knows yet whether it takes any
        breaker.record_result([SubmitOutcome("accepted")])
        said.look(log.state)
        (free,) = said.take()
        assert isinstance(free, Note)
        assert free.reason == ""


async def test_the_next_owner_withdraws_what_the_last_one_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_outage, "PAUSE", 0.0)
    reason = "waiting_for_aggregator:down: connect"
    for stored, kind in ((document("suspended", reason, reason), Suspension), (document(reason=reason), Note)):
        breaker, log = AggregatorBreaker("down", None, LIMIT), Log()  # type: ignore[arg-type]
        said = Said(breaker)
        for record in (owner(), control(), work([0, 1, 2, 3]), sender_terms(aggregator="down")):
            log.add(record)
        log.state.table.release(1 << 50)
        said.documents[A] = stored
        said.look(log.state)
        assert said.take() == []  # it does not know yet whether the aggregator works
        breaker.rule.succeeded()
        log.state.clear(A)  # the last of it is sent in that very moment
        said.look(log.state)
        assert [type(item) for item in said.take()] == [kind]
