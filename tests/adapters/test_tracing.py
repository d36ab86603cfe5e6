"""Spans on their way to a collector that takes them, refuses them, or hangs."""

from __future__ import annotations

import subprocess
import sys
from time import monotonic

import pytest
from prometheus_client import REGISTRY

from adapters import tracing
from adapters.ports import Span
from adapters.settings import Tracing
from adapters.tracing import OtlpSpans
from tests.otlp import Collector, collecting

TRACE = 0x0AF7651916CD43DD8448EB211C80319C


def span(number: int = 1, **more: object) -> Span:
    return Span(**{"trace": TRACE, "id": number, "name": "wait", "begin": 1_000, "end": 2_000, **more})  # type: ignore[arg-type]


def sending(collector: Collector) -> OtlpSpans:
    return OtlpSpans(Tracing(endpoint=collector.url).url, "worker-7")


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("longwave_trace_spans_total", {"outcome": outcome}) or 0.0


def test_a_span_arrives_as_it_was_made() -> None:
    before = counted("exported")
    with collecting() as collector:
        spans = sending(collector)
        spans.add(span(1, link=(5, 6)))
        spans.add(span(2, parent=1, name="submit", kind="client", attributes={"n": 3, "to": "x"}, error="timeout"))
        spans.close()
    first, second = collector.spans
    assert (first.trace, first.id, first.parent) == (f"{TRACE:032x}", f"{1:016x}", "")
    assert (first.process, first.begin, first.end, first.links) == (
        "worker-7",
        1_000,
        2_000,
        [(f"{5:032x}", f"{6:016x}")],
    )
    assert (second.trace, second.parent, second.kind) == (first.trace, first.id, 3)
    assert (second.attributes, second.error) == ({"n": 3, "to": "x"}, "timeout")
    assert counted("exported") == before + 2


def test_spans_without_a_collector_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EXPORT_SECONDS", 0.2)
    before = counted("dropped")
    with collecting() as collector:
        pass
    spans = sending(collector)
    for number in range(10):
        spans.add(span(number + 1))
    spans.close()
    assert counted("dropped") == before + 10


def test_a_collector_that_hangs_costs_room_and_then_spans_but_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.2)
    before = counted("dropped")
    with collecting(is_hanging=True) as collector:
        spans = sending(collector)
        began = monotonic()
        for number in range(tracing.ROOM + 100):
            spans.add(span(number + 1))
        took = monotonic() - began
        assert counted("dropped") == before + 100
        began = monotonic()
        spans.close()
        assert monotonic() - began < 1
    assert took < 5
    assert counted("dropped") == before + tracing.ROOM + 100


def test_a_process_that_does_not_trace_does_not_import_the_sdk() -> None:
    code = (
        "import sys, asyncio, agents.app, agents.writer_app, api.server, cli.main\n"
        "from adapters.settings import Settings, Tracing\n"
        "from agents.context import Context\n"
        "for tracing in (Tracing(), Tracing(endpoint='http://127.0.0.1:4318', sample_rate=0)):\n"
        "    assert Context(Settings(tracing=tracing), 'tested')._traces() is None\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
