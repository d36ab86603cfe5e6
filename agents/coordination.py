"""The consumer group's coordinator of aiokafka, so that a leader assigns only what it can see."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import monotonic
from typing import Any

import aiokafka.errors as kafka_errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol

from agents.assignor import TopicsUnseen, require_partitions

log = logging.getLogger(__name__)

METADATA_MAX_AGE_MS = 10_000
"""How old what a client knows of topics and brokers may be: aiokafka's five minutes are how long a group can stand
still that learned something false."""
LOOK_PAUSE = 0.2


class GuardedCoordinator(GroupCoordinator):  # type: ignore[misc]
    """Hazards:
    - The leader assigns by whatever metadata it has, also none. Here it asks the broker for as long as the group's
      session allows; if a topic is still unseen, it joins again instead of telling everybody to do nothing.
    - An answer without some topics, from a broker that has just started, counts as a change and makes the whole
      group rejoin. Here topics that vanish change nothing.
    """

    @classmethod
    def guard(cls, coordinator: Any) -> None:
        """Make a coordinator that aiokafka has just started one of these; it has not joined any group yet."""
        if type(coordinator) is GroupCoordinator:
            coordinator.__class__ = cls

    async def _perform_assignment(self, response: Any) -> Any:
        topics = _subscribed(response)
        self._client.set_topics(topics)
        until = monotonic() + self._session_timeout_ms / 2000
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    await self._client.force_metadata_update()
            try:
                require_partitions(self._cluster, topics)
                return await super()._perform_assignment(response)
            except TopicsUnseen as error:
                if monotonic() > until:
                    raise
                log.warning("assigning waits: %s", error)
                await asyncio.sleep(LOOK_PAUSE)

    async def _do_rejoin_group(self, subscription: Any) -> Any:
        try:
            return await super()._do_rejoin_group(subscription)
        except kafka_errors.KafkaError as error:
            if not isinstance(error.__cause__, TopicsUnseen):
                raise
            log.warning("nothing is assigned, joining again: %s", error.__cause__)
            self.request_rejoin()
            await asyncio.sleep(LOOK_PAUSE)
            return False

    def _get_metadata_snapshot(self) -> dict[str, int]:
        snapshot: dict[str, int] = super()._get_metadata_snapshot()
        return {topic: count or self._metadata_snapshot.get(topic, 0) for topic, count in snapshot.items()}


def _subscribed(response: Any) -> set[str]:
    members = (ConsumerProtocol.METADATA.decode(member[-1]) for member in response.members)
    return {topic for member in members for topic in member.subscription}
