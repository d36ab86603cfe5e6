"""The spans of the steps before and after the lane, and that they never stop a step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.ports import Span
from agents.traces import Traces, root_of
from pipeline.eligibility.decide import Decision
from pipeline.insight.traces import chunk_trace, is_sampled
from schemas.chunk import FanoutRange, RecipientChunk
from schemas.feedback import ReceiptBatch
from schemas.status import State, StatusChunk, StatusGroup, StatusRange

A = "aaaaaaaa"
EVENT: Any = SimpleNamespace(message=SimpleNamespace(topic="recipients", partition=3, offset=17))


class Kept:
    """Keeps spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        pass


def made(kept: Kept, rate: float = 1.0) -> Traces:
    return Traces(kept, rate, lambda campaign: None, 8)


def statuses(ordinals: Sequence[int], state: State = "accepted", reason: str = "") -> StatusChunk:
    group = StatusGroup(state=state, ordinals=list(ordinals), reason=reason)
    return StatusChunk(campaign=A, message=0, at=1, groups=[group])


def ranged(first: int, last: int) -> FanoutRange:
    return FanoutRange(campaign=A, revision=1, message=0, first=first, last=last)


def test_a_range_has_a_root_for_each_of_its_chunks_and_the_same_when_it_is_repeated() -> None:
    kept = Kept()
    for begin in (5, 50):
        made(kept).expanded(ranged(500, 1_700), EVENT)(begin, begin + 1)
    again = kept.spans[3:]
    assert [(span.attributes["longwave.chunk"], span.attributes["longwave.recipients"]) for span in again] == [
        (1, 500), (2, 500), (3, 200),
    ]  # fmt: skip
    assert [(span.trace, span.id) for span in kept.spans[:3]] == [(span.trace, span.id) for span in again]
    assert {(span.begin, span.end) for span in again} == {(50, 51)}
    assert all(span.id == root_of(span.trace) for span in again)


def test_only_sampled_chunks_have_spans_and_the_same_ones_in_each_step() -> None:
    kept, rate = Kept(), 0.3
    traces = made(kept, rate)
    sampled = {chunk for chunk in range(20) if is_sampled(chunk_trace(A, 0, chunk), rate)}
    assert 0 < len(sampled) < 20
    traces.expanded(ranged(0, 10_000), EVENT)(1, 2)
    traces.inserted([statuses(range(first, first + 500)) for first in range(0, 10_000, 500)], 1, 2)
    traces.received(
        ReceiptBatch(
            campaign=A,
            message=0,
            received=1,
            ordinals=[*range(0, 10_000, 100)],
            states=["delivered"] * 100,
            codes=[""] * 100,
            times=[1] * 100,
        ),
        EVENT,
    )(1, 2)
    for number in range(20):
        traced = traces.decided(recipients(500 * number), Decision(), EVENT)
        assert (traced is not None) == (number in sampled)
        if traced is not None:
            traced(1, 2)
    by_name = {name: {s.attributes["longwave.chunk"] for s in kept.spans if s.name == name} for name in NAMES}
    assert by_name == dict.fromkeys(NAMES, sampled)
    assert {span.attributes["longwave.state.delivered"] for span in kept.spans if span.name == "receipts"} == {5}


NAMES = ("fanout", "insert", "receipts", "eligibility")


def recipients(first: int) -> RecipientChunk:
    columns: dict[str, Any] = {"zone": [0], "country": [0], "region": [0], "fields": {}}
    return RecipientChunk(
        campaign=A, revision=1, message=0, first=first, numbers=[12125550123], zones=[""], countries=[""],
        regions=[""], **columns,
    )  # fmt: skip


def test_an_insert_counts_each_chunk_s_own_recipients_and_reasons_without_their_detail() -> None:
    kept = Kept()
    records = [
        statuses(range(490, 510)),
        statuses([499], "rejected", "code:30003"),
        statuses([498], "rejected", "what a stranger said: +12125550123"),
        StatusRange(campaign=A, message=0, at=1, first=0, last=10_000_000),
    ]
    made(kept).inserted(records, 1, 2)
    first, second = sorted(kept.spans, key=lambda span: int(span.attributes["longwave.chunk"]))
    assert {name: n for name, n in first.attributes.items() if name.startswith(("longwave.state", "longwave.r"))} == {
        "longwave.state.accepted": 10,
        "longwave.state.rejected": 2,
        "longwave.reason.code": 1,
        "longwave.reason.other": 1,
    }
    assert second.attributes["longwave.state.accepted"] == 10
    assert "12125550123" not in str(kept.spans)


def test_a_defect_of_the_traces_stops_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    traces = made(kept)
    traced = traces.expanded(ranged(0, 500), EVENT)
    traces.add = lambda span: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            traced(1, 2)
    assert len(caplog.records) == 1
