"""What the Kafka clients say when Kafka is away: through logging, and not a hundred times."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from adapters import logs
from adapters.errors import EmitError
from adapters.kafka.producer import Producer
from adapters.kafka.views import View
from adapters.settings import Kafka
from tests.stack import free_ports


async def test_clients_without_kafka_say_so_now_and_then(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs._limit, "_said", {})
    nobody = Kafka(bootstrap=f"127.0.0.1:{free_ports(1)[0]}", session_timeout=2.0)
    producer, view = Producer(nobody), View(nobody, "things", lambda key, value: None)
    await view.start()
    with pytest.raises(EmitError):
        await producer.emit("things", b"x")
    await asyncio.sleep(2.5)
    await view.stop()
    await producer.close()
    said = [record.name for record in caplog.records if record.name.startswith(("librdkafka", "aiokafka"))]
    assert "librdkafka" in said
    assert "aiokafka" in said
    assert len(said) == len(set(zip(said, (r.msg for r in caplog.records if r.name in said), strict=False)))
    assert "FAIL" not in capfd.readouterr().err
    assert "Unclosed" not in caplog.text


def test_the_same_line_is_logged_now_and_then_with_the_number_of_suppressed_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger, now_and_then = logging.getLogger("test.repeats"), logs.NowAndThen(0.05)
    logger.addFilter(now_and_then)
    for n in range(5):
        logger.warning("node %s is away", n)
    logger.warning("something else")
    now_and_then._seconds = 0.0
    logger.warning("node %s is away", 9)
    assert [record.getMessage() for record in caplog.records] == [
        "node 0 is away",
        "something else",
        "node 9 is away (and 4 more like it)",
    ]


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


SAYS = (
    "import logging, warnings; from adapters import logs; logs.to_stderr('worker-0', {form!r});"
    "log = logging.getLogger('agents.x');"
    "log.info('lane %s is ours', 3, extra={{'lane': 3, 'account': 'demo', 'secret': 'x'}});"
    "log.warning('text \\x1b[2J\\nERROR forged', extra={{'by': 'a\\nb\\x9bc'}});"
    "logging.getLogger('faust.app').info('banner');"
    "logging.getLogger('agents.guards.durable').info('[^--GuardedConsumer]: Starting...');"
    " logging.getLogger('aiokafka').warning('no broker');"
    "warnings.warn('old', DeprecationWarning, stacklevel=1); raise RuntimeError('a defect')"
)
"""A process that logs, warns and ends with what nobody caught."""
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3}Z")


@pytest.mark.parametrize("form", ["json", "auto"])
def test_each_line_is_an_object_with_time_level_process_and_what_it_is_about(form: str) -> None:
    lines = [orjson.loads(line) for line in run_code(SAYS.format(form=form)).stderr.splitlines()]
    assert all(TIME.fullmatch(line["time"]) and line["process"] == "worker-0" for line in lines)
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("info", "agents.x"),
        ("warning", "agents.x"),
        ("warning", "aiokafka"),
        ("warning", "py.warnings"),
        ("critical", "longwave"),
    ]
    first, strange, *_, last = lines
    assert list(first) == ["time", "level", "process", "logger", "message", "lane", "account"]
    assert (first["message"], first["lane"], first["account"]) == ("lane 3 is ours", 3, "demo")
    assert strange["message"] == "text \\u001b[2J\\nERROR forged"
    assert strange["by"] == "a\\nb\\u009bc"
    assert "RuntimeError: a defect" in last["exception"]


def test_on_a_terminal_lines_are_readable_and_cannot_be_forged() -> None:
    said = run_code(SAYS.format(form="text")).stderr
    lines = [line for line in said.splitlines() if TIME.match(line)]
    assert len(lines) == 5
    assert "lane 3 is ours" in lines[0]
    assert "lane=3 account=demo" in lines[0]
    assert "text \\u001b[2J\\nERROR forged" in lines[1]
    assert "\x1b" not in said
    assert "\x9b" not in said
    assert not [line for line in said.splitlines() if line.startswith("ERROR")]
    assert "RuntimeError: a defect" in said


def test_a_process_that_cannot_start_says_so_in_its_form(tmp_path: Path) -> None:
    for form, is_json in (("json", True), ("text", False)):
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "--config", "absent.toml", "run", "--log-format", form, "api"],
            capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        )  # fmt: skip
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert "error: LONGWAVE_CONFIG names absent.toml" in line
        assert line.startswith("{") is is_json
        if is_json:
            assert orjson.loads(line)["level"] == "error"


def test_a_command_prints_nothing_of_what_libraries_say() -> None:
    done = run_code(
        "import logging; from adapters import logs; logs.silence();"
        "logging.getLogger('aiokafka').warning('Unable connect'); print('done')"
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_time_is_iso_8601_in_utc() -> None:
    assert logs.stamp(1_790_000_000.25) == "2026-09-21T14:13:20.250Z"
