"""Policy `query` on a real Kafka and the simulated aggregator: what a lost owner and lost answers leave open is asked
for, and everybody has the message exactly once."""

from __future__ import annotations

from pathlib import Path

from adapters.aggregators.http_batch import HttpBatch
from adapters.aggregators.settings import HttpBatchSettings
from adapters.clock import now_ms
from adapters.kafka.producer import Producer
from adapters.ports import Submission
from adapters.settings import Kafka, Settings, Worker
from agents.app import build
from loadtest.aggregator.submissions import Submissions
from pipeline.identity.tokens import message_ids
from schemas import topics
from schemas.lane import LaneRecord
from schemas.wire import encode
from tests.accounts import write_accounts
from tests.agents.worker import started, until
from tests.loadtest.test_aggregator import SECRET, simulator
from tests.pipeline.lane.records import A, control, intent, owner, work
from tests.stack import Server

LANE = 1
ACCOUNTS = f"""
[accounts.demo]
segments_per_second = 5000
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 5000
lanes = [{LANE}]
"""
SCRIPT = "[faults]\nserver_error = 0.3\nprocessed = 0.5\n"
"""Three of ten requests are answered with 500, half of them after they were taken."""


async def test_what_a_lost_owner_and_lost_answers_leave_open_is_asked_for_and_sent_once(
    own_kafka: Server, tmp_path: Path
) -> None:
    with simulator(tmp_path / "aggregator", SCRIPT) as (url, _):
        aggregator = HttpBatchSettings.model_validate(
            {
                "url": f"{url}/v1/messages",
                "query_url": f"{url}/v1/query",
                "secret": SECRET,
                "timeout": 0.5,
                "batch": 20,
            }
        )
        settings = Settings(
            kafka=Kafka(bootstrap=own_kafka.address, partitions=2, lanes=2),
            data=tmp_path / "data",
            aggregators={"local": aggregator},
            worker=Worker(breaker_failures=100),
        )
        producer = Producer(settings.kafka)

        async def write(record: LaneRecord) -> int:
            return (await producer.emit(topics.LANES.name, encode(record), partition=LANE)).offset

        write_accounts(own_kafka.address, ACCOUNTS)
        await write(control(at=now_ms(), unknown="query", transactional=True))
        epoch = await write(owner("dead", at=now_ms())) + 1
        chunk = await write(work(list(range(100)), at=now_ms()))
        await write(intent(epoch, [(chunk, 0, 10)], at=now_ms()))
        dead = HttpBatch("dead", aggregator)
        await _arrives(dead, message_ids(A, 0, [0, 1, 2, 3]))  # and then the owner died

        async with started(build(settings, 0)) as app:
            await until(lambda: LANE in app.lanes._owners and app.lanes._owners[LANE].active)
            lane = app.lanes._owners[LANE]

            def settled() -> bool:
                return (
                    lane.driver.state.next_offset > 10
                    and not lane.driver.state.waiting
                    and not lane.driver.state.flights
                )

            await until(settled, 60)
        await producer.close()
        await dead.close()
    actual = Submissions.read(tmp_path / "aggregator")
    everybody = set(message_ids(A, 0, list(range(100))))
    assert actual.accepted == everybody
    assert actual.key_hits == 0, "the aggregator's keys had nothing to do"
    assert not actual.received_twice


async def _arrives(aggregator: HttpBatch, ids: list[str]) -> None:
    for _ in range(50):
        reported = await aggregator.lookup(ids)
        if not isinstance(reported, str) and all(item.outcome == "accepted" for item in reported):
            return
        await aggregator.submit([Submission(item, 12125550000, "hi", "+18885550100") for item in ids])
    raise AssertionError("nothing arrives")
