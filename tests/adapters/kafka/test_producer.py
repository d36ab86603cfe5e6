"""The producer after an error that no further attempt mends, raised in librdkafka itself."""

from __future__ import annotations

import asyncio
import signal

import pytest
from confluent_kafka import KafkaError

from adapters.errors import EmitBroken, EmitError
from adapters.kafka.producer import Producer, broken, end_process, failure
from adapters.settings import Kafka
from tests.fatal_error import raise_fatal
from tests.stack import free_ports


def nobody() -> Kafka:
    """Where no broker is."""
    return Kafka(bootstrap=f"127.0.0.1:{free_ports(1)[0]}")


async def test_a_fatal_error_fails_pending_and_later_records_and_is_reported_once() -> None:
    reported: list[EmitBroken] = []
    producer = Producer(nobody(), reported.append)
    pending = producer.send("things", b"before")
    raise_fatal(producer._producer, "its sequence is lost")
    with pytest.raises(EmitBroken, match=r"its sequence is lost.*this process ends"):
        await asyncio.wait_for(pending, 10)
    for _ in range(2):
        with pytest.raises(EmitBroken, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
            await producer.send("things", b"after")
    await producer.close()
    assert [str(item) for item in reported] == [str(reported[0])]


async def test_a_fatal_error_without_a_record_is_reported_too() -> None:
    reported: asyncio.Future[EmitBroken] = asyncio.get_running_loop().create_future()
    producer = Producer(nobody(), reported.set_result)
    raise_fatal(producer._producer, "fenced")
    assert "fenced" in str(await asyncio.wait_for(reported, 10))
    await producer.close()


async def test_without_a_broker_it_is_not_broken() -> None:
    reported: list[EmitBroken] = []
    producer = Producer(Kafka(bootstrap=nobody().bootstrap, session_timeout=3), reported.append)
    with pytest.raises(EmitError) as raised:
        await asyncio.wait_for(producer.send("things", b"x"), 20)
    assert not isinstance(raised.value, EmitBroken)
    await producer.close()
    assert reported == []


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True), True),
        (KafkaError(KafkaError._FATAL), True),
        (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap"), False),
        (KafkaError(KafkaError._MSG_TIMED_OUT), False),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), False),
    ],
)
def test_only_what_librdkafka_calls_fatal_is(error: KafkaError, fatal: bool) -> None:
    assert (broken(error) is not None) == fatal
    assert isinstance(failure("writing", error), EmitError)


async def test_where_nothing_else_is_known_the_process_ends_in_good_order(caplog: pytest.LogCaptureFixture) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked.set)
    try:
        end_process(EmitBroken("cannot go on"))
        await asyncio.wait_for(asked.wait(), 5)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("CRITICAL", "cannot go on")]
