"""`longwave bench optouts`: from a STOP acknowledged by the ingress to the last message submitted to that number.

A stream of messages to each number, due every `APART_MS` in lanes of two workers, runs into its STOP; the
aggregator's own record says when the last one arrived. The bare limit is measured in the same run: an opt-out written
to Kafka and read back by a view. Then memory and look-ups of ten million opt-outs, and how long a view takes to load.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import Any, Final

import aiohttp
import numpy as np
import orjson
import uvloop

from adapters import http
from adapters.aggregators import signing
from adapters.clock import now_ms
from adapters.kafka.consents import emit_consent, send_consents
from adapters.kafka.producer import Producer
from adapters.kafka.views import View
from adapters.settings import Settings
from loadtest.aggregator.phone import shared_secret
from loadtest.bench.campaigns import FIRST_NUMBER, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from pipeline.eligibility.optouts import OptOuts
from pipeline.identity.buckets import buckets
from pipeline.identity.hash_set import MERGE_AT
from schemas import topics
from schemas.feedback import OPTOUTS, Consent, consent_key
from schemas.lane import Control, LaneMessage, LaneSettings, Work
from schemas.wire import encode

P99_MS: Final = 1000.0
MEMORY_MB: Final = 100.0
LOOKUP_US: Final = 100.0
CAMPAIGN: Final = "0000stp0"
APART_MS: Final = 25
BEFORE_MS, AFTER_MS = 500, 2000
"""Messages of a number are due from so long before its STOP until so long after it."""
STOPS_APART_MS: Final = 100
LEAD_MS: Final = 5000
BARE_FIRST: Final = 447_700_900_000
SETTINGS: Final = """
kafka.lanes = 2
[accounts.demo]
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 5000
lanes = [0, 1]
"""


def run(stops: int = 200, numbers: int = 10_000_000, loaded: int = 1_000_000) -> Result:
    """Opt `stops` numbers out while messages to them are due; look up in `numbers` opt-outs; load `loaded`."""
    packed = _packed(numbers)
    with private_stack(SETTINGS, workers=2) as stack:
        delays, late = uvloop.run(_stop_all(stack, stops))
        bare = uvloop.run(_bare(stack.settings, 50))
        loading = uvloop.run(_loading(stack.settings, loaded))
    p50, p99 = _percentiles(delays)
    bare50, bare99 = _percentiles(bare)
    ok = p99 <= P99_MS and not late and packed["memory_mb"] <= MEMORY_MB and packed["chunk_p50_us"] <= LOOKUP_US
    return Result(
        name="optouts",
        figure=round(p99, 1),
        unit="ms (p99)",
        limit=round(bare99, 1),
        ratio=round(bare99 / p99, 3) if p99 else None,
        required=f"p99 <= {P99_MS:.0f} ms, nothing submitted later than 1 s; "
        f"10M in {MEMORY_MB:.0f} MB, {LOOKUP_US:.0f} us a chunk of 500",
        ok=ok,
        inputs={"stops": stops, "numbers": numbers, "loaded": loaded, "apart_ms": APART_MS},
        details={
            "p50_ms": round(p50, 1), "max_ms": round(max(delays), 1), "submitted_later_than_1_s": late,
            "bare_p50_ms": round(bare50, 1), **packed, **loading,
        },
    )  # fmt: skip


def _percentiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _stop_all(stack: Stack, stops: int) -> tuple[list[float], int]:
    """For each STOP the ms from its acknowledgement to the last later arrival (0: none), and how many arrived more
    than a second after it."""
    start = now_ms() + LEAD_MS
    await _fill_lanes(stack.settings, stops, start)
    acknowledged = await _text_stops(stack.settings, stops, start)
    expected = stops * BEFORE_MS // APART_MS // 2
    await asyncio.sleep((BEFORE_MS + AFTER_MS) / 1000 + 1)
    await asyncio.to_thread(wait_until, "the streams ran", lambda: len(stack.submissions().ids) >= expected, 60)
    submissions = stack.submissions()
    mine = np.array([message_id.startswith(CAMPAIGN) for message_id in submissions.ids])
    delays, late = [], 0
    for stop in range(stops):
        to = submissions.times[mine & (submissions.numbers == FIRST_NUMBER + stop)]
        if not (to < acknowledged[stop]).any():
            raise RuntimeError(f"no message arrived before STOP {stop}: the stack was too slow to measure anything")
        after = (to[to > acknowledged[stop]] - acknowledged[stop]) / 1e6
        delays.append(float(after.max()) if len(after) else 0.0)
        late += int((after > P99_MS).sum())
    return delays, late


async def _fill_lanes(settings: Settings, stops: int, start: int) -> None:
    """The streams: every number's messages, by turns in both lanes."""
    producer = Producer(settings.kafka)
    lane_settings = LaneSettings(
        messages=[LaneMessage(text="Message {n}", links=[])], priority="normal", weight=1, deadline=None,
        unknown="skip", transactional=True,
    )  # fmt: skip
    control = Control(campaign=CAMPAIGN, revision=1, state="running", settings=lane_settings, at=now_ms())
    ordinal = 0
    for lane in (0, 1):
        await producer.emit(topics.LANES.name, encode(control), partition=lane)
        for stop in range(stops):
            at = start + stop * STOPS_APART_MS
            dues = list(range(at - BEFORE_MS + lane * APART_MS, at + AFTER_MS, 2 * APART_MS))
            work = _work(ordinal, FIRST_NUMBER + stop, dues)
            ordinal += len(dues)
            await producer.emit(topics.LANES.name, encode(work), partition=lane)
    await producer.close()


