"""Who has which partition: Faust's assignor, with a rule of its own for the lanes, and none for topics that it cannot
see.

Hazards of Faust's own:
- Topics with equally many partitions are given out together, by number alone: the lanes of one busy sender can all
  be at one worker. No table goes with the lanes, so `pipeline.sending.ownership.spread` gives them out by what they
  carry.
- A topic of which the broker has said nothing yet is left out with a warning. A leader whose metadata is empty, right
  after it and the broker were restarted, gives nobody anything, until metadata are refreshed minutes later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiokafka.cluster import ClusterMetadata
from faust.assignor.partition_assignor import PartitionAssignor

from pipeline.sending.ownership.spread import spread_lanes
from schemas import topics

LANES = topics.LANES.name


class TopicsUnseen(Exception):
    """The broker has not said yet how many partitions these topics have."""


class LaneAssignor(PartitionAssignor):
    """Assigns lanes by `weights` (lane → what it carries; all others carry nothing)."""

    weights: ClassVar[Mapping[int, int]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._had: dict[str, list[int]] = {}
        self._lanes = 0

    def _perform_assignment(self, cluster: ClusterMetadata, member_metadata: Any) -> Any:
        """Raises TopicsUnseen where a subscribed topic has no partitions."""
        subscribed = {topic for member in member_metadata.values() for topic in member.subscription}
        require_partitions(cluster, subscribed)
        self._had = {
            member: self._get_client_metadata(metadata).assignment.actives.get(LANES, [])
            for member, metadata in member_metadata.items()
            if LANES in metadata.subscription
        }
        self._lanes = len(cluster.partitions_for_topic(LANES) or ())
        return super()._perform_assignment(cluster, member_metadata)

    @classmethod
    def _get_copartitioned_groups(cls, topics: set[str], *args: Any) -> Any:
        return super()._get_copartitioned_groups(topics - {LANES}, *args)

    def _global_table_standby_assignments(self, assignments: Any, *args: Any) -> Any:
        # Called once, when everything else is given out and before it is told to anybody.
        assignments = super()._global_table_standby_assignments(assignments, *args)
        weights = {lane: self.weights.get(lane, 0) for lane in range(self._lanes)}
        for member, lanes in spread_lanes(weights, self._had).items():
            assignments[member].actives[LANES] = sorted(lanes)
            assignments[member].standbys[LANES] = []
        return assignments

    def assigned_lanes(self) -> set[int]:
        """Every lane that some worker has, as the leader told all of them in the last assignment."""
        return {lane for held in self.external_topic_distribution.values() for lane in held.get(LANES, ())}


def require_partitions(cluster: ClusterMetadata, subscribed: set[str]) -> None:
    """Raise TopicsUnseen unless the broker has said of each topic how many partitions it has."""
    unseen = sorted(topic for topic in subscribed if not cluster.partitions_for_topic(topic))
    if unseen:
        raise TopicsUnseen(f"the broker has not said yet which partitions these topics have: {', '.join(unseen)}")
