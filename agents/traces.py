"""The spans of sampled chunks in the steps before and after the lane; `agents.lane.traces` has those in it.

    launch → freeze → frozen                                       once for a campaign, a trace of its own
               ⇣ (link)
    fanout → eligibility → delay, wait → intent → line, submit, result      in a chunk's trace
           → receipts, insert

Each step that handles a sampled chunk makes its span when it has finished. Ids follow from what the records say
(`pipeline.insight.traces`), so a step names its parent without having been told. A record that is handled again makes
its spans again.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Final, ParamSpec

from adapters.ports import Span, SpanPort
from agents.faust_port import Event
from pipeline.campaign.transitions import Effect, StartFanout, StartFreeze
from pipeline.eligibility.decide import Decision
from pipeline.insight.traces import campaign_trace, chunk_of, chunk_trace, chunks_of, is_sampled, span_id
from schemas.campaign import CampaignDocument
from schemas.chunk import FanoutRange, Freeze, RecipientChunk
from schemas.feedback import ReceiptBatch
from schemas.reasons import label_of
from schemas.status import StatusChunk, StatusRange
from schemas.wire import CHUNK_LIMIT

log = logging.getLogger(__name__)

Attributes = Mapping[str, str | int | float | bool]
Traced = Callable[[int, int], None]
"""Makes the spans of a record that a step has finished; from when to when (ns)."""
P = ParamSpec("P")

NOTHING: Final[Attributes] = {}
KAFKA: Final = {"messaging.system": "kafka"}


def harmless(hook: Callable[P, None]) -> Callable[P, None]:
    """A hook that never raises: a defect of the traces must not stop messages. It is told once."""
    is_told = False

    @wraps(hook)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal is_told
        try:
            hook(*args, **kwargs)
        except Exception:
            if not is_told:
                is_told = True
                log.exception("traces lack a span: %s failed; sending goes on", hook.__qualname__)

    return guarded


class Traces:
    """Makes the spans of one process. `document` gives a campaign's newest document, `partitions` is how many
    `recipients` has."""

    def __init__(
        self, spans: SpanPort, rate: float, document: Callable[[str], CampaignDocument | None], partitions: int
    ) -> None:
        self.add = spans.add
        self.close = spans.close
        self.partitions = partitions
        self._rate = rate
        self._document = document

    def sampled(self, campaign: str, message: int, chunk: int) -> int | None:
        """The trace of a chunk, None if it is not sampled."""
        trace = chunk_trace(campaign, message, chunk)
        return trace if is_sampled(trace, self._rate) else None

    def about(self, campaign: str, message: int, chunk: int) -> dict[str, str | int | float | bool]:
        """The attributes that all spans of a chunk have."""
        return {**self._about_campaign(campaign), "longwave.message": message, "longwave.chunk": chunk}

    def command(self, campaign: str, effects: Sequence[Effect], event: Event) -> Traced | None:
        """The coordinator carried out a command, with these effects; None where it is neither a launch nor the end
        of a freeze."""
        name, parent = "", ""
        if any(isinstance(effect, StartFreeze) for effect in effects):
            name = "launch"
        elif any(isinstance(effect, StartFanout) for effect in effects):
            name, parent = "frozen", "freeze"
        return self._campaign_step(campaign, name, parent, event) if name else None

    def froze(self, task: Freeze, recipients: int, event: Event) -> Traced:
        """An audience was frozen."""
        return self._campaign_step(task.campaign, "freeze", "launch", event, recipients)

    def expanded(self, task: FanoutRange, event: Event) -> Traced:
        """A range of ordinals became recipient chunks."""

        @harmless
        def traced(begin: int, end: int) -> None:
            once = campaign_trace(task.campaign)
            for chunk in range(chunk_of(task.first), chunk_of(task.last - 1) + 1):
                trace = self.sampled(task.campaign, task.message, chunk)
                if trace is None:
                    continue
                first = max(task.first, chunk * CHUNK_LIMIT)
                last = min(task.last, (chunk + 1) * CHUNK_LIMIT)
                self.add(
                    Span(
                        trace=trace,
                        id=root_of(trace),
                        name="fanout",
                        kind="consumer",
                        begin=begin,
                        end=end,
                        attributes={
                            **self.about(task.campaign, task.message, chunk),
                            **consumed(event),
                            "longwave.recipients": last - first,
                        },
                        link=(once, span_id(once, "frozen")),
                    )
                )

        return traced

    def decided(self, chunk: RecipientChunk, decision: Decision, event: Event) -> Traced | None:
        """Eligibility decided for a recipient chunk; None if that is not sampled."""
        number = chunk_of(chunk.first)
        trace = self.sampled(chunk.campaign, chunk.message, number)
        if trace is None:
            return None
        lane: Attributes = {"longwave.lane": decision.work[0][0]} if decision.work else NOTHING
        going = sum(len(work.ordinals) for _, work in decision.work)

        @harmless
        def traced(begin: int, end: int) -> None:
            self.add(
                Span(
                    trace=trace,
                    id=eligibility_of(trace, event.message.partition),
                    parent=root_of(trace),
                    name="eligibility",
                    kind="consumer",
                    begin=begin,
                    end=end,
                    attributes={
                        **self.about(chunk.campaign, chunk.message, number),
                        **consumed(event),
                        **lane,
                        "longwave.recipients": len(chunk.numbers),
                        "longwave.recipients.to_lane": going,
                        **counted(decision.statuses, number),
                    },
                )
            )

        return traced

    def received(self, batch: ReceiptBatch, event: Event) -> Traced:
        """Receipts became statuses."""

        @harmless
        def traced(begin: int, end: int) -> None:
            for chunk in chunks_of(batch.ordinals):
                trace = self.sampled(batch.campaign, batch.message, chunk)
                if trace is None:
                    continue
                states = [s for o, s in zip(batch.ordinals, batch.states, strict=True) if chunk_of(o) == chunk]
                message = event.message
                self.add(
                    Span(
                        trace=trace,
                        id=span_id(trace, "receipts", message.partition, message.offset),
                        parent=root_of(trace),
                        name="receipts",
                        kind="consumer",
                        begin=begin,
                        end=end,
                        attributes={
                            **self.about(batch.campaign, batch.message, chunk),
                            **consumed(event),
                            "longwave.recipients": len(states),
                            **{f"longwave.state.{state}": count for state, count in Counter(states).items()},
                        },
                    )
                )

        return traced

    @harmless
    def inserted(self, records: Sequence[StatusChunk | StatusRange], begin: int, end: int) -> None:
        """The writer inserted a batch of statuses into ClickHouse, waiting for it included. What a cancel withdraws
        as a whole (`StatusRange`) is in no chunk's trace."""
        for (campaign, message, chunk, trace), statuses in self._of_chunks(records).items():
            self.add(
                Span(
                    trace=trace,
                    id=span_id(trace, "insert", begin),
                    parent=root_of(trace),
                    name="insert",
                    kind="client",
                    begin=begin,
                    end=end,
                    attributes={
                        **self.about(campaign, message, chunk),
                        "db.system.name": "clickhouse",
                        "db.operation.name": "INSERT",
                        "db.collection.name": "status_groups",
                        "messaging.batch.message_count": len(records),
                        **counted(statuses, chunk),
                    },
                )
            )

    def _of_chunks(
        self, records: Iterable[StatusChunk | StatusRange]
    ) -> Mapping[tuple[str, int, int, int], list[StatusChunk]]:
        """(campaign, message, chunk, trace) of each sampled chunk -> the status chunks that say something of it."""
        traces: dict[tuple[str, int, int], int | None] = {}
        found: defaultdict[tuple[str, int, int, int], list[StatusChunk]] = defaultdict(list)
        for record in records:
            if isinstance(record, StatusRange):
                continue
            for chunk in {chunk for group in record.groups for chunk in chunks_of(group.ordinals)}:
                key = (record.campaign, record.message, chunk)
                if key not in traces:
                    traces[key] = self.sampled(*key)
                if (trace := traces[key]) is not None:
                    found[(*key, trace)].append(record)
        return found

    def _campaign_step(
        self, campaign: str, name: str, parent: str, event: Event, recipients: int | None = None
    ) -> Traced:
        trace = campaign_trace(campaign)
        more = {} if recipients is None else {"longwave.recipients": recipients}

        @harmless
        def traced(begin: int, end: int) -> None:
            self.add(
                Span(
                    trace=trace,
                    id=span_id(trace, name),
                    parent=span_id(trace, parent) if parent else 0,
                    name=name,
                    kind="consumer",
                    begin=begin,
                    end=end,
                    attributes={**self._about_campaign(campaign), **consumed(event), **more},
                )
            )

        return traced

    def _about_campaign(self, campaign: str) -> dict[str, str | int | float | bool]:
        document = self._document(campaign)
        spec = {} if document is None else document.spec
        # The sender by its name in the settings: its number has no place in a span.
        return {
            "longwave.campaign": campaign,
            **{f"longwave.{name}": str(spec[name]) for name in ("account", "sender") if name in spec},
        }


def root_of(trace: int) -> int:
    """The id of the first span of a chunk's trace."""
    return span_id(trace, "fanout")


def eligibility_of(trace: int, partition: int) -> int:
    """The id of the span of eligibility. A chunk that is cut at partitions of `recipients` has one in each."""
    return span_id(trace, "eligibility", partition)


def consumed(event: Event) -> Attributes:
    """The record that a step handled, in the words of OpenTelemetry's conventions for messaging."""
    message = event.message
    return {
        **KAFKA,
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": message.topic,
        "messaging.destination.partition.id": str(message.partition),
        "messaging.kafka.offset": message.offset,
    }


def counted(statuses: Iterable[StatusChunk], chunk: int) -> Attributes:
    """How many recipients of a chunk are said to be in each state, and for which reasons."""
    states: Counter[str] = Counter()
    for status in statuses:
        for group in status.groups:
            count = sum(chunk_of(ordinal) == chunk for ordinal in group.ordinals)
            if count:
                states[f"longwave.state.{group.state}"] += count
            if count and group.reason:
                states[f"longwave.reason.{label_of(group.reason)}"] += count
    return states
