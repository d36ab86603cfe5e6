"""What the Kafka clients say when Kafka is away: through logging, and not a hundred times."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys

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


def test_the_same_is_said_every_so_often_with_how_often_it_was_not(caplog: pytest.LogCaptureFixture) -> None:
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


LINE = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3}Z [A-Z]+ [a-z.]+: ")


def test_each_entry_of_a_process_has_its_time_in_utc_also_what_nobody_caught() -> None:
    done = run_code(
        "import logging, warnings; from adapters import logs; logs.to_stderr();"
        "logging.getLogger('agents.x').info('begins'); logging.getLogger('aiokafka').warning('no broker');"
        "warnings.warn('old', DeprecationWarning, stacklevel=1); raise RuntimeError('a defect')"
    )
    entries = [line for line in done.stderr.splitlines() if LINE.match(line)]
    assert [line.split(" ", 1)[1].split(": ")[0] for line in entries] == [
        "INFO agents.x",
        "WARNING aiokafka",
        "WARNING py.warnings",
        "CRITICAL longwave",
    ]
    assert done.stderr.splitlines()[0] == entries[0]
    assert "RuntimeError: a defect" in done.stderr


def test_a_command_prints_nothing_of_what_libraries_say() -> None:
    done = run_code(
        "import logging; from adapters import logs; logs.silence();"
        "logging.getLogger('aiokafka').warning('Unable connect'); print('done')"
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_a_time_is_iso_8601_in_utc() -> None:
    assert logs.stamp(1_790_000_000.25) == "2026-09-21T14:13:20.250Z"