def _work(first: int, number: int, dues: list[int]) -> Work:
    n = len(dues)
    return Work(
        campaign=CAMPAIGN, message=0, at=now_ms(), ordinals=list(range(first, first + n)), numbers=[number] * n,
        segments=[1] * n, prices=[7900] * n, dues=[(1, due) for due in dues], zones=[""], zone=[0] * n,
        fields={"n": [str(k) for k in range(n)]}, account="demo", sender="main",
    )  # fmt: skip


async def _text_stops(settings: Settings, stops: int, start: int) -> list[int]:
    """Text STOP from each number at its time; when (ns) the ingress acknowledged each."""
    secret = shared_secret(settings)
    url = f"{settings.ingress.url}/v1/inbound/local"

    async def text_stop(session: aiohttp.ClientSession, stop: int) -> int:
        await asyncio.sleep((start + stop * STOPS_APART_MS - now_ms()) / 1000)
        text = {"id": f"stop-{stop}", "from": f"+{FIRST_NUMBER + stop}", "to": "+18885550100", "text": "STOP"}
        body = orjson.dumps({"texts": [text]})
        async with session.post(url, data=body, headers=signing.signed(secret, now_ms(), body)) as answer:
            at = time.time_ns()
            answer.raise_for_status()
        return at

    async with http.session() as session:
        return list(await asyncio.gather(*(text_stop(session, stop) for stop in range(stops))))


async def _bare(settings: Settings, rounds: int) -> list[float]:
    """Milliseconds from an opt-out's acknowledgement by Kafka to its arrival in a view."""
    seen: dict[bytes, int] = {}

    def apply(key: bytes, value: bytes | None) -> None:
        seen.setdefault(key, time.time_ns())

    view = View(settings.kafka, topics.OPTOUTS.name, apply)
    await view.start()
    await view.ready.wait()
    producer, times = Producer(settings.kafka), []
    for n in range(rounds):
        record = Consent(number=BARE_FIRST + n, state="out", at=now_ms(), source="bench")
        key = consent_key(record)
        await emit_consent(producer, record)
        at = time.time_ns()
        while key not in seen:
            await view.changed(0.5)
        times.append(max(0.0, (seen[key] - at) / 1e6))
        await asyncio.sleep(0.05)
    await producer.close()
    await view.stop()
    return times


async def _loading(settings: Settings, count: int) -> dict[str, Any]:
    """Seconds that a process needs at its start to read `count` opt-outs."""
    producer = Producer(settings.kafka)
    for first in range(0, count, 10_000):
        numbers = range(10**11 + first, 10**11 + min(first + 10_000, count))
        records = [
            Consent(number=n, state="out", at=1, source="import", evidence="optouts.csv line 7") for n in numbers
        ]
        await send_consents(producer, records)
    await producer.close()
    packed = OptOuts()

    def apply(key: bytes, value: bytes | None) -> None:
        packed.apply(OPTOUTS.decode(value))

    view = View(settings.kafka, topics.OPTOUTS.name, apply)
    started = time.perf_counter()
    await view.start()
    await view.ready.wait()
    seconds = time.perf_counter() - started
    await view.stop()
    if len(packed) < count:
        raise RuntimeError(f"the view has {len(packed)} of {count} opt-outs")
    return {"loaded": len(packed), "load_seconds": round(seconds, 1)}


def _packed(count: int) -> dict[str, Any]:
    """Memory (MB) with a full overlay, and µs of look-ups of 500, as fan-out cuts chunks and at random."""
    draw = np.random.default_rng(7)
    numbers = np.unique(draw.integers(10**10, 10**11, count + count // 50, dtype=np.uint64))
    known = draw.permutation(numbers)[:count]
    packed = OptOuts(known)
    for number in range(10**11, 10**11 + MERGE_AT - 1):
        packed.apply(_out(number))
    everybody = draw.integers(10**10, 10**11, 2_000_000, dtype=np.uint64)
    everybody = everybody[np.argsort(buckets(everybody), kind="stable")]
    chunks = [everybody[first : first + 500].tolist() for first in range(0, 200_000, 500)]
    mixed = [draw.choice(known, 500).tolist() for _ in range(200)]
    chunk50, chunk99 = _percentiles([_lookup(packed, chunk) for chunk in chunks])
    mixed50, _ = _percentiles([_lookup(packed, chunk) for chunk in mixed])
    started = time.perf_counter()
    packed.apply(_out(10**11 + MERGE_AT))
    merge = time.perf_counter() - started
    return {
        "memory_mb": round(packed.nbytes / 1e6 + _overlay_mb(), 1),
        "chunk_p50_us": round(chunk50, 1),
        "chunk_p99_us": round(chunk99, 1),
        "random_p50_us": round(mixed50, 1),
        "merge_ms": round(merge * 1000, 1),
    }


def _out(number: int) -> Consent:
    return Consent(number=number, state="out", at=1, source="import")


def _overlay_mb() -> float:
    """Memory of a full overlay: the dictionary and its numbers."""
    overlay = dict.fromkeys(range(10**11, 10**11 + MERGE_AT), True)
    return (sys.getsizeof(overlay) + sum(map(sys.getsizeof, overlay))) / 1e6


def _lookup(packed: OptOuts, chunk: list[int]) -> float:
    started = time.perf_counter()
    packed.codes_of("demo", chunk)
    return (time.perf_counter() - started) * 1e6
