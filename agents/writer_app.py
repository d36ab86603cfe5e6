"""The writer: a Faust app of its own, so that ClickHouse being slow or away never touches sending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiokafka.errors import IllegalStateError, KafkaError

from adapters.clickhouse import Store
from adapters.clickhouse.audit import insert_audit
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.consents import insert_consents, insert_replies
from adapters.clickhouse.inbox import insert_texts
from adapters.clickhouse.person import erase
from adapters.clickhouse.statuses import StatusSink, forget_campaign, insert_campaigns
from adapters.clickhouse.unreachable import Forgotten, forget_unreachable, insert_unreachable
from adapters.clock import now_ms
from adapters.health import probes
from adapters.health.state import Health
from adapters.settings import WRITER_METRICS, Settings
from adapters.vitals import announce, announce_disk, watch_event_loop
from agents.app import add_agent, faust_app, observe, run
from agents.attribution import Attribution
from agents.consumption import Consumption
from agents.context import Context
from agents.faust_port import Consumer, Message, Stream
from agents.guards.durable import GuardedApp
from agents.open_letters import LetterWatch
from agents.settlement import Settlement
from agents.suppression import Suppression
from agents.tables import watch_store_tables
from agents.writer import BatchStep
from pipeline.feedback.inbound import evidence_of, identity_of
from pipeline.insight.freshness import Freshness
from schemas import metrics, topics
from schemas.alerts import ALERT_DELIVERIES, AlertDocument
from schemas.audit import AUDIT
from schemas.campaign import CAMPAIGNS, CampaignDocument
from schemas.feedback import (
    INBOUND,
    OPTOUTS,
    REPLIES,
    UNREACHABLE,
    Consent,
    Conversation,
    Erasure,
    InboundText,
    Unreachable,
    UnreadText,
)
from schemas.status import STATUSES, StatusChunk, StatusRange
from schemas.wire import DecodeError

GROUP = "longwave-writer"
R = TypeVar("R")


FRESHNESS_SECONDS = 1.0
"""Seconds between two measurements of the figures' age, and how long one may take."""


async def measure_freshness(consumer: Consumer, tell: Callable[[int | None], None] = lambda until: None) -> None:
    """Keep `longwave_freshness_seconds` for as long as this task runs, and tell until when (ms) ClickHouse has all
    statuses that were written, None where that is not known."""
    age = Freshness()
    while True:
        began = now_ms()
        try:
            async with asyncio.timeout(FRESHNESS_SECONDS):
                seconds = age.look(began, await consumer.read_positions(topics.STATUSES.name))
        except (TimeoutError, KafkaError, IllegalStateError):
            seconds = age.wait(now_ms())
        tell(None if seconds is None else began - round(seconds * 1000))
        if seconds is None:
            metrics.FRESHNESS.forget()
        else:
            metrics.FRESHNESS.set(seconds)
        await asyncio.sleep(FRESHNESS_SECONDS)


WAITING_SECONDS = 5.0
"""From when on an insert that waits for ClickHouse is a problem."""


class WriterApp(GuardedApp):
    """The writer's Faust app with its context and the settlement beside it."""

    context: Context
    store: Store
    letters: LetterWatch
    _current_until: int | None = None
    """Until when (ms) all statuses are in ClickHouse; None: not known."""

    def _tell(self, until: int | None) -> None:
        self._current_until = until

    async def on_start(self) -> None:
        self.add_future(self.health.follow_loop())
        await self.context.start()
        # A future of the service: it ends with the app, and its failure ends the app.
        self.add_future(watch_event_loop())
        self.add_future(Consumption(self.guarded_consumer).run())
        self.add_future(watch_store_tables(self.store))
        await self.letters.start()
        self.add_future(Settlement(self.context, self.store, lambda: self._current_until).run())
        self.add_future(self.context.until_broken())
        self.add_future(Suppression(self.context, self.store).run())
        self.add_future(measure_freshness(self.guarded_consumer, self._tell))
        self.add_future(Attribution(self.context, self.store, lambda: self._current_until).run())
        await super().on_start()

    async def on_stop(self) -> None:
        await super().on_stop()
        await self.letters.stop()
        await self.context.stop()


