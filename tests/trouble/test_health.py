"""Whether processes, `status` and `doctor` tell the truth while a server or a process hangs."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from adapters.clock import now_ms
from devstack import plan, readiness
from devstack.readiness import Readiness
from tests.trouble.scene import QUIET, Scene, wait_until

OURS = ("worker-0", "writer", "ingress", "api", "aggregator")
SECONDS = 12.0
"""After which a server that hangs must have been noticed, on a busy machine."""


@pytest.fixture(scope="module")
def stage(scripted_stage: Scene) -> Scene:
    scripted_stage.scripted(QUIET)
    return scripted_stage


def said(stage: Scene) -> dict[str, Readiness]:
    return readiness.ask_all(stage.settings, OURS)


def all_ready(stage: Scene) -> None:
    wait_until("all are ready", lambda: all(item.ready and not item.limited for item in said(stage).values()))


def parts(readiness: Readiness) -> set[str]:
    return {problem["part"] for problem in readiness.not_ready}


def status(stage: Scene, code: int = 1) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(stage.longwave("status", "--json", code=code))
    assert answer["ok"] is (code == 0)
    return answer


def alive(stage: Scene, name: str) -> bool:
    with readiness.requests.request(f"{plan.base_url(stage.settings, name)}/healthz", timeout=5) as answer:
        return bool(json.loads(answer.read())["alive"])


def test_all_is_well(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    all_ready(stage)
    assert all(alive(stage, name) for name in OURS)
    shown = status(stage, code=0)
    assert {entry["name"]: entry["state"] for entry in shown["processes"]} == dict.fromkeys(
        ("kafka", "clickhouse", *OURS), "ready"
    )
    assert shown["problems"] == []
    monkeypatch.setenv("COLUMNS", "80")
    printed = stage.longwave("status").splitlines()
    assert max(len(line) for line in printed if str(stage.data) not in line) <= 80
    rows = [line.split()[:2] for line in printed]
    assert all([entry["name"], "ready"] in rows for entry in shown["processes"]), "a line for each process"


def test_a_clickhouse_that_hangs(stage: Scene) -> None:
    all_ready(stage)
    with stage.frozen("clickhouse"):
        began = now_ms()
        wait_until(
            "the writer and the API say so",
            lambda: parts(said(stage)["writer"]) >= {"clickhouse"} and parts(said(stage)["api"]) >= {"clickhouse"},
            SECONDS,
        )
        answers = said(stage)
        assert not answers["writer"].ready
        assert not answers["api"].ready
        assert answers["ingress"].ready, "it does not need ClickHouse"
        assert answers["worker-0"].ready, "sending goes on"
        wait_until("the worker says so", lambda: bool(said(stage)["worker-0"].limited), SECONDS)
        shown = status(stage)
        first = shown["problems"][0]
        assert (first["what"], first["fix"]) == (
            "clickhouse",
            f"let it go on: `kill -CONT {stage.entry('clickhouse')['pid']}`",
        )
        assert {problem["what"] for problem in shown["problems"]} == {"clickhouse", "writer", "api", "worker-0"}
        states = {entry["name"]: entry["state"] for entry in shown["processes"]}
        assert (states["clickhouse"], states["writer"], states["ingress"]) == ("not ready", "not ready", "ready")
        assert "clickhouse: http" in stage.longwave("doctor", code=1)
        (problem,) = [item for item in said(stage)["writer"].not_ready if item["part"] == "clickhouse"]
        assert 0 <= problem["seconds"] <= (now_ms() - began) / 1000 + 1
    all_ready(stage)


def test_a_hanging_kafka_is_reported_by_all_processes_without_its_address(stage: Scene) -> None:
    all_ready(stage)
    with stage.frozen("kafka"):
        wait_until(
            "all say so",
            lambda: all(parts(said(stage)[name]) >= {"kafka"} for name in ("worker-0", "writer", "ingress", "api")),
            SECONDS,
        )
        assert all(alive(stage, name) for name in OURS), "a restart would not help"
        for name in ("ingress", "api"):
            reported = json.dumps(said(stage)[name].not_ready)
            assert "127.0.0.1" not in reported
            assert str(stage.settings.kafka.bootstrap.rpartition(":")[2]) not in reported
        shown = status(stage)
        assert shown["problems"][0]["what"] == "kafka"
        assert {"worker-0", "writer", "ingress", "api"} <= {problem["what"] for problem in shown["problems"]}
    all_ready(stage)


@pytest.mark.parametrize(("name", "task"), [("worker-0", "Task lane-0:"), ("writer", "Task "), ("api", "Task ")])
def test_a_process_says_what_it_is_doing_and_goes_on(stage: Scene, name: str, task: str) -> None:
    pid = stage.signal(name, signal.SIGUSR1)
    wait_until("it has said it", lambda: "end of stacks" in stage.log(name))
    assert "(most recent call first)" in stage.log(name)
    assert task in stage.log(name)
    all_ready(stage)
    assert stage.entry(name)["pid"] == pid


def test_a_worker_that_hangs(stage: Scene) -> None:
    all_ready(stage)
    with stage.frozen("worker-0"):
        began = time.monotonic()
        shown = status(stage)
        assert time.monotonic() - began < 60, "it does not wait for a process that hangs"
        (problem,) = shown["problems"]
        assert (problem["what"], problem["detail"]) == (
            "worker-0",
            "does not answer: its process is stopped by a signal",
        )
        doctor = stage.longwave("doctor", code=1)
        # The stage's mail server is that of the tests of alerts, and away.
        assert doctor.startswith("2 problems\n  worker-0: does not answer"), doctor
        assert "\n  mail: " in doctor
    all_ready(stage)
