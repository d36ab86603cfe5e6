"""Incidents of a bad night, one function each; `ALL` has them in the order in which `rehearse all` plays them."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Final

import orjson

from adapters.kafka import dead_letters
from adapters.kafka.bulk import BulkWriter
from adapters.terminal import UserError
from loadtest.bench.campaigns import wait_until
from loadtest.rehearsal.incident import Begun, Incident
from loadtest.rehearsal.stage import CALM, PATIENCE, Stage
from schemas import topics

GARBAGE: Final = b"\xff\x00 not a record"
STATUS, DOCTOR = "longwave status", "longwave doctor"
SLOW: Final = CALM.replace("median = 0.05", "median = 3.0, sigma = 0.05")
THROTTLING: Final = (
    CALM
    + """
[throttle]
rate = 1.0
answer = "batch"
retry_after = 20
"""
)
SILENT: Final = CALM.partition("[receipts]")[0]
RESTARTS: Final = 4
"""More than the rule wants: Prometheus may miss one between two scrapes."""
FREE_SHARE: Final = 0.06
"""Of the full disk: too little by the rule that is to fire, and enough for everybody to go on."""
MANY: Final = 330_000
"""Recipients for whom the traffic's sender needs more than two hours."""
POOR, FEW, DUE_SECONDS = "night", 100, 15 * 60.0 + 30.0
"""An account without credits, the recipients of its campaign, and when it is due: it is processed some time before
(`pipeline.campaign.when`)."""
FAKETIME: Final = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def aggregator_down(stage: Stage) -> Begun:
    """The aggregator is killed, and nobody starts it again."""
    return Begun(others_mend=stage.keep_down("aggregator"))


def aggregator_slow(stage: Stage) -> Begun:
    """The aggregator needs three seconds for each answer."""
    stage.set_behavior(SLOW)
    return Begun(others_mend=lambda: stage.set_behavior(CALM))


def aggregator_throttling(stage: Stage) -> Begun:
    """The aggregator answers 429 with Retry-After to everything."""
    stage.set_behavior(THROTTLING)
    return Begun(others_mend=lambda: stage.set_behavior(CALM))


def broker_dead(stage: Stage) -> Begun:
    """The broker is killed, and nobody starts it again."""
    return Begun(others_mend=stage.keep_down("kafka"))


def clickhouse_frozen(stage: Stage) -> Begun:
    """ClickHouse takes connections and answers nothing."""
    return Begun(others_mend=stage.freeze("clickhouse"))


def worker_killed_in_a_loop(stage: Stage) -> Begun:
    """The worker is killed whenever it has come back."""
    for _ in range(RESTARTS):
        stage.kill("worker-0")
        time.sleep(2 * stage.prometheus.interval)
    return Begun()


def lane_without_owner(stage: Stage) -> Begun:
    """The only worker is killed, and nobody starts it again."""
    return Begun(others_mend=stage.keep_down("worker-0"))


def poison_records(stage: Stage) -> Begun:
    """Bytes that no step can read, in a topic that a worker reads and in one that the writer reads."""
    kafka = stage.stack.settings.kafka
    broker = BulkWriter(kafka.bootstrap)
    for topic in (topics.RECEIPTS, topics.STATUSES):
        broker.write(topic.name, 0, GARBAGE)
    broker.flush()
    wait_until("they are dead letters", lambda: len(_letters(stage)) == 2, PATIENCE)
    return Begun(values={"ORIGIN": _letters(stage)})


def _letters(stage: Stage) -> list[str]:
    letters = asyncio.run(dead_letters.read(stage.stack.settings.kafka))
    return [letter.origin for letter in letters]


def disk_nearly_full(stage: Stage) -> Begun:
    """Somebody else's file leaves 6 % of the disk free."""
    filler = stage.stack.settings.data.parent / "filler"
    disk = shutil.disk_usage(filler.parent)
    size = disk.free - round(FREE_SHARE * disk.total)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    return Begun(others_mend=filler.unlink)


def receipts_silent(stage: Stage) -> Begun:
    """The aggregator takes messages and sends no receipts."""
    stage.set_behavior(SILENT)
    return Begun(others_mend=lambda: stage.set_behavior(CALM))


