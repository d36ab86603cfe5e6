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

from agents.guards.assignor import TopicsUnseen, require_partitions

log = logging.getLogger(__name__)

METADATA_MAX_AGE_MS = 10_000
"""How old what a client knows of topics and brokers may be: aiokafka's five minutes are how long a group can stand
still that learned something false."""
LOOK_PAUSE = 0.2
CONNECT_SECONDS = 3.0
"""How long making a connection may take: a broker that starts takes connections that it never answers."""
LOOKUP_SECONDS = 5.0
"""How long one search for the group's coordinator may take."""


class GuardedCoordinator(GroupCoordinator):  # type: ignore[misc]
    """Hazards:
    - The leader assigns by whatever metadata it has, also none. Here it asks the broker for as long as the group's
      session allows; if a topic is still unseen, it joins again instead of telling everybody to do nothing.
    - An answer without some topics, from a broker that has just started, counts as a change and makes the whole
      group rejoin. Here topics that vanish change nothing.
    - The search for the group's coordinator waits for metadata without end: where a broker was restarted under it,
      it never looks again, and a worker goes on with partitions that the group has long given to others. Here each
      search ends, and `heard_at` says when the group last knew us.
    - A connection to a broker that has just started may never be answered, and no other is made until the request's
      time-out of 30 s. Here it is given up sooner.
    - What reads metadata ends for good with an error that it does not expect; whoever waits for it waits forever.
      Here it goes on.
    """

    heard_at: float
    """When the group last took a heartbeat of ours, or let us join (monotonic)."""

    @classmethod
    def guard(cls, coordinator: Any) -> None:
        """Make a coordinator that aiokafka has just started one of these; it has not joined any group yet."""
        if type(coordinator) is GroupCoordinator:
            coordinator.__class__ = cls
            coordinator.heard_at = monotonic()
            keep_reading_metadata(coordinator._client)
            bound_connecting(coordinator._client)

    @property
    def is_member(self) -> bool:
        """Whether the group has heard of us within the session: after that others have what was ours."""
        return bool(monotonic() - self.heard_at < self._session_timeout_ms / 1000)

    async def ensure_coordinator_known(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    await super().ensure_coordinator_known()
                    return
            except TimeoutError:
                log.warning("the coordinator of group %s was not found; looking again", self.group_id)
                await asyncio.sleep(LOOK_PAUSE)

    async def _do_heartbeat(self) -> bool:
        taken: bool = await super()._do_heartbeat()
        if taken:
            self.heard_at = monotonic()
        return taken

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

    async def _do_rejoin_group(self, subscription: Any) -> bool:
        try:
            joined: bool = await super()._do_rejoin_group(subscription)
        except kafka_errors.KafkaError as error:
            if not isinstance(error.__cause__, TopicsUnseen):
                raise
            log.warning("nothing is assigned, joining again: %s", error.__cause__)
            self.request_rejoin()
            await asyncio.sleep(LOOK_PAUSE)
            return False
        if joined:
            self.heard_at = monotonic()
        return joined

    def _get_metadata_snapshot(self) -> dict[str, int]:
        snapshot: dict[str, int] = super()._get_metadata_snapshot()
        return {topic: count or self._metadata_snapshot.get(topic, 0) for topic, count in snapshot.items()}


def keep_reading_metadata(client: Any) -> None:
    """Have an aiokafka client's reading of metadata begin again when it ends with an error."""

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        # uvloop says of a connection that was closed under its writer that its handle is closed.
        is_lost = isinstance(error, OSError) or "closed" in str(error)
        log.error("reading metadata failed, and begins again: %s", error, exc_info=None if is_lost else error)
        waiting, client._md_update_fut = client._md_update_fut, None
        if waiting is not None and not waiting.done():
            waiting.set_result(False)
        client._md_update_waiter = task.get_loop().create_future()
        client._sync_task = task.get_loop().create_task(client._md_synchronizer())
        client._sync_task.add_done_callback(ended)

    client._sync_task.add_done_callback(ended)


def bound_connecting(client: Any) -> None:
    """Have an aiokafka client give up a connection that is not made in time; whoever wanted it asks again."""
    connect = client._get_conn

    async def bounded(node_id: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await connect(node_id, **options)
        except TimeoutError:
            log.warning("no answer to a new connection to node %s in %s s", node_id, CONNECT_SECONDS)
            return None

    client._get_conn = bounded


def _subscribed(response: Any) -> set[str]:
    members = (ConsumerProtocol.METADATA.decode(member[-1]) for member in response.members)
    return {topic for member in members for topic in member.subscription}
