"""Twenty campaigns to the same people, launched at once on the whole stack: no window and no cap is ever broken, by
the aggregator's own record and by the reservations, and as many are sent as possible."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition

from adapters.clickhouse import Store
from loadtest.aggregator.record import entries
from loadtest.bench.campaigns import fill
from pipeline.identity.buckets import hashes
from pipeline.limits.smart_sending import read_blocker
from schemas.topics import RESERVATIONS
from tests.trouble.scene import MESSAGE, Scene, wait_until

CAMPAIGNS = 20
PEOPLE = 1500
CAP = 3
"""Of account `race` a day."""
WINDOW_HOURS = 8
ENDED = ("sent", "finished")


@pytest.fixture(scope="module")
def stage(shared_stage: Scene) -> Iterator[Scene]:
    # Its number is none of those whose logs other tests look into.
    with shared_stage.another_worker(2):
        wait_until("the second worker is given partitions", lambda: "is ours, epoch" in shared_stage.log("worker-2"))
        yield shared_stage


@dataclass
class Race:
    """Twenty campaigns and what came of them."""

    stage: Scene
    first: int
    hours: int
    ids: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Launch all at once, and wait until each has ended."""
        name = f"race-{self.first}"
        fill(self.stage.settings, name, PEOPLE, self.first)
        audience = {"lists": [name]}
        body = {"account": "race", "audience": audience, "messages": [MESSAGE], "smart_sending_hours": self.hours}
        with ThreadPoolExecutor(CAMPAIGNS) as pool:
            drafts = [json.dumps({"name": f"{name}-{nth}", **body}).encode() for nth in range(CAMPAIGNS)]
            made = pool.map(lambda draft: self.stage.api.send("POST", "/v1/campaigns", draft), drafts)
            self.ids = [item["id"] for item in made]
            list(pool.map(self.launch, self.ids))
        wait_until("all have ended", lambda: all(self.shown(item)["status"] in ENDED for item in self.ids), pause=0.5)

    def launch(self, campaign: str) -> None:
        """Launch, though the review may see that those before it left nobody."""
        self.stage.api.send("POST", f"/v1/campaigns/{campaign}/launch", allow_empty=True)

    def shown(self, campaign: str) -> dict[str, object]:
        actual: dict[str, object] = self.stage.api.get(f"/v1/campaigns/{campaign}")
        return actual

    def arrivals(self) -> dict[int, list[tuple[int, str]]]:
        """Number → (ms, campaign) of each message that arrived there, by the aggregator's record."""
        actual: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for entry in entries(self.stage.data / "aggregator"):
            for message in entry.batch().messages:
                if message.id[:8] in self.ids:
                    actual[int(message.to[1:])].append((entry.at // 1_000_000, message.id[:8]))
        return actual

    def reservations(self) -> dict[int, list[tuple[int, int]]]:
        """Number → (planned ms, window in minutes) of what holds, by the table's changelog."""
        numbers = np.arange(self.first, self.first + PEOPLE, dtype=np.uint64)
        number_of = dict(zip(hashes(numbers).tolist(), numbers.tolist(), strict=True))
        actual: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for packed in changelog(self.stage).values():
            for hashed, word, _ in np.frombuffer(packed, "<u8").reshape(-1, 3).tolist():
                if hashed in number_of and not word & 0x8000:
                    actual[number_of[hashed]].append((word >> 16, word & 0x7FFF))
        return actual

    def skips(self) -> tuple[Counter[str], set[tuple[int, str]]]:
        """Skipped messages by reason, and (number, campaign that was in the way) of each."""
        store = Store(self.stage.settings.clickhouse)
        rows = store.rows(
            """SELECT number, why, cause FROM
                (SELECT campaign, toString(reason) AS why, one.1 AS ordinal, one.2 AS cause FROM
                    (SELECT campaign, reason, arrayJoin(arrayZip(ordinals, ids)) AS one FROM status_log
                    WHERE state = 'passed_over' AND campaign IN {ids:Array(String)})
                GROUP BY campaign, why, ordinal, cause) AS skipped
            INNER JOIN audience USING (campaign, ordinal)""",
            {"ids": self.ids},
        )
        store.close()
        causes = {(int(number), (read_blocker(cause) or ("", 0, 0))[0]) for number, _, cause in rows}
        return Counter(why for _, why, _ in rows), causes


def changelog(stage: Scene) -> dict[bytes, bytes]:
    """The newest value of each bucket."""
    consumer = Consumer({"bootstrap.servers": stage.settings.kafka.bootstrap, "group.id": "race"})
    newest: dict[bytes, bytes] = {}
    try:
        for partition in range(stage.settings.kafka.partitions):
            place = TopicPartition(RESERVATIONS.name, partition, 0)
            at, end = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([place])
            while at < end:
                for message in consumer.consume(500, 1.0):
                    assert message.error() is None
                    newest[message.key() or b""] = message.value() or b""
                    at = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return newest


def test_each_gets_one_message_where_all_have_a_window(stage: Scene) -> None:
    race = Race(stage, 13_105_000_000, WINDOW_HOURS)
    race.run()
    arrivals, reserved = race.arrivals(), race.reservations()
    # The best: all are planned within seconds, so one message for each.
    assert [len(arrival) for arrival in arrivals.values()] == [1] * PEOPLE
    assert [len(item) for item in reserved.values()] == [1] * PEOPLE
    assert {window for item in reserved.values() for _, window in item} == {WINDOW_HOURS * 60}
    reasons, causes = race.skips()
    assert reasons == {"smart_sending": (CAMPAIGNS - 1) * PEOPLE}
    assert causes == {(number, campaign) for number, got in arrivals.items() for _, campaign in got}


def test_each_gets_as_many_as_the_accounts_cap_where_none_has_a_window(stage: Scene) -> None:
    race = Race(stage, 13_106_000_000, 0)
    race.run()
    arrivals, reserved = race.arrivals(), race.reservations()
    assert [len({campaign for _, campaign in arrival}) for arrival in arrivals.values()] == [CAP] * PEOPLE
    assert [len(arrival) for arrival in arrivals.values()] == [CAP] * PEOPLE
    assert [len(item) for item in reserved.values()] == [CAP] * PEOPLE
    reasons, causes = race.skips()
    assert reasons == {"account_cap": (CAMPAIGNS - CAP) * PEOPLE}
    assert causes <= {(number, campaign) for number, got in arrivals.items() for _, campaign in got}
    assert {number for number, _ in causes} == arrivals.keys()