def build(settings: Settings) -> WriterApp:
    """The writer's app."""
    app = faust_app(settings, GROUP, settings.data / "writer", WriterApp)
    context = app.context = Context(settings, worker="writer", submits=False)
    store = app.store = Store(settings.clickhouse)
    app.health = _writer_health(app)
    app.letters = LetterWatch(settings.kafka)
    sink = StatusSink(store)

    def documents(records: Sequence[tuple[str, CampaignDocument | None]]) -> None:
        _write_documents(store, records)

    def consents(records: Sequence[Placed[Consent] | None]) -> None:
        insert_consents(store, [record for record in records if record is not None])

    def replies(records: Sequence[Conversation | None]) -> None:
        spoken = [record for record in records if record is not None]
        insert_replies(store, [(one.number, reply) for one in spoken for reply in one.replies])

    def alerts(records: Sequence[AlertDocument | None]) -> None:
        deliveries = [item for record in records if record is not None for item in record.deliveries]
        insert_replies(store, [(int(item.to.lstrip("+")), item.sms) for item in deliveries if item.sms is not None])

    def texts(records: Sequence[InboundText | UnreadText | Erasure | None]) -> None:
        said = [text for text in records if text is not None and not isinstance(text, Erasure)]
        insert_texts(store, [(text, identity_of(text), evidence_of(text)) for text in said])
        for record in records:
            if isinstance(record, Erasure):
                erase(store, record.number, record.at)

    def unreachable(records: Sequence[Placed[Unreachable] | Forgotten | None]) -> None:
        insert_unreachable(store, [record for record in records if isinstance(record, Placed)])
        for gone in records:
            if isinstance(gone, Forgotten):
                forget_unreachable(store, gone)

    def agent(
        topic: topics.Topic,
        name: str,
        decode: Callable[[Message], R],
        insert: Callable[[Sequence[R]], object],
        traced: Callable[[], Callable[[Sequence[R], int, int], None] | None] = lambda: None,
    ) -> None:
        async def body(stream: Stream) -> None:
            await BatchStep(name, decode, insert, lambda: context.producer, traced()).run(stream)

        add_agent(app, topic, f"agents.writer.{topic.name}", body)

    def traced() -> Callable[[Sequence[StatusChunk | StatusRange], int, int], None] | None:
        return None if context.traces is None else context.traces.inserted

    agent(topics.STATUSES, "writer-statuses", lambda message: STATUSES.decode(message.value), sink.insert, traced)
    agent(topics.CAMPAIGNS, "writer-campaigns", _document, documents)
    agent(topics.OPTOUTS, "writer-consents", _consent, consents)
    agent(topics.REPLIES, "writer-replies", _conversation, replies)
    agent(topics.ALERT_DELIVERIES, "writer-alerts", _alert, alerts)
    agent(topics.INBOUND, "writer-inbound", _text, texts)
    agent(topics.UNREACHABLE, "writer-unreachable", _unreachable, unreachable)
    agent(
        topics.AUDIT,
        "writer-audit",
        lambda message: AUDIT.decode(message.value),
        lambda entries: insert_audit(store, entries),
    )
    return app


def _placed(message: Message, record: R) -> Placed[R]:
    return Placed(message.partition, message.offset, int(message.timestamp * 1000), record)


def _document(message: Message) -> tuple[str, CampaignDocument | None]:
    value = message.value
    return (message.key or b"").decode("ascii", "replace"), None if value is None else CAMPAIGNS.decode(value)


def _consent(message: Message) -> Placed[Consent] | None:
    if message.value is None:
        return None
    return _placed(message, OPTOUTS.decode(message.value))


def _conversation(message: Message) -> Conversation | None:
    return None if message.value is None else REPLIES.decode(message.value)


def _alert(message: Message) -> AlertDocument | None:
    return None if message.value is None else ALERT_DELIVERIES.decode(message.value)


def _text(message: Message) -> InboundText | UnreadText | Erasure | None:
    try:
        return INBOUND.decode(message.value)
    except DecodeError:
        return None  # the step of the workers that reads it too has put it among the dead letters


def _unreachable(message: Message) -> Placed[Unreachable] | Forgotten | None:
    if message.value is not None:
        return _placed(message, UNREACHABLE.decode(message.value))
    key = message.key or b""
    return Forgotten(message.offset, int(key)) if key.isdigit() else None


def _write_documents(store: Store, records: Sequence[tuple[str, CampaignDocument | None]]) -> None:
    newest = dict(records)
    insert_campaigns(store, [document for document in newest.values() if document is not None])
    for campaign, document in newest.items():
        if document is None:
            forget_campaign(store, campaign)


def run_writer(settings: Settings) -> None:
    """Run the writer until SIGTERM."""
    app = build(settings)
    announce("writer")
    announce_disk(settings.data)
    observe(app, settings, settings.metrics_port + WRITER_METRICS)
    run(app)


def _writer_health(app: WriterApp) -> Health:
    """What the writer needs."""
    settings, health = app.context.settings, Health("writer")
    health.probe("kafka", probes.kafka(settings.kafka))
    health.probe("clickhouse", probes.clickhouse(settings.clickhouse))
    health.look("partitions", app.partitions_problem)
    health.look("inserts", _inserts_problem)
    return health


def _inserts_problem() -> str:
    """Which step has waited for ClickHouse for too long. ClickHouse may answer and still take no rows, for instance
    while its disk is full."""
    waiting = [
        f"{sample.labels['step']} has waited for ClickHouse for {sample.value:.0f} s: figures get old"
        for family in metrics.WRITER_WAITING.collect()
        for sample in family.samples
        if sample.value > WAITING_SECONDS
    ]
    return "; ".join(waiting)
