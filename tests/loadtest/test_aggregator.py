"""The simulated aggregator as a process: over HTTP, killed, and calling back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters import clock, http
from adapters.aggregators import signing
from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import HttpBatchSettings
from adapters.ports import Submission
from cli.main import run
from devstack import ready
from loadtest.aggregator.submissions import Submissions
from tests.stack import free_ports, running

SECRET = "a-secret-of-the-test"
VARIABLES = {"LONGWAVE_AGGREGATORS__LOCAL__SECRET": SECRET}


@contextlib.contextmanager
def simulator(
    data: Path, script: str = "", ingress: str = "http://127.0.0.1:1", port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A running simulator: its URL and its process."""
    port = port or free_ports(1)[0]
    data.mkdir(exist_ok=True)
    (data / "script.toml").write_text(script)
    words = ["aggregator", "--port", str(port), "--data", str(data), "--ingress", ingress]
    with running([*words, "--script", str(data / "script.toml")], VARIABLES, data) as child:
        url = f"http://127.0.0.1:{port}"
        ready.wait_for("aggregator", lambda: http.answers(f"{url}/v1/stats"), lambda: child.poll() is None)
        yield url, child


@contextlib.asynccontextmanager
async def client(url: str, timeout: float = 5.0) -> AsyncIterator[HttpBatch]:
    settings = {"url": f"{url}/v1/messages", "query_url": f"{url}/v1/query", "secret": SECRET, "timeout": timeout}
    made = HttpBatch("test", HttpBatchSettings.model_validate(settings))
    yield made
    await made.close()


def batch(first: int, n: int, text: str = "hello") -> list[Submission]:
    return [Submission(f"1a2b3c4d-0-{i}", 12125550000 + i, text, "+18885550100") for i in range(first, first + n)]


async def stats(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/stats") as answer:
        actual: dict[str, Any] = await answer.json()
        return actual


async def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    target = f"{url}/v1/messages"
    async with aiohttp.ClientSession() as session, session.post(target, data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_takes_batches_and_refuses_what_is_not_genuine(tmp_path: Path) -> None:
    with simulator(tmp_path) as (url, child):
        async with client(url) as made:
            outcomes = await made.submit(batch(0, 500, "é" * 70))
        assert [outcome.outcome for outcome in outcomes] == ["accepted"] * 500
        assert outcomes[7].aggregator_id == "sim-1a2b3c4d-0-7"
        body = b'{"from": "+1", "messages": [{"id": "z", "to": "+12125550123", "text": "x"}]}'
        good = signing.signed(SECRET.encode(), clock.now_ms(), body)
        wrong = good | {signing.SIGNATURE_HEADER: "0" * 64}
        old = signing.signed(SECRET.encode(), clock.now_ms() - 400_000, body)
        assert [(await post(url, body, h))[0] for h in ({}, wrong, old)] == [401, 401, 401]
        garbage = b"garbage"
        assert (await post(url, garbage, signing.signed(SECRET.encode(), clock.now_ms(), garbage)))[0] == 400
        assert (await post(url, b"x" * 8_000_001, {}))[0] == 413
        counts = await stats(url)
        assert (counts["accepted"], counts["distinct"], counts["refused_requests"]) == (500, 500, 5)
        assert (await post(url, body, good))[0] == 200
        child.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait, 10) == 0
    actual = Submissions.read(tmp_path)
    assert actual.received == {*(f"1a2b3c4d-0-{i}" for i in range(500)), "z"}
    assert actual.numbers[3] == 12125550003
    assert actual.segments[:2].tolist() == [1, 1]
    assert abs(actual.times[0] / 1e9 - clock.now_ms() / 1e3) < 60


async def test_what_was_answered_before_a_kill_is_in_the_record(tmp_path: Path) -> None:
    answered: set[str] = set()
    sent: set[str] = set()
    port = free_ports(1)[0]
    with simulator(tmp_path, port=port) as (url, child):
        async with client(url) as made:

            async def keep_on(start: int) -> None:
                for first in range(start, start + 1_000_000, 100):
                    item = batch(first, 100)
                    sent.update(message.id for message in item)
                    outcomes = await made.submit(item)
                    if outcomes[0].outcome != "accepted":
                        assert {o.outcome for o in outcomes} <= {"unknown", "retry"}
                        return
                    answered.update(message.id for message in item)

            tasks = [asyncio.create_task(keep_on(10_000_000 * lane)) for lane in range(4)]
            await asyncio.sleep(0.7)
            os.kill(child.pid, signal.SIGKILL)
            await asyncio.gather(*tasks)
    actual = Submissions.read(tmp_path)
    assert len(answered) > 1000
    assert answered <= actual.received <= sent
    assert not actual.received_twice
    with simulator(tmp_path, port=port) as (url, _):
        async with client(url) as made:
            again = sorted(answered)[:100]
            repeated = [Submission(item, 12125550000, "again", "+1") for item in again]
            assert {o.outcome for o in await made.submit(repeated)} == {"accepted"}
        assert (await stats(url))["key_hits"] == 100
    assert not Submissions.read(tmp_path).received_twice


async def test_a_query_returns_the_real_outcome_of_each_message_whatever_was_answered(tmp_path: Path) -> None:
    script = '[faults]\nserver_error = 0.5\nreset = 0.5\nprocessed = 0.5\n[errors]\n"30006" = 0.3\n'
    ids = [item.id for item in batch(0, 40)]
    with simulator(tmp_path, script) as (url, child):
        async with client(url) as made:
            for n in range(40):
                assert (await made.submit(batch(n, 1)))[0].outcome == "unknown"
            reported = await made.lookup(ids)
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.wait, 10)
    with simulator(tmp_path, script) as (url, _):
        async with client(url) as made:
            assert await made.lookup(ids) == reported, "what it knows outlives the process"
        assert (await stats(url))["asked"] == 40
    actual = Submissions.read(tmp_path)
    assert not isinstance(reported, str)
    by_outcome = {
        name: {item for item, t in zip(ids, reported, strict=True) if t.outcome == name}
        for name in ("accepted", "rejected", "retry")
    }
    assert by_outcome["accepted"] == actual.accepted
    assert by_outcome["rejected"] == actual.received - actual.accepted
    assert by_outcome["retry"] == set(ids) - actual.received
    assert all(by_outcome.values())


