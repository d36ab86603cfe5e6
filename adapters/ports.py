"""The ports that steps speak to; the adapters beside this file fulfil them, tests and the simulator too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Literal, Protocol, get_args

import msgspec

from schemas.json import Json


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where the broker put a record."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One step of a chunk's trace, from `begin` to `end` (ns since the epoch)."""

    trace: int
    id: int
    parent: int = 0
    """Id of its parent in the same trace; 0: none."""
    name: str
    kind: Literal["internal", "client", "producer", "consumer"] = "internal"
    begin: int
    end: int
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """No numbers of people, no texts, no secrets: spans leave the system."""
    link: tuple[int, int] | None = None
    """(trace, span) of what caused it in another trace."""
    error: str = ""
    """Why it failed; "" if it did not."""


class SpanPort(Protocol):
    """Where spans go."""

    def add(self, span: Span) -> None:
        """Take a span. Returns at once and never raises: what cannot be taken is dropped and counted."""
        ...

    def close(self) -> None:
        """Send what is left; blocks for a bounded time."""
        ...


class Emitter(Protocol):
    """Writes to Kafka."""

    async def emit(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, partition: int | None = None
    ) -> Delivered:
        """Write one record; returns when all in-sync replicas have it (`topic` without prefix).

        Raises:
            adapters.errors.EmitError: it was not acknowledged within the delivery time-out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """One message to hand to an aggregator."""

    id: str
    """Our message id: CAMPAIGN-MESSAGE-ORDINAL, also the idempotency key and the token in callbacks."""
    to: int
    text: str
    sender: str
    """The number, short code or name that it comes from."""


Outcome = Literal["accepted", "rejected", "retry", "unknown"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """What an aggregator said of one message. `retry` = certainly not processed (throttled or temporary)."""

    outcome: Outcome
    reason: str = ""
    aggregator_id: str = ""
    retry_after: float = 0.0
    """Seconds the aggregator asked to wait (`retry` only; 0 = not said)."""
    holds: bool = False
    """Whether it takes nothing else of this account either until then."""


def count_outcomes(outcomes: Sequence[SubmitOutcome]) -> Mapping[Outcome, int]:
    """How many messages have each outcome. Mostly all were accepted, and then it costs half of a Counter."""
    said = [outcome.outcome for outcome in outcomes]
    if said.count("accepted") == len(said):
        return {"accepted": len(said)}
    return Counter(said)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an aggregator account can do."""

    batch: int
    """Messages in one submission at most."""
    refuses_repeats: bool
    """It does not send a message id that it has processed again, and repeats its first answer (idempotency keys)."""
    answers_queries: bool
    """It says what became of a message id (`AggregatorPort.lookup`)."""
    remedies: Mapping[Literal["refuses_repeats", "answers_queries"], str] = field(default_factory=dict)
    """Which setting of the kind gives a capability, for whoever needs one that the account lacks; without those that
    the kind can never have."""


@dataclass(slots=True)
class Trip:
    """One submission under way: whether it may still go, and what is known of when its batch arrived, by which rate
    limits count."""

    may_go: Callable[[], bool] = lambda: True
    """Asked in the same turn of the event loop in which the request is handed to the socket, just before that: False
    keeps the batch (`retry`). A process may stand still between its last check of a batch and this moment."""
    written: float | None = None
    """When (s, `time.monotonic`) the request had been handed to the socket, None where it was not: the batch arrived
    no earlier."""
    took: float = 0.0
    """Seconds from the arrival of the batch to its answer, as far as the aggregator says: it arrived no later than
    so long before the answer."""

    def was_written(self) -> None:
        """The request has just been handed to the socket."""
        self.written = monotonic()


class AggregatorPort(Protocol):
    """An aggregator account."""

    @property
    def capabilities(self) -> Capabilities: ...

    def connection(self) -> AbstractAsyncContextManager[None]:
        """Wait for one of the account's connections and hold it. A submission holds one from before its last check to
        its end, so that the check is as new as can be when the request is written."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether every connection is held: who asks for one now waits."""
        ...

    async def submit(self, batch: list[Submission], trip: Trip | None = None) -> list[SubmitOutcome]:
        """Hand over up to `capabilities.batch` messages, also of several senders; one outcome each, in order. Never
        raises for what the aggregator or the network does: a failure is mapped to retry (not sent), rejected
        (refused) or unknown (maybe sent). Asks `trip` if the batch may go, and notes in it when it went."""
        ...

    @property
    def settled_after(self) -> float:
        """Seconds after the start of `submit` from which on nothing of it can arrive anymore."""
        ...

    async def lookup(self, ids: list[str]) -> list[SubmitOutcome] | str:
        """What became of up to `capabilities.batch` message ids, in order: accepted or rejected; `retry` = never
        seen, so not taken if nothing of it is under way; `unknown` = it cannot tell. A text says why there is no
        answer now. Never raises for what the aggregator or the network does."""
        ...

    async def check_health(self) -> str:
        """Whether the aggregator is there: a request without messages. "" when it answers like one that would take
        a batch, else why not. Never raises for what the aggregator or the network does."""
        ...

    async def close(self) -> None: ...


class ReceiptItem(msgspec.Struct):
    """A delivery receipt as an aggregator sends it: our message id, a state in the words of
    `pipeline.feedback.receipts`, the carrier's code, and when (seconds, milliseconds or ISO 8601)."""

    id: str
    status: str
    code: str | int | None = ""
    at: int | str | None = None


class CallbackPort(Protocol):
    """How an aggregator account calls back: the ingress has one for each, and knows nothing else of its protocol."""

    def verify(self, header: Callable[[str], str | None], body: bytes, now: int) -> str:
        """Whether only the aggregator can have made this request, at about `now` (ms): "" if so, else what is wrong,
        for whoever sent it. `header` gives a header by name, None without one. Never raises over what came in."""
        ...

    def receipts(self, body: bytes) -> list[ReceiptItem] | list[Json]:
        """The receipts of a request, one for each item, in order. Where something in the body is odd: each a decoded
        JSON value with the fields of `ReceiptItem`, as far as it has them; the ingress takes it item by item.

        Raises:
            ValueError: it is not a list of receipts.
        """
        ...

    def texts(self, body: bytes) -> list[Json]:
        """The texts of a request: decoded JSON values with the fields `id`, `from`, `to`, `text` and `at`, as far as
        they have them.

        Raises:
            ValueError: it is not a list of texts.
        """
        ...
