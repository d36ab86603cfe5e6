"""What the steps use of Faust, as types of our own: only `agents.app` and `agents.guards` see Faust's classes.

`Stream` is what the body of an agent iterates over, `Event` one record on its way through it, `Message` the record as
Kafka has it, `App` the worker, and `Consumer` its guarded consumer (`agents.guards.durable`). Tables are
`agents.guards.table.AckedTable`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from pipeline.insight.freshness import ReadPosition


class Message(Protocol):
    """A record as Kafka has it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> float:
        """Seconds since the epoch."""
        ...

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def generation_id(self) -> int | None:
        """The assignment of partitions in which it was read."""
        ...


class FlowControl(Protocol):
    """Whether events flow: not so during a rebalance and while the worker stops."""

    def is_active(self) -> bool: ...


class App(Protocol):
    """What an event needs of its worker."""

    @property
    def flow_control(self) -> FlowControl: ...
    @property
    def consumer_generation_id(self) -> int: ...


class Event(Protocol):
    """A record on its way through a stream."""

    @property
    def app(self) -> App: ...
    @property
    def message(self) -> Message: ...


class Stream(Protocol):
    """The records of one topic. With `noack` each is acknowledged by `ack` alone."""

    def noack(self) -> Stream: ...
    def events(self) -> AsyncIterator[Event]: ...
    def ack(self, event: Event) -> Awaitable[bool]: ...


class Consumer(Protocol):
    """What is asked of the guarded consumer outside of the guards."""

    async def read_positions(self, topic: str) -> dict[int, ReadPosition]: ...


AgentBody = Callable[[Stream], Awaitable[None]]
"""What an agent does with its stream, for as long as the worker has it."""
