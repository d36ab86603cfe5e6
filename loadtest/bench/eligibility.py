"""`longwave bench eligibility`: the step that decides who gets a message, with all rules on, per core.

Its real Faust worker alone: recipient chunks from Kafka, reservations in RocksDB with their changelog, a million
opt-outs held, zones by contact and by number, local times, quiet hours, smart sending, caps of the law and of the
account, segments of rendered texts, WORK and statuses back into Kafka. Two campaigns go before the one that is
measured, and a third to a tenth of the people one hour before it, so that windows and caps have something to find.

The bare limit: the same worker, chunks, table traffic and records out, and no rule.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from typing import Any, Final

import numpy as np
import psutil
import uvloop

from adapters.clock import now_ms
from adapters.kafka import topics as topic_admin
from adapters.kafka.producer import Producer
from adapters.settings import Settings
from agents.app import add_agent, faust_app, table
from agents.context import Context
from agents.eligibility import BucketTable, Eligibility
from agents.faust_port import Event, Stream
from agents.guards.durable import AckedTable, GuardedApp
from agents.runner import Emissions, Output, Step
from loadtest.bench.campaigns import TEXT, wait_until
from loadtest.bench.report import Result
from loadtest.bench.stack import private_stack
from loadtest.bench.zones import REQUIRED_US, phonenumbers_us, quiet_hours_us, zones_us
from pipeline.accounts.prices import built_in
from pipeline.audience.fanout import chunks
from pipeline.campaign.plan import CampaignPlan, Terms, compile_plan
from pipeline.content.outgoing import everywhere
from pipeline.eligibility.decide import decide
from pipeline.eligibility.optouts import OptOuts
from pipeline.identity.buckets import buckets
from pipeline.timing.quiet_hours import QuietHours
from schemas import topics
from schemas.campaign import CampaignDocument, CampaignSpec, LaunchedSender, Wording
from schemas.chunk import RECIPIENTS, FanoutRange, Move, RecipientChunk, Release
from schemas.topics import Topic
from schemas.wire import encode
from simulation.audience import Audience, sample

REQUIRED: Final = 40_000.0
OPTED_OUT: Final = 1_000_000
MEASURED: Final = "0000bch4"
BEFORE: Final = {"0000bch1": (0, 1.0), "0000bch2": (24, 1.0), "0000bch3": (47, 0.1)}
"""Campaigns that have reserved before: hours after the first, and the share of the people."""
MEASURED_HOURS: Final = 48
PARTITIONS: Final = 8
_BARE_IN: Final = Topic("bench-bare-recipients", "explicit", "the chunks again")
_BARE_LOG: Final = Topic(
    "bench-bare-table", "bucket", "changelog of the bare table", config=topics.RESERVATIONS.config
)
_ROW: Final = bytes(24)


def run(recipients: int = 250_000) -> Result:
    """Measure both, one after the other."""
    inputs = Inputs(recipients)
    alone, reasons = _alone(inputs)
    zones = zones_us()
    with private_stack(f"kafka.partitions = {PARTITIONS}\n", only=("kafka",)) as stack:
        topic_admin.ensure(stack.settings.kafka, [_BARE_IN, _BARE_LOG])
        rate, wall = _measure(stack.settings, inputs, topics.RECIPIENTS, _with_rules)
        bare, _ = _measure(stack.settings, inputs, _BARE_IN, _bare)
    return Result(
        name="eligibility",
        figure=round(rate, 1),
        unit="recipients/s/core",
        limit=round(bare, 1),
        ratio=round(rate / bare, 3),
        required=f"≥ {REQUIRED:,.0f} recipients/s/core, all rules on; zones of a number ≤ {REQUIRED_US:.0f} µs",
        ok=rate >= REQUIRED and max(zones.values()) <= REQUIRED_US,
        inputs={"recipients": recipients, "opted_out": OPTED_OUT, "campaigns_before": len(BEFORE), "text": TEXT},
        details={
            "recipients_per_second_by_the_clock": round(wall),
            "rules_alone_in_memory": round(alone),
            "zones_us_a_number": zones,
            "zones_us_a_number_by_phonenumbers": phonenumbers_us(),
            "quiet_hours_us_a_recipient": quiet_hours_us(inputs.began),
            "outcomes": reasons,
        },
    )


class Inputs:
    """People, opt-outs and campaigns, the same in every process: made from seeds, but for the day they begin."""

    def __init__(self, recipients: int, began: int = 0) -> None:
        self.recipients = recipients
        self.began = began or now_ms()
        self._audience: Audience | None = None

    @property
    def audience(self) -> Audience:
        if self._audience is None:
            self._audience = sample(self.recipients, 1, ("first_name", "city"))
        return self._audience

    def optouts(self) -> OptOuts:
        others = np.random.default_rng(2).integers(10**10, 10**12, OPTED_OUT).astype(np.uint64)
        return OptOuts(np.concatenate([self.audience.opted_out, others]))

    def plan(self, campaign: str) -> CampaignPlan:
        """At ten in the morning on each recipient's clock, from the day after tomorrow on."""
        hours = BEFORE[campaign][0] if campaign in BEFORE else MEASURED_HOURS
        day = datetime.fromtimestamp(self.began / 1000, UTC).replace(hour=10, minute=0, second=0, microsecond=0)
        at = (day + timedelta(days=2, hours=hours)).replace(tzinfo=None)
        written = {
            "name": "bench", "audience": {"lists": ["all"]}, "local_time": True, "send_at": at.isoformat(),
            "messages": [{"text": TEXT, "links": {"default": "https://shop.example/sale"}}],
        }  # fmt: skip
        terms = Terms(
            account_number=1, wording=Wording(site_name="Harbor & Pine"), store_zone="America/New_York",
            senders=[LaunchedSender(sender="main", country="US", lanes=[*range(8)], rate=5000.0)],
            prices=built_in(), links=everywhere("http://127.0.0.1:18081"),
            segments_per_second=5000.0, quiet=QuietHours("cautious"), day_cap=2, week_cap=5,
        )  # fmt: skip
        spec = CampaignSpec.model_validate(written).model_dump(mode="json")
        document = CampaignDocument(
            id=campaign, spec=spec, status="sending", revision=2, launch_revision=2, lanes=list(terms.lanes),
            senders=list(terms.senders), created=self.began, updated=self.began, launched=self.began,
            recipients=self.recipients,
        )  # fmt: skip
        return compile_plan(document, terms)

    def records(self, campaign: str) -> list[tuple[int, bytes, int]]:
        """(partition, bytes, recipients) of each chunk of a campaign."""
        task = FanoutRange(campaign=campaign, revision=2, message=0, first=0, last=self.recipients)
        made = list(chunks(task, self.audience.page, PARTITIONS))
        kept = made[:: round(1 / BEFORE[campaign][1])] if campaign in BEFORE else made
        return [(partition, encode(chunk), len(chunk.numbers)) for partition, chunk in kept]


