"""Who has which partition: lanes by what they carry, tables with their topics, and nothing by empty metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor

from adapters.settings import Kafka, Settings
from agents.app import faust_app
from agents.guards.assignor import LANES, LaneAssignor, TopicsUnseen
from agents.guards.durable import GuardedApp
from agents.lane.step import lane_weights
from tests.accounts import book

PARTITIONS = 8
TOPICS = ("commands", "recipients", "reservations", "inbound", "replies", LANES)


ACCOUNTS = """
[accounts.shop.senders.main]
number = "+18885550100"
segments_per_second = 4000
lanes = [0, 1, 2, 3]
"""


def settings(data: Path) -> Settings:
    return Settings(data=data, kafka=Kafka(partitions=PARTITIONS, lanes=PARTITIONS))


def assignor(data: Path, made: type[PartitionAssignor] = LaneAssignor) -> Any:
    app = faust_app(settings(data), "assigning", data, GuardedApp)
    LaneAssignor.weights = lane_weights(book(ACCOUNTS), PARTITIONS)
    return made(app)


def cluster(*topics: str) -> ClusterMetadata:
    actual = ClusterMetadata()
    actual._partitions = {topic: dict.fromkeys(range(PARTITIONS)) for topic in topics}
    return actual


def joined(before: dict[str, dict[str, list[int]]]) -> dict[str, ConsumerProtocolMemberMetadata]:
    """What each member says of itself when it joins: what it had."""
    return {
        member: ConsumerProtocolMemberMetadata(
            4,
            list(TOPICS),
            ClientMetadata(
                assignment=ClientAssignment(actives=actives, standbys={}),
                url=f"http://{member}",
                changelog_distribution={},
            ).dumps(),
        )
        for member, actives in before.items()
    }


def assigned(by: Any, members: dict[str, ConsumerProtocolMemberMetadata]) -> dict[str, dict[str, list[int]]]:
    made = by.assign(cluster(*TOPICS), members)
    return {member: dict(item.assignment) for member, item in made.items()}


def test_two_workers_share_the_lanes_of_one_sender(tmp_path: Path) -> None:
    actual = assigned(assignor(tmp_path), joined({"one": {}, "two": {}}))
    carrying = {member: len({0, 1, 2, 3} & set(topics[LANES])) for member, topics in actual.items()}
    assert carrying == {"one": 2, "two": 2}
    assert sorted(actual["one"][LANES] + actual["two"][LANES]) == list(range(PARTITIONS))


def test_faust_alone_gives_them_to_one_which_is_why_there_is_a_rule_of_ours(tmp_path: Path) -> None:
    had = {"one": {topic: [0, 1, 2, 3] for topic in TOPICS}, "two": {topic: [4, 5, 6, 7] for topic in TOPICS}}
    actual = assigned(assignor(tmp_path, PartitionAssignor), joined(had))
    assert set(actual["one"][LANES]) == {0, 1, 2, 3}


def test_what_belongs_together_stays_together(tmp_path: Path) -> None:
    for topics in assigned(assignor(tmp_path), joined({"one": {}, "two": {}, "three": {}})).values():
        assert sorted(topics["recipients"]) == sorted(topics["reservations"])
        assert sorted(topics["inbound"]) == sorted(topics["replies"])


def test_a_worker_that_joins_takes_its_share_and_no_other_lane_moves(tmp_path: Path) -> None:
    by = assignor(tmp_path)
    before = assigned(by, joined({"one": {}, "two": {}}))
    after = assigned(by, joined({**before, "three": {}}))
    for member in before:
        assert set(after[member][LANES]) <= set(before[member][LANES])
    assert {0, 1, 2, 3} & set(after["three"][LANES])


@pytest.mark.parametrize("seen", [(), TOPICS[:-1]], ids=["none", "all but the lanes"])
def test_nothing_is_assigned_by_metadata_that_lack_a_topic(seen: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(TopicsUnseen, match=LANES):
        assignor(tmp_path).assign(cluster(*seen), joined({"one": {}}))


def test_faust_alone_assigns_nothing_to_anybody_by_empty_metadata(tmp_path: Path) -> None:
    made = assignor(tmp_path, PartitionAssignor).assign(cluster(), joined({"one": {}, "two": {}}))
    assert [list(item.assignment) for item in made.values()] == [[], []]


def test_every_member_learns_all_assigned_lanes(tmp_path: Path) -> None:
    leader, other = assignor(tmp_path / "one"), assignor(tmp_path / "two")
    assert other.assigned_lanes() == set()
    made = leader.assign(cluster(*TOPICS), joined({"one": {}, "two": {}}))
    metadata = ClientMetadata.loads(other._decompress(made["two"].user_data))
    other.external_topic_distribution = metadata.external_topic_distribution
    assert other.assigned_lanes() == set(range(PARTITIONS))
