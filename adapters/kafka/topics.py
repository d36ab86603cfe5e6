"""The topics on the brokers: made, compared with `schemas.topics`, never altered in their partitions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from adapters.errors import LongwaveError
from adapters.settings import Kafka
from schemas import topics as vocabulary
from schemas.topics import Topic

_TIMEOUT = 30.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is and as it should be. `partitions` is None when the topic is absent; `config` holds only what
    differs: key to (is, should be)."""

    name: str
    partitions: int | None
    wanted: int
    config: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """What is wrong with the topic and what to do; "" if nothing is."""
        if self.partitions is None:
            return f"topic {self.name} is missing; `longwave up` makes it"
        if self.partitions != self.wanted:
            return (
                f"topic {self.name} has {self.partitions} partitions, the settings say {self.wanted}; those of a "
                f"live system must not change: set {_setting(self.name)} to {self.partitions}, or use empty brokers"
            )
        if self.config:
            wrong = ", ".join(f"{key} is {is_} (should be {should})" for key, (is_, should) in self.config.items())
            return f"topic {self.name}: {wrong}; `longwave up` sets it"
        return ""


def partitions_of(topic: Topic, kafka: Kafka) -> int:
    """How many partitions `topic` has under these settings."""
    return {"partitions": kafka.partitions, "lanes": kafka.lanes, "one": 1}[topic.partitions]


def inspect(kafka: Kafka, topics: Sequence[Topic] = vocabulary.ALL) -> list[TopicState]:
    """Compare every topic with what it should be, in message order. Changes nothing.

    Raises:
        LongwaveError: the brokers cannot be reached or refuse to answer.
    """
    return _guarded(kafka, lambda admin: _inspect(admin, kafka, topics))


def ensure(kafka: Kafka, topics: Sequence[Topic] = vocabulary.ALL) -> list[str]:
    """Make missing topics and set differing configuration; gives the names of those made. Idempotent.

    Raises:
        LongwaveError: the brokers cannot be reached, or a topic exists with another number of partitions.
    """
    return _guarded(kafka, lambda admin: _ensure(admin, kafka, topics))


def _guarded(kafka: Kafka, work: Callable[[AdminClient], _T]) -> _T:
    admin = AdminClient(
        {"bootstrap.servers": kafka.bootstrap, "socket.timeout.ms": 10_000, "log_level": 0, "retries": 5}
    )
    try:
        return work(admin)
    except KafkaException as error:
        reason = error.args[0]
        text = reason.str() if isinstance(reason, KafkaError) else str(reason)
        raise LongwaveError(f"Kafka at {kafka.bootstrap}: {text} (setting kafka.bootstrap)") from error


def _inspect(admin: AdminClient, kafka: Kafka, topics: Sequence[Topic]) -> list[TopicState]:
    existing = admin.list_topics(timeout=5).topics
    present = [topic for topic in topics if topic.name in existing]
    config = _configs(admin, [topic.name for topic in present])
    states = []
    for topic in topics:
        count = len(existing[topic.name].partitions) if topic.name in existing else None
        is_ = config.get(topic.name, {})
        differing = {
            key: (is_.get(key, ""), should)
            for key, should in _wanted_config(topic, kafka).items()
            if count is not None and is_.get(key) != should
        }
        states.append(TopicState(topic.name, count, partitions_of(topic, kafka), differing))
    return states


def _ensure(admin: AdminClient, kafka: Kafka, topics: Sequence[Topic]) -> list[str]:
    states = _inspect(admin, kafka, topics)
    missing = [topic for topic, state in zip(topics, states, strict=True) if state.partitions is None]
    if missing:
        made = _create(admin, kafka, missing)
        _await_visible(admin, missing)
        states = _inspect(admin, kafka, topics)  # another process may have made some, in its own way
    wrong = [s.problem for s in states if s.partitions is not None and s.partitions != s.wanted]
    if wrong:
        raise LongwaveError("\n".join(wrong))
    _alter(admin, [s for s in states if s.config])
    return made if missing else []


def _create(admin: AdminClient, kafka: Kafka, topics: Sequence[Topic]) -> list[str]:
    made = []
    new = [
        NewTopic(t.name, partitions_of(t, kafka), kafka.replication, config=_wanted_config(t, kafka)) for t in topics
    ]
    for name, future in admin.create_topics(new, operation_timeout=_TIMEOUT).items():
        try:
            future.result(_TIMEOUT)
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
                raise
    return made


def _await_visible(admin: AdminClient, topics: Sequence[Topic]) -> None:
    # The controller answers before brokers have read of the new topics: who subscribes at once would not find them.
    deadline = time.monotonic() + _TIMEOUT
    while missing := {topic.name for topic in topics} - _with_leaders(admin):
        if time.monotonic() > deadline:
            raise LongwaveError(
                f"Kafka made {', '.join(sorted(missing))} but no leader after {_TIMEOUT:.0f} s; repeat it"
            )
        time.sleep(0.05)


def _with_leaders(admin: AdminClient) -> set[str]:
    existing = admin.list_topics(timeout=5).topics.items()
    return {name for name, topic in existing if all(part.leader >= 0 for part in topic.partitions.values())}


def _alter(admin: AdminClient, states: Sequence[TopicState]) -> None:
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            state.name,
            incremental_configs=[
                ConfigEntry(key, should, incremental_operation=AlterConfigOpType.SET)
                for key, (_, should) in state.config.items()
            ],
        )
        for state in states
    ]
    if resources:
        for future in admin.incremental_alter_configs(resources).values():
            future.result(_TIMEOUT)


def _configs(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    return {
        resource.name: {key: entry.value for key, entry in future.result(_TIMEOUT).items()}
        for resource, future in answers.items()
    }


def _wanted_config(topic: Topic, kafka: Kafka) -> dict[str, str]:
    # One replica may be away without stopping writes, and what was acknowledged still has two copies of three.
    copies = str(max(1, kafka.replication - 1))
    return {"min.insync.replicas": copies, "max.message.bytes": "4194304", **topic.config}


def _setting(name: str) -> str:
    kind = next((topic.partitions for topic in vocabulary.ALL if topic.name == name), "partitions")
    return "kafka.lanes" if kind == "lanes" else "kafka.partitions"
