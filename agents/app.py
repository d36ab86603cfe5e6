"""The worker: composition root of the steps, in the order in which a message travels."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import faust
import uvloop
from faust.types import TP, TopicT
from faust.types.agents import AgentFun
from mode.supervisors import CrashingSupervisor

from adapters import stacks
from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.retry_lists import RetryLists
from adapters.health import probes
from adapters.health import server as health_server
from adapters.health.state import Health
from adapters.kafka.producer import Producer
from adapters.settings import Settings
from adapters.vitals import announce, announce_disk, watch_event_loop
from agents.accounts import AccountsStep
from agents.alerts.deliverer import Deliverer
from agents.alerts.step import AlertsStep
from agents.clicks import Clicks
from agents.consumption import Consumption
from agents.context import Context
from agents.coordinator import Coordinator
from agents.eligibility import Eligibility
from agents.fanout import Fanout
from agents.faust_port import AgentBody, Stream
from agents.guards import selfcheck
from agents.guards.assignor import LaneAssignor
from agents.guards.coordination import METADATA_MAX_AGE_MS
from agents.guards.durable import AckedTable, GuardedApp, GuardedConsumer
from agents.inbound import Inbound
from agents.lane.journals import Journals
from agents.lane.step import Lanes, lane_weights
from agents.ledger import LedgerStep
from agents.receipts import Receipts
from agents.runner import Step
from agents.tables import watch_tables
from schemas import metrics, topics
from schemas.accounts import ACCOUNT_COMMANDS
from schemas.alerts import ALERTS
from schemas.campaign import COMMANDS
from schemas.chunk import FANOUT, RECIPIENTS
from schemas.feedback import CLICKS, INBOUND, RECEIPTS
from schemas.ledger import LEDGER_COMMANDS
from schemas.topics import Topic

log = logging.getLogger(__name__)

GROUP = "longwave"


A = TypeVar("A", bound=GuardedApp)


def faust_app(settings: Settings, group: str, data: Path, app_class: type[A], **options: Any) -> A:
    """A Faust app with this project's settings, and further `options` of Faust's.

    docs/internals/faust.md gives the reason for each.
    """
    # A policy, not a loop: the consumer's thread makes a loop of its own.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    kafka = settings.kafka
    data.mkdir(parents=True, exist_ok=True)
    return app_class(
        group,
        broker="aiokafka://" + kafka.bootstrap.replace(",", ";aiokafka://"),
        store="rocksdb://?driver=rocksdict",
        datadir=data,
        Table=AckedTable,
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=kafka.partitions,
        web_enabled=False,
        web_tables_enabled=False,
        agent_supervisor=CrashingSupervisor,
        stream_buffer_maxsize=32,
        stream_wait_empty=False,
        consumer_max_fetch_size=4_194_304,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        producer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        broker_session_timeout=kafka.session_timeout,
        broker_heartbeat_interval=kafka.heartbeat_interval,
        broker_request_timeout=max(30.0, 2 * kafka.session_timeout),
        broker_max_poll_interval=86_400.0,
        broker_commit_interval=1.0,
        broker_commit_every=1_000_000,
        producer_linger=0.005,
        table_cleanup_interval=3600.0,
        PartitionAssignor=LaneAssignor,
        **options,
    )


def _named(lanes: set[int]) -> str:
    numbers = ", ".join(str(lane) for lane in sorted(lanes))
    return f"lane {numbers} is" if len(lanes) == 1 else f"lanes {numbers} are"


def raw_topic(app: GuardedApp, topic: Topic) -> TopicT:
    return app.topic(topic.name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def table(app: GuardedApp, name: str, changelog: Topic) -> AckedTable:
    """A table of keys and values as they are, whose changelog is `changelog`."""
    made = app.Table(
        name,
        key_type=bytes,
        value_type=bytes,
        partitions=app.conf.topic_partitions,
        changelog_topic=raw_topic(app, changelog),
    )
    assert isinstance(made, AckedTable), "faust_app sets the class of tables"
    return made


def add_agent(app: GuardedApp, topic: Topic, name: str, body: AgentBody) -> None:
    """Have `body` consume the topic's records on this worker."""
    app.agent(raw_topic(app, topic), name=name)(cast(AgentFun[bytes], body))