def _alone(inputs: Inputs) -> tuple[float, dict[str, int]]:
    """Decoding and deciding over a dict in this process: recipients per second of CPU, and what was decided."""
    reservations: dict[int, bytes] = {}
    optouts, seconds, outcomes = inputs.optouts(), 0.0, Counter[str]()
    for campaign in (*BEFORE, MEASURED):
        plan, records = inputs.plan(campaign), inputs.records(campaign)
        outcomes.clear()
        before = time.process_time()
        for _, value, _ in records:
            chunk = RECIPIENTS.decode(value)
            assert isinstance(chunk, RecipientChunk)
            decision = decide(chunk, plan, reservations, optouts, inputs.began)
            outcomes["work"] += sum(len(work.ordinals) for _, work in decision.work)
            for status in decision.statuses:
                outcomes.update({str(group.reason): len(group.ordinals) for group in status.groups})
        seconds = time.process_time() - before
    return inputs.recipients / seconds, dict(outcomes)


Handle = Callable[[RecipientChunk | Release | Move, Event], Emissions]
Worker = Callable[[GuardedApp, Context], Handle]


def _with_rules(app: GuardedApp, context: Context) -> Handle:
    reservations = table(app, "reservations", topics.RESERVATIONS)
    return Eligibility(context, reservations).handle


def _bare(app: GuardedApp, context: Context) -> Handle:
    kept = table(app, "bare", _BARE_LOG)
    return _Bare(kept).handle


