"""The opt-outs bench: its streams are what the lanes take, and its memory is all that there is."""

from __future__ import annotations

from loadtest.bench import optouts
from pipeline.eligibility.optouts import MERGE_AT
from schemas.lane import LANES
from schemas.wire import encode


def test_memory_counts_the_arrays_and_a_full_overlay() -> None:
    actual = optouts._packed(200_000)
    assert actual["memory_mb"] > (8 * 200_000 + 32 * MERGE_AT) / 1e6
    assert 0 < actual["chunk_p50_us"] <= actual["chunk_p99_us"]


def test_a_stream_is_a_chunk_that_a_lane_takes() -> None:
    dues = list(range(1000, 1000 + 50 * optouts.APART_MS, 2 * optouts.APART_MS))
    work = LANES.decode(encode(optouts._work(7, 12_125_550_123, dues)))
    assert work.ordinals == list(range(7, 7 + len(dues)))
    assert [due for _, due in work.dues] == dues
