"""The local stack: real processes, killed for real."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from devstack import background, children, ready, record
from tests.stack import environment


class Stack:
    """A private stack: `longwave` with its settings."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.variables = environment(data)
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            children.command(*words),
            env=self._env(variables),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        env = {**children.environment(), **self.variables}
        with (self.data / "out").open("ab") as out:
            child = subprocess.Popen(children.command(*words), env=env, text=True, stdout=out, stderr=out)
        self.processes.append(child)
        return child

    def _env(self, variables: dict[str, str]) -> dict[str, str]:
        return {**os.environ, **self.variables, **variables}

    def record(self) -> dict[str, Any]:
        return record.read(self.data) or {"state": "none", "processes": []}

    def entry(self, name: str) -> dict[str, Any]:
        return next((item for item in self.record()["processes"] if item["name"] == name), {})

    def wait(self, what: Callable[[], bool], seconds: float = 60) -> None:
        ready.wait_for("what the test waits for", what, timeout=seconds)

    def pids(self) -> list[int]:
        actual = self.record()
        return [actual["pid"], *(item["pid"] for item in actual["processes"])]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Cleaned up by pid, whatever the test did."""
    made = Stack(tmp_path)
    yield made
    if record.Lock(made.data).is_held():
        made.run("down")
    for process in made.processes:
        process.kill()
        process.wait()


def _gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_up_status_second_up_down_and_up_again_on_the_same_data(stack: Stack) -> None:
    up = stack.run("up", "-d", "--only", "kafka", "--only", "clickhouse", "--only", "aggregator")
    assert (up.returncode, up.stderr) == (0, "")
    assert "3 processes ready" in up.stdout
    pids = stack.pids()
    status = stack.run("status", "--json")
    assert status.returncode == 0
    shown = orjson.loads(status.stdout)
    assert [(item["name"], item["state"], item["restarts"]) for item in shown["processes"]] == [
        ("kafka", "ready", 0),
        ("clickhouse", "ready", 0),
        ("aggregator", "ready", 0),
    ]
    assert all(item["rss"] > 20_000_000 for item in shown["processes"])
    assert sorted(child.pid for child in psutil.Process(pids[0]).children()) == sorted(pids[1:])

    second = stack.run("up", "--only", "kafka")
    assert second.returncode == 1
    assert f"already run by pid {pids[0]}" in second.stderr

    assert shown["ok"]
    assert shown["processes"][0].keys() == {
        "name", "pid", "created", "state", "since", "ports", "restarts", "last_exit", "log", "rss", "ready",
        "answers", "not_ready", "limited",
    }  # fmt: skip
    doctor = stack.run("doctor", "--json")
    checks = {document["what"]: document for document in orjson.loads(doctor.stdout)["checks"]}
    assert checks["topics"]["ok"]
    assert checks["migrations"]["ok"]
    assert checks["ports"]["detail"] == "held by the running stack"

    assert checks["settings in force"]["ok"]
    changed = stack.run("doctor", LONGWAVE_KAFKA__SESSION_TIMEOUT="9", LONGWAVE_TOKEN_KEY="another")
    assert changed.returncode == 1
    said = " ".join(changed.stdout.split())
    assert "clickhouse runs with kafka.session_timeout = 6.0, the settings say 9.0" in said
    secret = stack.run("doctor", LONGWAVE_TOKEN_KEY="another")
    assert "kafka runs with another secret" in " ".join(secret.stdout.split())
    logs = [line for file in (stack.data / "logs").glob("*.log") for line in file.read_text().splitlines()]
    assert logs
    assert all(re.match(r'(\[|{"time":")?[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z', line) for line in logs), logs

    down = stack.run("down")
    assert (down.returncode, _gone(pids)) == (0, True)
    assert record.read(stack.data) is None
    assert stack.run("status").returncode == 1

    again = stack.run("up", "-d", "--only", "kafka")
    assert again.returncode == 0
    assert "made" not in (stack.data / "logs" / "supervisor.log").read_text().rpartition("stopped")[2]


def test_a_killed_process_is_restarted_and_status_says_so(stack: Stack) -> None:
    stack.start("up", "--only", "kafka")
    stack.wait(lambda: stack.record()["state"] == "ready")
    killed = stack.entry("kafka")["pid"]
    os.kill(killed, signal.SIGKILL)
    stack.wait(lambda: stack.entry("kafka")["restarts"] == 1 and stack.entry("kafka")["state"] == "ready")
    entry = stack.entry("kafka")
    assert entry["pid"] != killed
    assert entry["last_exit"] == -signal.SIGKILL
    assert "signal 9" in stack.run("status", COLUMNS="200").stdout


def test_killing_the_supervisor_leaves_nothing_and_the_next_up_works(stack: Stack) -> None:
    up = stack.start("up", "--only", "kafka")
    stack.wait(lambda: stack.record()["state"] == "ready")
    pids = stack.pids()
    up.kill()
    up.wait()
    stack.wait(lambda: _gone(pids), 5)
    assert not background.is_up(stack.data)
    assert "no stack runs" in stack.run("down").stdout
    assert stack.run("up", "-d", "--only", "kafka").returncode == 0


def test_ctrl_c_stops_all_in_order_and_ends_cleanly(stack: Stack) -> None:
    up = stack.start("up", "--only", "kafka", "--only", "clickhouse")
    stack.wait(lambda: stack.record()["state"] == "ready")
    pids = stack.pids()
    up.send_signal(signal.SIGINT)
    assert up.wait(120) == 0
    assert _gone(pids)
    assert "Traceback" not in (stack.data / "out").read_text()


def test_ctrl_c_while_starting_leaves_nothing(stack: Stack) -> None:
    up = stack.start("up", "--only", "kafka")
    stack.wait(lambda: bool(stack.entry("kafka").get("pid")))
    pids = stack.pids()
    up.send_signal(signal.SIGINT)
    assert up.wait(120) == 0
    assert _gone(pids)


@pytest.mark.parametrize("detach", [(), ("-d",)])
def test_a_taken_port_is_named_before_anything_starts(stack: Stack, detach: tuple[str, ...]) -> None:
    port = int(stack.variables["LONGWAVE_CLICKHOUSE__PORT"])
    with socket.create_server(("127.0.0.1", port)):
        up = stack.run("up", *detach, "--only", "kafka", "--only", "clickhouse")
    assert up.returncode == 1
    assert f"error: port {port} is taken by pid {os.getpid()}" in up.stderr
    assert "set clickhouse.port (LONGWAVE_CLICKHOUSE__PORT)" in up.stderr
    assert not (stack.data / "logs" / "kafka.log").exists()


def test_a_process_that_cannot_start_ends_up_with_its_own_words(stack: Stack) -> None:
    (stack.data / "kafka" / "logs").mkdir(parents=True)
    (stack.data / "kafka" / "logs" / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=x\n")
    up = stack.run("up", "--only", "kafka")
    assert up.returncode == 1
    assert "kafka ended 3 times before it was ready" in up.stderr
    assert "node.id" in up.stderr or "node id" in up.stderr.lower()
    assert record.read(stack.data) is None


def test_servers_elsewhere_are_awaited_not_started(stack: Stack) -> None:
    begin = time.monotonic()
    up = stack.run("up", "--only", "kafka", "--only", "writer", LONGWAVE_KAFKA__BOOTSTRAP="127.0.0.2:9,127.0.0.3:9")
    assert up.returncode == 1
    assert "kafka was not ready after 15 s at 127.0.0.2:9,127.0.0.3:9" in up.stderr
    assert time.monotonic() - begin < 30
    assert not (stack.data / "logs" / "kafka.log").exists()


def test_doctor_has_problems_first_each_with_its_fix_in_80_columns(stack: Stack) -> None:
    doctor = stack.run("doctor", COLUMNS="80")
    assert doctor.returncode == 1
    lines = doctor.stdout.splitlines()
    number = int(lines[0].split()[0])
    assert lines[0] == f"{number} problems"
    assert lines.index("", 1) < next(index for index, line in enumerate(lines) if "checks passed" in line)
    assert {"  kafka", "  clickhouse"} <= {line.partition(":")[0] for line in lines[: lines.index("")]}
    assert doctor.stdout.count("    fix: ") == number
    assert [line for line in lines if len(line) > 80 and len(line.split()) > 1] == [], "only a path may be wider"


def test_doctor_shows_the_settings_when_asked_and_masks_secrets(stack: Stack) -> None:
    for words in (["doctor"], ["doctor", "--json"]):
        plain = stack.run(*words, LONGWAVE_TOKEN_KEY="do-not-show-me")
        shown = stack.run(*words, "--settings", LONGWAVE_TOKEN_KEY="do-not-show-me")
        assert "do-not-show-me" not in plain.stdout + plain.stderr + shown.stdout + shown.stderr
        assert "session_timeout" not in plain.stdout
        assert "session_timeout" in shown.stdout
    assert orjson.loads(shown.stdout)["settings"]["token_key"] == "**********"
    assert "kafka.session_timeout = 6.0" in stack.run("doctor", "--settings").stdout


def test_doctor_says_that_the_mail_server_for_alerts_is_away(stack: Stack) -> None:
    smtp = {"LONGWAVE_SMTP__HOST": "127.0.0.1", "LONGWAVE_SMTP__PORT": "1", "LONGWAVE_SMTP__SECURITY": "none"}
    doctor = orjson.loads(stack.run("doctor", "--json", **smtp).stdout)
    (mail,) = [problem for problem in doctor["problems"] if problem["what"] == "mail"]
    assert mail["detail"].startswith("127.0.0.1:1 takes no e-mail from us: ")
    assert "[smtp]" in mail["fix"]
    assert "mail" not in {check["what"] for check in orjson.loads(stack.run("doctor", "--json").stdout)["checks"]}


def test_the_json_of_doctor_and_status_is_as_documented(stack: Stack) -> None:
    doctor = orjson.loads(stack.run("doctor", "--json").stdout)
    assert doctor.keys() == {"ok", "problems", "checks"}
    assert doctor["ok"] is False
    assert doctor["problems"] == [check for check in doctor["checks"] if not check["ok"]]
    assert {tuple(check) for check in doctor["checks"]} == {("what", "ok", "detail", "fix")}
    assert all(check["fix"] for check in doctor["problems"])
    assert "aggregator local" in {check["what"] for check in doctor["problems"]}, "nobody is there"
    status = stack.run("status", "--json")
    assert status.returncode == 1
    answer = orjson.loads(status.stdout)
    assert (answer["ok"], answer["state"], answer["processes"]) == (False, "down", [])
    assert answer["problems"][0]["fix"] == "start one with `longwave up`"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["up", "--workers", "many"], 2, "Invalid value for '--workers'"),
        (["up", "--only", "kafak"], 2, "error: there is no process kafak; there are kafka, clickhouse"),
        (["upp"], 2, "No such command"),
        (["--config", "absent.toml", "status"], 1, "error: LONGWAVE_CONFIG names absent.toml, which does not exist"),
    ],
)
def test_mistakes_are_answered_without_a_traceback(stack: Stack, words: list[str], code: int, said: str) -> None:
    done = stack.run(*words)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr


def test_help_is_quick_and_lists_the_commands(stack: Stack) -> None:
    begin = psutil.Process().cpu_times()
    done = stack.run("--help")
    end = psutil.Process().cpu_times()
    spent = end.children_user + end.children_system - begin.children_user - begin.children_system
    assert {"up", "down", "status", "doctor", "run"} <= {line.split()[0] for line in done.stdout.splitlines() if line}
    assert spent < 0.4  # CPU seconds: a busy machine does not make it fail
