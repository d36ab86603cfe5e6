"""`longwave dead-letters` on a real Kafka: what is listed, what a replay puts back, what a drop leaves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from adapters import settings
from adapters.kafka import dead_letters, topics
from adapters.kafka.producer import Producer
from adapters.settings import Kafka
from cli.main import run
from devstack import children
from schemas.deadletter import DeadLetter, Resolution, to_text
from schemas.wire import encode
from tests.stack import Server, environment, running_kafka

GARBAGE = b'{"kind":"status","v":9}\xff'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Kafka of its own: `list` shows every dead letter of a broker."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(autouse=True)
def on_it(broker: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kafka:
    for name, value in environment(tmp_path, kafka_bootstrap=broker.address).items():
        monkeypatch.setenv(name, value)
    kafka = settings.load().kafka
    topics.ensure(kafka)
    return kafka


def write(kafka: Kafka, *records: tuple[str, bytes, int]) -> None:
    async def emit() -> None:
        producer = Producer(kafka)
        for topic, value, partition in records:
            await producer.emit(topic, value, key=b"k", partition=partition)
        await producer.close()

    asyncio.run(emit())


def letter(offset: int, value: bytes | None = GARBAGE, partition: int = 2) -> DeadLetter:
    return DeadLetter(
        topic="statuses",
        partition=partition,
        offset=offset,
        step="writer",
        reason="unreadable_record",
        error=f"Expected 1, got 9 at {offset}",
        at=1_700_000_000_000,
        key=to_text(b"the-key"),
        value=to_text(value),
    )


def put(kafka: Kafka, *letters: DeadLetter) -> None:
    write(kafka, *(("dead-letters", encode(item), 0) for item in letters))


def last_of(kafka: Kafka, topic: str, partition: int) -> tuple[bytes | None, bytes | None]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test", "enable.auto.commit": False})
    at = TopicPartition(topic, partition)
    _, high = consumer.get_watermark_offsets(at, timeout=10)
    at.offset = high - 1
    consumer.assign([at])
    actual = consumer.poll(10)
    consumer.close()
    return actual.key(), actual.value()


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert run(["dead-letters", "list", "--json"]) == 0
    return {document["origin"]: document for document in json.loads(capsys.readouterr().out)}


def test_lists_each_origin_once_with_step_and_error(on_it: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    put(on_it, letter(1), letter(1), letter(2, None))
    actual = listed(capsys)
    assert {"statuses/2/1", "statuses/2/2"} <= set(actual)
    assert actual["statuses/2/1"]["step"] == "writer"
    assert run(["dead-letters", "list"]) == 0
    text = capsys.readouterr().out
    assert text.count("statuses/2/1 ") == 1
    assert "Expected 1, got 9 at 1" in text
    assert "\\ufffd" in text
    assert "(no value)" in text


def test_replay_puts_the_original_bytes_back_and_the_letter_is_gone(
    on_it: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    put(on_it, letter(10), letter(11))
    assert run(["dead-letters", "replay", "statuses/2/10"]) == 0
    assert last_of(on_it, "statuses", 2) == (b"the-key", GARBAGE)
    actual = listed(capsys)
    assert "statuses/2/10" not in actual
    assert "statuses/2/11" in actual


def test_drop_puts_nothing_back(on_it: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    put(on_it, letter(20, b"dropped", partition=1))
    write(on_it, ("statuses", b"before", 1))
    assert run(["dead-letters", "drop", "statuses/1/20"]) == 0
    assert last_of(on_it, "statuses", 1)[1] == b"before"
    assert "statuses/1/20" not in listed(capsys)


@pytest.mark.parametrize("how", ["drop", "replay"])
def test_what_was_dealt_with_stays_so_when_its_step_replays_its_input(
    on_it: Kafka, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    # A replayed record stands at a new place: if it fails again, its letter has that origin.
    offset = 30 if how == "drop" else 31
    put(on_it, letter(offset))
    assert run(["dead-letters", how, f"statuses/2/{offset}"]) == 0
    put(on_it, letter(offset))
    assert f"statuses/2/{offset}" not in listed(capsys)


def test_unknown_origin_is_an_error_and_nothing_is_done(on_it: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    put(on_it, letter(40))
    assert run(["dead-letters", "drop", "statuses/2/40", "statuses/9/9"]) == 1
    assert "statuses/9/9; nothing was done" in capsys.readouterr().err
    assert "statuses/2/40" in listed(capsys)


def test_a_record_of_a_newer_version_is_passed_over(on_it: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    write(on_it, ("dead-letters", b'{"kind":"dead-letter","v":7}', 0))
    put(on_it, letter(50))
    assert "statuses/2/50" in listed(capsys)


async def test_a_resolution_records_its_author_and_the_method(on_it: Kafka) -> None:
    producer = Producer(on_it)
    await dead_letters.drop(producer, letter(60), "ann")
    await producer.close()
    _, value = await asyncio.to_thread(last_of, on_it, "dead-letters", 0)
    resolution = dead_letters.DEAD_LETTERS.decode(value)
    assert isinstance(resolution, Resolution)
    assert (resolution.origin, resolution.how, resolution.by) == ("statuses/2/60", "dropped", "ann")


@pytest.mark.parametrize(
    "words", [["dead-letters", "list"], ["optouts", "show", "+12125550123"], ["campaign", "list"]]
)
def test_without_a_broker_a_command_says_so_in_our_words_alone(words: list[str], tmp_path: Path) -> None:
    variables = {**os.environ, **environment(tmp_path, kafka_bootstrap="127.0.0.1:9")}
    done = subprocess.run(
        children.command(*words), env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_kafka_down_says_where_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LONGWAVE_KAFKA__BOOTSTRAP", "127.0.0.1:9")
    assert run(["dead-letters", "list"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot read from Kafka at 127.0.0.1:9")
    assert "longwave up" in error
