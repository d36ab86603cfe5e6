"""Spans to a collector, by OpenTelemetry's SDK over OTLP/HTTP.

Only a process that traces imports this module: the SDK takes a quarter of a second to import. A thread of the SDK
exports in batches, so a collector that is away or slow never holds whoever adds spans: they are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from adapters.ports import Span
from schemas import metrics

log = logging.getLogger(__name__)

ROOM: Final = 4096
"""Spans that wait to be exported at most, those under way included; about 10 MB."""
BATCH: Final = 512
DELAY_SECONDS: Final = 1.0
"""How long a span waits for company."""
EXPORT_SECONDS: Final = 5.0
"""How long a batch is tried, repetitions included."""
CLOSE_SECONDS: Final = 2.0
"""How long the end of a process waits for the last batches."""

_KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtlpSpans:
    """The spans of one process on their way to the collector at `url`. `add` is called by one thread only."""

    def __init__(self, url: str, process: str) -> None:
        # What it would say of each batch, `_Counted` says once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(url, timeout=EXPORT_SECONDS, compression=Compression.Gzip)
        self._exporter = _Counted(exporter, url)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=ROOM,
            schedule_delay_millis=DELAY_SECONDS * 1000,
            max_export_batch_size=BATCH,
        )
        resource = {
            "service.name": "longwave",
            "service.instance.id": process,
            "service.version": version("longwave"),
        }
        self._ids = _GivenIds()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(resource),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("longwave")
        self._added = 0

    def add(self, span: Span) -> None:
        """Take a span, or count it as dropped where there is no room."""
        # Counted here and not by the processor, whose queue drops its oldest spans without saying so.
        if self._added - self._exporter.ended >= ROOM:
            metrics.TRACE_SPANS.labels("dropped").inc()
            return
        self._added += 1
        self._ids.trace, self._ids.span = span.trace, span.id
        parent = NonRecordingSpan(_context(span.trace, span.parent)) if span.parent else NonRecordingSpan(_NOBODY)
        made = self._tracer.start_span(
            span.name,
            context=set_span_in_context(parent),
            kind=_KINDS[span.kind],
            attributes=span.attributes,
            links=[Link(_context(*span.link))] if span.link else [],
            start_time=span.begin,
        )
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(max(span.begin, span.end))

    def close(self) -> None:
        """Export what is left, for at most `CLOSE_SECONDS`; the rest is dropped."""
        # The processor's own time-out is not ours to set, and a collector may hang.
        closing = threading.Thread(target=self._processor.shutdown, name="close-traces", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        left = self._added - self._exporter.ended
        if left:
            metrics.TRACE_SPANS.labels("dropped").inc(left)
            log.warning("the last %d spans were not exported in %.0f s and are dropped", left, CLOSE_SECONDS)


class _GivenIds(IdGenerator):
    """Gives the ids of the span that is made next."""

    trace = 0
    span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Counted(SpanExporter):
    """An exporter that counts what becomes of spans, and tells once when the collector goes and comes."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self._is_failing = False
        self.ended = 0
        """Spans that were exported or given up."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._count(len(spans), is_exported=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _count(self, spans: int, *, is_exported: bool) -> None:
        self.ended += spans
        metrics.TRACE_SPANS.labels("exported" if is_exported else "dropped").inc(spans)
        if is_exported and self._is_failing:
            log.warning("the collector at %s takes spans again", self._url)
        elif not is_exported and not self._is_failing:
            log.warning("the collector at %s takes no spans: they are dropped; sending goes on", self._url)
        self._is_failing = not is_exported


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


_NOBODY: Final = SpanContext(0, 0, is_remote=False)
"""No parent: the span is the first of its trace."""
