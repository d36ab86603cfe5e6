"""Topics on a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from adapters.errors import LongwaveError
from adapters.kafka import topics
from adapters.settings import Kafka
from devstack import ready
from schemas.topics import ALL, Topic
from tests.stack import Server, free_ports


def _settings(kafka: Server, partitions: int = 4, lanes: int = 4) -> Kafka:
    return Kafka(bootstrap=kafka.address, partitions=partitions, lanes=lanes)


def _own(prefix: str) -> list[Topic]:
    return [Topic(f"{prefix}-{t.name}", t.key, t.carries, t.partitions, t.config) for t in ALL]


def _config(kafka: Server, name: str) -> dict[str, str]:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    return {key: entry.value for key, entry in future.result().items()}


def test_topics_are_made_as_the_schema_says_and_only_once(kafka: Server) -> None:
    settings, own = _settings(kafka, 3, 5), _own("made")
    assert topics.ensure(settings, own) == [t.name for t in own]
    assert topics.ensure(settings, own) == []
    assert [s.problem for s in topics.inspect(settings, own)] == [""] * len(ALL)
    actual = AdminClient({"bootstrap.servers": kafka.address}).list_topics(timeout=5).topics
    counts = {t.name: len(actual[t.name].partitions) for t in own}
    assert (counts["made-lanes"], counts["made-dead-letters"], counts["made-recipients"]) == (5, 1, 3)
    assert _config(kafka, "made-campaigns")["cleanup.policy"] == "compact"
    assert _config(kafka, "made-lanes")["retention.ms"] == "-1"
    assert _config(kafka, "made-statuses")["retention.ms"] == str(7 * 24 * 3600 * 1000)


def test_a_differing_config_is_reported_then_set(kafka: Server) -> None:
    settings = _settings(kafka)
    topics.ensure(settings, [Topic("differs", "key", "things", config={"cleanup.policy": "delete"})])
    topic = Topic("differs", "key", "things", config={"cleanup.policy": "compact"})
    (state,) = topics.inspect(settings, [topic])
    assert "cleanup.policy is delete (should be compact)" in state.problem
    assert topics.ensure(settings, [topic]) == []
    ready.wait_for("the change", lambda: not topics.inspect(settings, [topic])[0].problem, timeout=60)


def test_other_partitions_are_refused_not_changed(kafka: Server) -> None:
    topic = Topic("fixed", "key", "things")
    topics.ensure(_settings(kafka, 2), [topic])
    with pytest.raises(LongwaveError, match=r"fixed has 2 partitions, the settings say 6.*kafka\.partitions to 2"):
        topics.ensure(_settings(kafka, 6), [topic])
    (state,) = topics.inspect(_settings(kafka, 2), [topic])
    assert not state.problem


def test_an_absent_broker_is_named_with_its_setting() -> None:
    (port,) = free_ports(1)
    with pytest.raises(LongwaveError, match=rf"127\.0\.0\.1:{port}.*kafka\.bootstrap"):
        topics.inspect(Kafka(bootstrap=f"127.0.0.1:{port}"))