@dataclass(frozen=True, slots=True)
class _Bare:
    """Reads and writes as much as the real one, and decides nothing."""

    table: AckedTable

    def handle(self, chunk: RecipientChunk | Release | Move, event: Event) -> Emissions:
        view = BucketTable(self.table)
        buckets_used, counts = np.unique(buckets(chunk.numbers), return_counts=True)
        for bucket, count in zip(buckets_used.tolist(), counts.tolist(), strict=True):
            view[bucket] = (view.get(bucket) or b"") + count * _ROW
        out = Output(topics.LANES.name, event.message.value, partition=0)
        written = frozenset(view.written)
        settled: list[Callable[[], Awaitable[None]]] = [lambda: self.table.settled(written)]
        return Emissions([out], settled, len(chunk.numbers))


def _measure(settings: Settings, inputs: Inputs, source: Topic, worker: Worker) -> tuple[float, float]:
    """Recipients per second of the worker's CPU and per second by the clock, for the measured campaign."""
    spawn = multiprocessing.get_context("spawn")
    done = spawn.Value("q", 0)
    process = spawn.Process(target=_work, args=(settings, inputs.recipients, inputs.began, source, worker, done))
    process.start()
    try:
        expected = _feed(settings, inputs, source, list(BEFORE))
        _until(process, done, expected)
        before, began = _cpu(process), time.perf_counter()
        expected += _feed(settings, inputs, source, [MEASURED])
        _until(process, done, expected)
        seconds, wall = _cpu(process) - before, time.perf_counter() - began
    finally:
        process.terminate()
        process.join(20)
        if process.is_alive():
            process.kill()
    return inputs.recipients / seconds, inputs.recipients / wall


def _cpu(process: BaseProcess) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def _until(process: BaseProcess, done: Any, expected: int) -> None:
    def reached() -> bool:
        if not process.is_alive():
            raise RuntimeError(f"the worker ended with code {process.exitcode}")
        return bool(done.value >= expected)

    wait_until(f"{expected:,} recipients decided", reached, 240, pause=0.02)


def _feed(settings: Settings, inputs: Inputs, source: Topic, campaigns: list[str]) -> int:
    """Write the chunks of campaigns; how many recipients they have."""
    records = [record for campaign in campaigns for record in inputs.records(campaign)]

    async def feed() -> None:
        producer = Producer(settings.kafka)
        for first in range(0, len(records), 256):
            batch = records[first : first + 256]
            await asyncio.gather(*(producer.emit(source.name, value, partition=at) for at, value, _ in batch))
        await producer.close()

    uvloop.run(feed())
    return sum(count for _, _, count in records)


class _Prepared(Context):
    """A context whose plans and opt-outs are there from the start."""

    def prepare(self, inputs: Inputs, producer: Producer) -> None:
        self.optouts = inputs.optouts()
        self._prepared = {campaign: inputs.plan(campaign) for campaign in (*BEFORE, MEASURED)}
        self._producer = producer

    def plan(self, campaign: str, launch_revision: int) -> CampaignPlan | None:
        return self._prepared[campaign]


def _work(settings: Settings, recipients: int, began: int, source: Topic, worker: Worker, done: Any) -> None:
    uvloop.run(_worker(settings, Inputs(recipients, began), source, worker, done))


async def _worker(settings: Settings, inputs: Inputs, source: Topic, worker: Worker, done: Any) -> None:
    """One Faust worker with this step alone; `done` counts recipients whose records are acknowledged."""
    producer = AckedTable.producer = Producer(settings.kafka)
    context = _Prepared(settings, "worker-0")
    context.prepare(inputs, producer)
    app = faust_app(settings, f"bench-{source.name}", settings.data / f"bench-{source.name}", GuardedApp)
    handle = worker(app, context)

    def counted(record: RecipientChunk | Release | Move, event: Event) -> Emissions:
        emissions = handle(record, event)

        async def count() -> None:
            done.value += emissions.recipients

        emissions.settled = [*emissions.settled, count]
        return emissions

    async def body(stream: Stream) -> None:
        await Step("eligibility", RECIPIENTS, counted, lambda: producer).run(stream)

    add_agent(app, source, f"bench.{source.name}", body)
    await app.start()
    await asyncio.Event().wait()