async def test_faults_reach_the_client_as_what_they_prove(tmp_path: Path) -> None:
    faults = "[faults]\nserver_error = 0.5\nreset = 0.5\nprocessed = 0.5\n"
    reasons: Counter[str] = Counter()
    with simulator(tmp_path, faults) as (url, _):
        async with client(url) as made:
            for n in range(40):
                outcomes = await made.submit(batch(n, 1))
                assert outcomes[0].outcome == "unknown"
                reasons[outcomes[0].reason] += 1
    assert set(reasons) == {"http:500", "connection_lost"}
    assert 5 < len(Submissions.read(tmp_path).received) < 35


async def test_silent_outage_leaves_the_client_without_an_answer(tmp_path: Path) -> None:
    outage = '[[outages]]\nstart = 0\nduration = 3600\nkind = "silent"\n'
    with simulator(tmp_path, outage) as (url, child):
        async with client(url, timeout=0.3) as made:
            outcomes = await made.submit(batch(0, 2))
        assert [(o.outcome, o.reason) for o in outcomes] == [("unknown", "no_answer")] * 2
        child.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait, 10) == 0
    assert Submissions.read(tmp_path).received == set()


async def test_latency_is_added_after_the_record(tmp_path: Path) -> None:
    with simulator(tmp_path, "[latency]\nmedian = 0.3\n") as (url, _):
        async with client(url) as made:
            begun = clock.now_ms()
            await made.submit(batch(0, 1))
            took = clock.now_ms() - begun
    assert 300 <= took < 1500
    assert Submissions.read(tmp_path).times[0] / 1e6 < begun + 250


