"""A group's leader that has just come back: it assigns once it sees every topic, never by what it does not see."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiokafka.errors as kafka_errors
import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol, ConsumerProtocolMemberMetadata

from agents.guards import coordination
from agents.guards.assignor import TopicsUnseen
from agents.guards.coordination import GuardedCoordinator

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
    actual = asyncio.run(leader._perform_assignment(JOINED))
    assert actual == {"one": {topic: {0, 1} for topic in TOPICS}}
    assert leader._client.asked == 4


def test_aiokafka_alone_assigns_no_partition_to_any_member() -> None:
    leader = coordinator(empty=3)
    assert asyncio.run(GroupCoordinator._perform_assignment(leader, JOINED)) == {"one": {}}


def test_a_leader_that_still_sees_no_topics_assigns_nothing_and_the_group_joins_again(
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


async def test_a_search_for_the_coordinator_that_hangs_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []

    async def search(self: Any) -> None:
        searches.append(len(searches))
        if len(searches) < 3:
            await asyncio.Event().wait()

    monkeypatch.setattr(GroupCoordinator, "ensure_coordinator_known", search)
    monkeypatch.setattr(coordination, "LOOKUP_SECONDS", 0.05)
    await asyncio.wait_for(coordinator(0).ensure_coordinator_known(), 5)
    assert len(searches) == 3


async def test_a_worker_that_the_group_does_not_know_is_not_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False, False, True])

    async def heartbeat(self: Any) -> bool:
        return next(answers)

    monkeypatch.setattr(GroupCoordinator, "_do_heartbeat", heartbeat)
    member = coordinator(0, session_seconds=0.1)
    await member._do_heartbeat()
    assert member.is_member
    await asyncio.sleep(0.15)
    await member._do_heartbeat()
    assert not member.is_member
    await member._do_heartbeat()
    assert not member.is_member
    await member._do_heartbeat()
    assert member.is_member


class Reader:
    """A client whose reading of metadata fails the first time, as of something that aiokafka does not expect."""

    def __init__(self) -> None:
        self.begun = 0
        self._md_update_fut: asyncio.Future[bool] | None = asyncio.get_running_loop().create_future()
        self._md_update_waiter = asyncio.get_running_loop().create_future()
        self._sync_task = asyncio.create_task(self._md_synchronizer())

    async def _md_synchronizer(self) -> None:
        self.begun += 1
        if self.begun == 1:
            raise RuntimeError("unable to perform operation on a closed transport")
        await asyncio.Event().wait()


async def test_reading_metadata_goes_on_after_an_error_that_nobody_expects(caplog: pytest.LogCaptureFixture) -> None:
    client = Reader()
    waiting = client._md_update_fut
    assert waiting is not None
    coordination.keep_reading_metadata(client)
    assert await asyncio.wait_for(waiting, 5) is False
    await asyncio.sleep(0)
    assert client.begun == 2
    assert not client._sync_task.done()
    assert "closed transport" in caplog.text
    client._sync_task.cancel()
    await asyncio.sleep(0)
    assert client.begun == 2


async def test_a_connection_that_is_never_answered_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, asked = asyncio.Lock(), []

    async def connect(node_id: int, *, group: int = 0) -> str:
        async with lock:
            asked.append(group)
            if len(asked) == 1:
                await asyncio.Event().wait()
            return "connection"

    client = SimpleNamespace(_get_conn=connect)
    monkeypatch.setattr(coordination, "CONNECT_SECONDS", 0.2)
    coordination.bound_connecting(client)
    first = asyncio.create_task(client._get_conn(1))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(client._get_conn(1, group=2))
    assert await asyncio.wait_for(first, 5) is None
    assert await asyncio.wait_for(second, 5) == "connection"