class WorkerApp(GuardedApp):
    """A worker's Faust app: the context lives as long as it does, the lanes follow its assignments."""

    context: Context
    journals: Journals
    lanes: Lanes
    alerts: Deliverer

    async def on_start(self) -> None:
        self.add_future(self.health.follow_loop())
        tables = [cast(AckedTable, table) for table in self.tables.values()]
        selfcheck.begin(Path(self.conf.datadir), self.context.worker, tables, self.context.settings.kafka)
        # Read before this process submits anything, and reported as soon as there is a producer.
        left = self.journals.begin()
        await self.context.start()
        LaneAssignor.weights = lane_weights(self.context.accounts, self.context.settings.kafka.lanes)
        await self.journals.report(left, self.context.producer)
        AckedTable.producer = self.context.producer
        await super().on_start()
        self.add_future(watch_event_loop())
        self.add_future(watch_tables(tables))
        self.add_future(Consumption(self.guarded_consumer).run())
        self.add_future(self.alerts.run())
        metrics.LANES.set_function(lambda: float(len(self.context.accounts.carrying())))
        metrics.LANES_UNOWNED.set_function(lambda: float(len(self.unowned())))

    @property
    def works(self) -> bool:
        # Whoever starts or ends workers one after the other waits for this: else the next rebalance would come while
        # lanes still stand from the last one.
        # A lane that carries a sender and that nobody has counts against all: nobody sends anything from it.
        return self.lanes.owned and not self.unowned()

    def lanes_problem(self) -> str:
        """Which lanes are not worked on, "" if all are; may be called in any thread."""
        if self.partitions_problem():
            return ""  # it has no lanes now, and that is said already
        if unread := self.lanes.unread():
            return f"{_named(unread)} being read from the log: nothing is submitted from there yet"
        if unowned := self.unowned():
            return f"{_named(unowned)} without a worker: the messages of their senders wait"
        return ""

    def assignment(self) -> int | None:
        """Names the assignment that is being read; None where it is not recovered yet."""
        return int(self.consumer_generation_id) if self.guarded_consumer.ready else None

    def unowned(self) -> set[int]:
        """Lanes that carry a sender and that no worker has, by the last assignment."""
        assignor = self.assignor
        assert isinstance(assignor, LaneAssignor), "faust_app sets it"
        return set(self.context.accounts.carrying() - assignor.assigned_lanes())

    async def on_stop(self) -> None:
        await self.lanes.stop()
        await super().on_stop()
        await self.context.stop()
        self.journals.end()
        if not self.crashed:
            selfcheck.end(Path(self.conf.datadir))