class Ear:
    """A real ingress stand-in for trouble: fails the first requests of each kind in every way, then listens."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.receipts: list[dict[str, Any]] = []
        self.texts: list[dict[str, Any]] = []
        self.visits: list[tuple[str, str, str]] = []
        self.bad_signatures = 0

    async def post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = request.headers
        verdict = signing.check(
            SECRET.encode(),
            headers.get(signing.TIMESTAMP_HEADER),
            headers.get(signing.SIGNATURE_HEADER),
            body,
            clock.now_ms(),
        )
        self.bad_signatures += verdict != "ok"
        if self.failures > 0:
            self.failures -= 1
            if self.failures % 2:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=503)
        content = json.loads(body)
        self.receipts += content.get("receipts", [])
        self.texts += content.get("texts", [])
        return web.json_response({})

    async def visit(self, request: web.Request) -> web.StreamResponse:
        self.visits.append((request.method, request.match_info["token"], request.headers["User-Agent"]))
        return web.Response(status=302, headers={"Location": "http://192.0.2.1/"})


@contextlib.asynccontextmanager
async def listening(ear: Ear, port: int) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/receipts/local", ear.post)
    app.router.add_post("/v1/inbound/local", ear.post)
    app.router.add_route("*", "/c/{token}", ear.visit)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


TALKATIVE = """
[receipts]
delivered = 0.9
[receipts.delay]
median = 0.4
sigma = 0.3
[clicks]
people = 0.2
bots = 0.2
[clicks.delay]
median = 2.0
least = 2.0
[replies]
stop = 0.1
other = 0.1
[replies.delay]
median = 1.0
"""
LINK = "see http://anywhere/c/AbCdEfGhIjKlMnOpQrStUvW"


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


async def test_callbacks_survive_an_ingress_in_trouble_and_a_kill(tmp_path: Path) -> None:
    ear, port = Ear(failures=9), free_ports(1)[0]
    ids = {f"1a2b3c4d-0-{n}" for n in range(1000)}
    with simulator(tmp_path, TALKATIVE, f"http://127.0.0.1:{port}") as (url, child):
        async with client(url) as made:  # the ingress is down
            for first in (0, 500):
                outcomes = await made.submit(batch(first, 500, LINK))
                assert {o.outcome for o in outcomes} == {"accepted"}
        await asyncio.sleep(1.2)
        assert (await stats(url))["callbacks"]["trouble"]
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.to_thread(child.wait, 10)
    async with listening(ear, port) as ingress:
        with simulator(tmp_path, TALKATIVE, ingress) as (url, _):

            async def all_told() -> bool:
                return {r["id"] for r in ear.receipts} == ids and (await stats(url))["callbacks"]["held"] == 0

            await _until(all_told)
    assert ear.bad_signatures == 0
    outcomes_by_id: dict[str, set[tuple[str, str]]] = {}
    for receipt in ear.receipts:
        outcomes_by_id.setdefault(receipt["id"], set()).add((receipt["status"], receipt["code"]))
    assert all(len(said) == 1 for said in outcomes_by_id.values()), "repeated, but never contradicting"
    delivered = sum(("delivered", "") in said for said in outcomes_by_id.values())
    assert 850 < delivered < 950
    assert 120 < len({t["id"] for t in ear.texts}) < 250
    assert {t["to"] for t in ear.texts} == {"+18885550100"}
    assert {token for _, token, _ in ear.visits} == {"AbCdEfGhIjKlMnOpQrStUvW"}
    assert {method for method, _, _ in ear.visits} == {"GET", "HEAD"}
    people = [agent for method, _, agent in ear.visits if method == "GET" and "iPhone" in agent]
    assert 120 < len(people) < 250


async def test_what_was_called_back_before_a_stop_is_not_repeated(tmp_path: Path) -> None:
    ear, port = Ear(failures=0), free_ports(1)[0]
    script = "[receipts.delay]\nmedian = 0.1\n"
    async with listening(ear, port) as ingress:
        for start in (0, 300):
            with simulator(tmp_path, script, ingress) as (url, child):
                async with client(url) as made:
                    await made.submit(batch(start, 300))

                async def all_told(start: int = start, url: str = url) -> bool:
                    return len(ear.receipts) >= start + 300 and (await stats(url))["callbacks"]["held"] == 0

                await _until(all_told)
                child.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(child.wait, 10) == 0
    assert Counter(r["id"] for r in ear.receipts) == Counter(f"1a2b3c4d-0-{n}" for n in range(600))


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--script", "none.toml"], 1, "cannot read the script"),
        (["--account", "nobody"], 2, "aggregators.nobody"),
        (["--port", "{taken}"], 1, "cannot listen on"),
    ],
)
def test_mistakes_are_reported_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, why: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        filled = [word.format(taken=taken.getsockname()[1]) for word in words]
        assert run(["aggregator", "--data", str(tmp_path), *filled]) == code
    said = capsys.readouterr().err
    assert why in said
    assert "Traceback" not in said
