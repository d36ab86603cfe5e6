"""A group's leader that has just come back: it assigns once it sees every topic, never by what it does not see."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiokafka.errors as kafka_errors
import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol, ConsumerProtocolMemberMetadata

from agents import coordination
from agents.assignor import TopicsUnseen
from agents.coordination import GuardedCoordinator

TOPICS = ["commands", "lanes"]


class Cluster:
    """Metadata as of now."""

    def __init__(self) -> None:
        self.partitions: dict[str, set[int]] = {}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.partitions.get(topic)


class Client:
    """A client whose broker answers without topics for the first `empty` questions."""

    def __init__(self, cluster: Cluster, empty: int) -> None:
        self._cluster = cluster
        self._empty = empty
        self.asked = 0
        self.topics: set[str] = set()

    def set_topics(self, topics: set[str]) -> None:
        self.topics = topics

    async def force_metadata_update(self) -> None:
        self.asked += 1
        if self.asked > self._empty:
            self._cluster.partitions = {topic: {0, 1} for topic in self.topics}

    async def _maybe_wait_metadata(self) -> None:
        pass


class Assignor:
    """Gives the only member what the cluster has."""

    name = "faust"

    def assign(self, cluster: Cluster, members: dict[str, Any]) -> dict[str, Any]:
        return {member: dict(cluster.partitions) for member in members}


def coordinator(empty: int, session_seconds: float = 6.0) -> Any:
    made: Any = GuardedCoordinator.__new__(GuardedCoordinator)
    made._cluster = Cluster()
    made._client = Client(made._cluster, empty)
    made._session_timeout_ms = session_seconds * 1000
    made._assignors = [Assignor()]
    made._subscription = SimpleNamespace(subscribed_pattern=None, subscription=SimpleNamespace(topics=set(TOPICS)))
    made._metadata_snapshot = {}
    made.group_id = "longwave"
    made.rejoins = 0
    made.request_rejoin = lambda: setattr(made, "rejoins", made.rejoins + 1)
    return made


JOINED = SimpleNamespace(
    API_VERSION=2,
    group_protocol="faust",
    members=[("one", ConsumerProtocolMemberMetadata(0, TOPICS, b"").encode())],
)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordination, "LOOK_PAUSE", 0.01)


def test_a_leader_asks_again_until_it_sees_every_topic() -> None:
    leader = coordinator(empty=3)
    found = asyncio.run(leader._perform_assignment(JOINED))
    assert found == {"one": {topic: {0, 1} for topic in TOPICS}}
    assert leader._client.asked == 4


def test_aiokafka_alone_tells_everybody_to_do_nothing() -> None:
    leader = coordinator(empty=3)
    assert asyncio.run(GroupCoordinator._perform_assignment(leader, JOINED)) == {"one": {}}


def test_a_leader_that_goes_on_seeing_nothing_assigns_nothing_and_the_group_joins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader = coordinator(empty=10_000, session_seconds=0.1)
    with pytest.raises(TopicsUnseen, match="commands, lanes"):
        asyncio.run(leader._perform_assignment(JOINED))

    async def join(self: Any, subscription: Any) -> bool:
        # As aiokafka wraps whatever happens while a leader assigns.
        try:
            await self._perform_assignment(JOINED)
        except Exception as error:
            raise kafka_errors.KafkaError(repr(error)) from error
        return True

    monkeypatch.setattr(GroupCoordinator, "_do_rejoin_group", join)
    assert asyncio.run(leader._do_rejoin_group(None)) is False
    assert leader.rejoins == 1


def test_other_errors_of_joining_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def join(self: Any, subscription: Any) -> bool:
        raise kafka_errors.GroupAuthorizationFailedError("longwave")

    monkeypatch.setattr(GroupCoordinator, "_do_rejoin_group", join)
    with pytest.raises(kafka_errors.GroupAuthorizationFailedError):
        asyncio.run(coordinator(0)._do_rejoin_group(None))


def test_a_topic_that_vanishes_from_an_answer_is_no_change_and_one_that_grows_is() -> None:
    member = coordinator(0)
    member._group_subscription = set(TOPICS)
    member._cluster.partitions = {"commands": {0}, "lanes": {0, 1}}
    member._metadata_snapshot = member._get_metadata_snapshot()
    member._cluster.partitions = {"commands": {0}}
    assert member._get_metadata_snapshot() == member._metadata_snapshot
    member._cluster.partitions = {"commands": {0}, "lanes": {0, 1, 2}}
    assert member._get_metadata_snapshot() == {"commands": 1, "lanes": 3}


def test_a_protocol_of_another_version_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = ConsumerProtocolMemberMetadata(0, ["lanes"], b"").encode()
    assert ConsumerProtocol.METADATA.decode(encoded).subscription == ["lanes"]
    for member in (("one", encoded), ("one", None, encoded)):
        assert coordination._subscribed(SimpleNamespace(members=[member])) == {"lanes"}