def build(settings: Settings, index: int) -> WorkerApp:
    """The app of worker `index`."""
    GuardedConsumer.capped_topics = frozenset({topics.LANES.name})
    # Nobody asks there; but what Faust tells each worker of the others' partitions it keeps by this address.
    url = f"http://{socket.gethostname()}:{settings.metrics_port + index}"
    app = faust_app(settings, GROUP, settings.data / f"worker-{index}", WorkerApp, canonical_url=url)
    context = app.context = Context(settings, worker=f"worker-{index}")
    journals = app.journals = Journals(settings.data / f"worker-{index}" / "journals", context.worker)
    lanes = app.lanes = Lanes(context, journals)
    app.health = _worker_health(app)
    clickhouse = Store(settings.clickhouse)
    store, lists = AudienceStore(clickhouse), RetryLists(clickhouse)
    accounts = table(app, "accounts", topics.ACCOUNTS)
    campaigns = table(app, "campaigns", topics.CAMPAIGNS)
    ledger = table(app, "ledger", topics.LEDGER)
    reservations = table(app, "reservations", topics.RESERVATIONS)
    replies = table(app, "replies", topics.REPLIES)
    alerts = table(app, "alerts", topics.ALERT_DELIVERIES)
    deliverer = app.alerts = Deliverer(context, alerts.whole, app.assignment)

    def producer() -> Producer:
        return context.producer

    _agent(
        app,
        topics.ACCOUNT_COMMANDS,
        lambda: Step("accounts", ACCOUNT_COMMANDS, AccountsStep(context, accounts).handle, producer),
    )
    _agent(
        app, topics.COMMANDS, lambda: Step("coordinator", COMMANDS, Coordinator(context, campaigns).handle, producer)
    )
    _agent(
        app,
        topics.LEDGER_COMMANDS,
        lambda: Step("ledger", LEDGER_COMMANDS, LedgerStep(context, ledger).handle, producer),
    )
    _agent(
        app,
        topics.FANOUT,
        lambda: Step("fanout", FANOUT, Fanout(context, store, lists).handle, producer, in_flight=4),
    )
    _agent(
        app,
        topics.RECIPIENTS,
        lambda: Step("eligibility", RECIPIENTS, Eligibility(context, reservations).handle, producer),
    )
    _agent(app, topics.LANES, lambda: lanes)
    _agent(app, topics.RECEIPTS, lambda: Step("receipts", RECEIPTS, Receipts(context).handle, producer))
    sent_times = Store(settings.clickhouse)
    _agent(app, topics.CLICKS, lambda: Step("clicks", CLICKS, Clicks(context, sent_times).handle, producer))
    _agent(app, topics.INBOUND, lambda: Step("inbound", INBOUND, Inbound(context, replies).handle, producer))
    _agent(
        app, topics.ALERTS, lambda: Step("alerts", ALERTS, AlertsStep(context, alerts, deliverer).handle, producer)
    )

    @app.on_partitions_assigned.connect
    async def assigned(_: object, /, *partitions: set[TP], **kwargs: object) -> None:
        await lanes.assigned(app.guarded_consumer, partitions[0])

    @app.on_partitions_revoked.connect
    async def revoked(_: object, /, *partitions: set[TP], **kwargs: object) -> None:
        await lanes.revoked()

    return app


class _Runs(Protocol):
    async def run(self, stream: Stream) -> None: ...


def _agent(app: WorkerApp, topic: Topic, make: Callable[[], _Runs]) -> None:
    async def body(stream: Stream) -> None:
        await make().run(stream)

    add_agent(app, topic, f"agents.{topic.name}", body)


def run_worker(settings: Settings, index: int) -> None:
    """Run worker `index` until SIGTERM."""
    app = build(settings, index)
    announce("worker")
    announce_disk(settings.data)
    observe(app, settings, settings.metrics_port + index)
    run(app)


def _worker_health(app: WorkerApp) -> Health:
    """What a worker needs. Sending goes on without ClickHouse, and while one of several aggregators is down."""
    settings, health = app.context.settings, Health(app.context.worker)
    health.probe("kafka", probes.kafka(settings.kafka))
    health.look("partitions", app.partitions_problem)
    health.look("lanes", app.lanes_problem)
    health.look("opt-outs", app.context.consents_problem)
    health.probe("clickhouse", probes.clickhouse(settings.clickhouse), "optional")
    health.look("aggregators", app.lanes.aggregators_problem, "optional")
    return health


def observe(app: GuardedApp, settings: Settings, port: int) -> None:
    """Check this process's health from now on, and serve it and the metrics on `port`.

    Raises:
        LongwaveError: the port is taken.
    """
    app.health.start()
    health_server.serve(app.health, settings.metrics_host, port, settings.metrics_hosts)


class _Worker(faust.Worker):
    """Hazard: Faust answers SIGUSR1 without what its tasks await, and SIGUSR2 with a debugger that stops all work."""

    def install_signal_handlers(self) -> None:
        super().install_signal_handlers()
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            self.loop.remove_signal_handler(number)
        stacks.on_signal()


def run(app: GuardedApp) -> None:
    """Run a Faust app in this process until SIGTERM or SIGINT."""
    # Our own logging stays (`adapters.logs`); what Faust prints beside it has no time.
    worker = _Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()