def clock_off(stage: Stage) -> Begun:
    """A machine with an ingress has a clock that is half a minute fast.

    Raises:
        UserError: libfaketime is not installed.
    """
    if not FAKETIME:
        raise UserError("this incident needs libfaketime; on Debian or Ubuntu: sudo apt-get install faketime")
    end = stage.second_ingress(LD_PRELOAD=str(FAKETIME[0]), FAKETIME="+30s", FAKETIME_DONT_FAKE_MONOTONIC="1")
    return Begun(others_mend=end)


def stuck_by_a_limit(stage: Stage) -> Begun:
    """A campaign to more people than its sender can write to in hours."""
    campaign = stage.launch("too-many", MANY, 12_135_000_000)
    return Begun(values={"CAMPAIGN": [campaign]})


def balance_short(stage: Stage) -> Begun:
    """An account that pays beforehand has a campaign for later, and no credits when it is due."""
    body = {"billing": "prepaid", "site_name": "Night & Sons"}
    stage.api.send("PUT", f"/v1/accounts/{POOR}", orjson.dumps(body))
    sender = {"number": "+18885550133", "lanes": [0]}
    stage.api.send("PUT", f"/v1/accounts/{POOR}/senders/main", orjson.dumps(sender))
    due = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + DUE_SECONDS))
    campaign = stage.launch("later", FEW, 12_145_000_000, account=POOR, send_at=due)
    path = f"/v1/campaigns/{campaign}"
    wait_until("it waits for a top-up", lambda: stage.api.get(path)["status"] == "suspended", 2 * PATIENCE)
    return Begun(values={"ACCOUNT": [POOR], "CREDITS": ["100"]})


ALL: Final = (
    Incident(
        "aggregator-down", "the aggregator is killed and nobody starts it", "AggregatorDown", aggregator_down,
        ("longwave campaign list --status suspended", DOCTOR), takes=20, others="the aggregator is back",
    ),
    Incident(
        "aggregator-slow", "the aggregator needs 3 s for an answer", "AggregatorSlow", aggregator_slow, (STATUS,),
        takes=15, others="the aggregator is as fast as before",
    ),
    Incident(
        "aggregator-throttling", "the aggregator answers 429 to everything", "AccountThrottled",
        aggregator_throttling, ("longwave campaign list --status sending", DOCTOR), takes=15,
        others="the aggregator allows as much as before",
    ),
    Incident(
        "broker-dead", "the broker is killed and nobody starts it", "KafkaDown", broker_dead, (STATUS, DOCTOR),
        takes=15, others="the broker's machine is back",
    ),
    Incident(
        "clickhouse-frozen", "ClickHouse takes connections and answers nothing", "ClickHouseDown",
        clickhouse_frozen, (DOCTOR, STATUS), takes=20, others="ClickHouse goes on",
    ),
    Incident(
        "worker-killed", "a worker is killed whenever it has come back", "ProcessRestarting",
        worker_killed_in_a_loop, (STATUS, DOCTOR), takes=15, others="nobody kills it anymore",
    ),
    Incident(
        "lane-without-owner", "the only worker is killed and nobody starts it", "LanesWithoutOwner",
        lane_without_owner, (STATUS, DOCTOR), takes=15, others="the worker's machine is back",
    ),
    Incident(
        "poison-records", "topics have bytes that no step can read", "DeadLettersWaiting", poison_records,
        ("longwave dead-letters list", "longwave dead-letters drop ORIGIN"), takes=20,
    ),
    Incident(
        "disk-nearly-full", "a disk has 6 % left", "DiskFilling", disk_nearly_full, ("longwave doctor",), takes=15,
        others="the file that fills it is removed", small_disk=True,
    ),
    Incident(
        "receipts-silent", "messages are accepted and no receipts come", "ReceiptsSilent", receipts_silent,
        (DOCTOR, "longwave dead-letters list"), takes=15, others="the aggregator sends receipts again",
    ),
    Incident(
        "clock-off", "a machine's clock is half a minute fast", "ClockOff", clock_off, (DOCTOR,), takes=15,
        others="the machine is taken away",
    ),
    Incident(
        "stuck-by-a-limit", "a campaign needs hours at its sender's limit", "LimitTooSmall", stuck_by_a_limit,
        ("longwave campaign list --status sending", "longwave campaign pause CAMPAIGN"), takes=40,
    ),
    Incident(
        "balance-short", "a campaign is due whose account has no credits", "BalanceShort", balance_short,
        ("longwave balance show ACCOUNT", "longwave balance top-up ACCOUNT CREDITS"), takes=90,
    ),
)  # fmt: skip
