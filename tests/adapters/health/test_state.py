"""Health: what is not ready and since when, servers that hang, an event loop that stands still."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import REGISTRY

from adapters.clock import now_ms
from adapters.health import state
from adapters.health.state import Health, alive_answer, ready_answer
from devstack import ready
from schemas import metrics


@pytest.fixture
def health() -> Iterator[Health]:
    made = Health("worker-0")
    yield made
    made.stop()


def until(what: str, holds: Callable[[], bool]) -> None:
    ready.wait_for(what, holds, timeout=60)


def test_it_is_ready_while_every_part_is(health: Health) -> None:
    health.probe("kafka", lambda: "")
    health.look("lanes", lambda: "")
    assert ready_answer(health)[0] == 503, "nothing was checked yet"
    health.start()
    until("both are checked", lambda: health.is_ready)
    assert ready_answer(health) == (200, {"process": "worker-0", "ready": True, "not_ready": [], "limited": []})
    assert alive_answer(health) == (200, {"process": "worker-0", "alive": True})


def test_it_says_what_is_not_ready_and_since_when(health: Health) -> None:
    said = [""]
    health.look("lanes", lambda: said[0])
    health.look("aggregators", lambda: "local does not work", "optional")
    assert health.is_ready, "what is optional keeps nobody from working"
    said[0] = "lanes 1, 2 are being read"
    before = now_ms()
    first = ready_answer(health)
    time.sleep(1.1)
    said[0] = "lane 2 is being read"
    status, answer = ready_answer(health)
    assert (first[0], status) == (503, 503)
    (problem,), (other,) = answer["not_ready"], answer["limited"]
    assert (problem["part"], problem["problem"]) == ("lanes", "lane 2 is being read")
    assert problem["since"] == first[1]["not_ready"][0]["since"], "it is one trouble, whatever it is called"
    assert problem["seconds"] >= 1
    assert abs(now_ms() - 1100 - before) < 1000
    assert (other["part"], other["problem"]) == ("aggregators", "local does not work")
    said[0] = ""
    assert ready_answer(health)[0] == 200


def test_since_is_when_it_began_not_when_it_was_asked_for(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOOK_EVERY", 0.05)
    broken = threading.Event()
    health.look("lanes", lambda: "broken" if broken.is_set() else "")
    health.start()
    assert health.is_ready
    broken.set()
    began = now_ms()
    time.sleep(1)
    (problem,) = health.problems("required")
    assert problem.since - began < 500


def test_a_check_that_hangs_is_a_problem_and_requests_do_not_wait_for_it(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "OVERDUE_SECONDS", 0.3)
    monkeypatch.setattr(state, "PROBE_EVERY", 0.01)
    hanging, calls = threading.Event(), [0]

    def hang() -> str:
        calls[0] += 1
        if hanging.is_set():
            threading.Event().wait(60)
        return ""

    health.probe("clickhouse", hang)
    health.start()
    until("it is ready", lambda: health.is_ready)
    hanging.set()
    until("it is not ready", lambda: not health.is_ready)
    threads, asked = threading.active_count(), calls[0]
    began = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ready_answer(health), range(500)))
    assert time.monotonic() - began < 5
    assert {status for status, _ in answers} == {503}
    assert answers[0][1]["not_ready"][0]["problem"].startswith("no answer to a check for")
    assert calls[0] == asked, "no request asks the server"
    assert threading.active_count() <= threads


def test_a_check_that_fails_is_a_problem_and_goes_on(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "PROBE_EVERY", 0.01)
    answers: list[Any] = [RuntimeError("10.0.0.7: password hunter2 refused"), ""]

    def check() -> str:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    part = health.probe("clickhouse", check)
    part.ask()
    status, said = ready_answer(health)
    assert status == 503
    assert "hunter2" not in str(said)
    assert "10.0.0.7" not in str(said)
    health.start()
    until("it is ready", lambda: health.is_ready)


async def test_an_event_loop_that_stands_still_is_not_ready_then_not_alive(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "STANDSTILL_SECONDS", 0.2)
    monkeypatch.setattr(state, "DEAD_SECONDS", 1.0)
    monkeypatch.setattr(state, "LOOK_EVERY", 0.05)
    following = asyncio.create_task(health.follow_loop())
    await asyncio.sleep(0.1)
    assert health.is_ready
    time.sleep(0.5)  # noqa: ASYNC251 - the loop is to stand still
    status, answer = ready_answer(health)
    assert (status, answer["not_ready"][0]["part"]) == (503, "event loop")
    assert alive_answer(health)[0] == 200
    time.sleep(0.8)  # noqa: ASYNC251
    assert alive_answer(health) == (503, {"process": "worker-0", "alive": False})
    await asyncio.sleep(0.1)
    assert health.is_ready
    following.cancel()


def test_whether_each_server_answers_is_exported(health: Health) -> None:
    silent = threading.Event()
    health.probe("kafka", lambda: "Kafka does not answer" if silent.is_set() else "")

    def up() -> float | None:
        return REGISTRY.get_sample_value("longwave_kafka_up")

    health.start()
    try:
        until("Kafka answers", lambda: up() == 1)
        silent.set()
        health._probes[0].ask()
        assert up() == 0
    finally:
        health.stop()
        metrics.KAFKA_UP.forget()
