"""Every Prometheus metric, declared once with its meaning. Dashboards, rules and docs are checked against this.

All processes import this module, and each exports only what it knows: a metric has no sample until this process sets
it or makes a label set of it. Without that the API would export the freshness of the writer as 0, and a `min()` over
all processes would never see another value. So:
- whoever owns a counter makes its label sets when it starts, so that `increase()` sees the first event;
- a label set whose subject is gone (a lane that another worker has, a campaign at its end) is removed with `.remove`,
  or by `forget_lane`; a value without labels that is not known anymore is taken back with `.forget`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase


class _Known(MetricWrapperBase):
    """A metric of which nothing is exported until something is known."""

    _is_known = False

    def collect(self) -> Iterable[Metric]:
        return super().collect() if self._is_known or getattr(self, "_metrics", None) else ()

    def forget(self) -> None:
        """Export it no more until it is set again."""
        self._is_known = False


class Counter(_Known, prometheus_client.Counter):
    """A counter that is exported once this process has counted, or has made its label set."""

    def inc(self, *args: Any, **kwargs: Any) -> None:
        self._is_known = True
        super().inc(*args, **kwargs)


class Gauge(_Known, prometheus_client.Gauge):
    """A gauge that is exported once this process has set it."""

    def inc(self, amount: float = 1) -> None:
        self._is_known = True
        super().inc(amount)

    def dec(self, amount: float = 1) -> None:
        self._is_known = True
        super().dec(amount)

    def set(self, value: float) -> None:
        self._is_known = True
        super().set(value)

    def set_function(self, f: Callable[[], float]) -> None:
        self._is_known = True
        super().set_function(f)


class Histogram(_Known, prometheus_client.Histogram):
    """A histogram that is exported once this process has observed something."""

    def observe(self, *args: Any, **kwargs: Any) -> None:
        self._is_known = True
        super().observe(*args, **kwargs)


_LATE = (0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""Buckets of lateness: the objective's 5 s is among them."""
_CARRIER = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

BUILD = Gauge(
    "longwave_build_info",
    "1, with the version of Longwave and of Python that this process runs, and which process it is.",
    ["process", "version", "python"],
)
CLOCK = Gauge(
    "longwave_clock_seconds",
    "This process's clock (seconds since 1970) at the moment of the scrape; Prometheus knows its own.",
)
EVENT_LOOP_DELAY = Histogram(
    "longwave_event_loop_delay_seconds",
    "How late the event loop was for a timer, measured four times a second.",
    buckets=_FAST,
)
DISK_FREE = Gauge("longwave_data_disk_free_bytes", "Free bytes of the disk that has the data folder.")
DISK_SIZE = Gauge("longwave_data_disk_bytes", "Size of the disk that has the data folder, in bytes.")

KAFKA_UP = Gauge("longwave_kafka_up", "1 while Kafka answers this process's probe, else 0.")
CONSUMER_LAG = Gauge(
    "longwave_consumer_lag_records",
    "Records of this process's partitions that were written and are not acknowledged yet.",
    ["topic"],
)
COMMIT_AGE = Gauge(
    "longwave_commit_age_seconds",
    "How long ago everything that was written until then was committed (0 while all is); not of lanes, which commit "
    "with their checkpoints.",
    ["topic"],
)
PRODUCER_QUEUE = Gauge(
    "longwave_producer_queue_records", "Records handed to the Kafka producer and not acknowledged by the broker yet."
)
PRODUCER_FAILURES = Counter(
    "longwave_producer_failures_total", "Records that the broker did not acknowledge in time or refused."
)
TABLE_KEYS = Gauge("longwave_table_keys", "Keys of this worker's share of a table, as RocksDB estimates.", ["table"])
TABLE_BYTES = Gauge(
    "longwave_table_bytes", "Bytes of this worker's share of a table, on disk and in memory.", ["table"]
)

LEDGER_COMMANDS = Counter(
    "longwave_ledger_commands_total",
    "Commands of the ledger by what became of them: done, repeated (it had been carried out before), refused, short "
    "(the campaign waits for a top-up).",
    ["result"],
)
LEDGER_CREDITS = Gauge(
    "longwave_ledger_credits", "Credits of all accounts together: available, or reserved for campaigns.", ["kind"]
)
LEDGER_WAITING = Gauge("longwave_ledger_waiting_campaigns", "Campaigns that wait for a top-up of their account.")
LEDGER_WAITING_SECONDS = Gauge(
    "longwave_ledger_waiting_seconds", "For how long the first of the campaigns that wait for a top-up has waited."
)
ALERTS = Counter("longwave_account_alerts_total", "Alerts to accounts' people, by what they are about.", ["about"])
ALERT_DELIVERIES = Counter(
    "longwave_account_alert_deliveries_total",
    "What became of accounts' alerts at their destinations: sent, failed (given up), replaced (by a newer one while "
    "it was held), removed (the destination was), and each attempt that is made again.",
    ["channel", "result"],
)
ALERT_WAITING = Gauge(
    "longwave_account_alert_waiting_seconds",
    "How long the oldest alert that this worker cannot deliver has waited, by channel; 0: none does.",
    ["channel"],
)

STEP_RECORDS = Counter("longwave_step_records_total", "Kafka records that a step finished.", ["step"])
STEP_RECIPIENTS = Counter(
    "longwave_step_recipients_total", "Recipients in the records that a step finished.", ["step"]
)
STEP_SECONDS = Histogram(
    "longwave_step_seconds",
    "Seconds from taking a record to its last emission acknowledged.",
    ["step"],
    buckets=_FAST,
)
STEP_FAILURES = Counter("longwave_step_failures_total", "Attempts at a record that raised, retried or not.", ["step"])
STEP_DEAD_LETTERS = Counter(
    "longwave_step_dead_letters_total", "Records given up and put to the dead letters.", ["step"]
)
DEAD_LETTERS_REFUSED = Gauge(
    "longwave_dead_letters_refused",
    "1 while Kafka refuses this process's dead letters, which stops it; else 0.",
    ["step"],
)
DEAD_LETTERS_WAITING = Gauge(
    "longwave_dead_letters_waiting", "Dead letters that nobody has replayed or dropped yet, by step.", ["step"]
)
STEP_UNACKED = Gauge("longwave_step_unacked_records", "Records taken and not yet acknowledged.", ["step"])

WORKER_READY = Gauge(
    "longwave_worker_ready",
    "1 while this process's partitions are assigned, its tables recovered, its records read and its lanes its own; "
    "else 0.",
)
WORKER_ASSIGNED = Gauge(
    "longwave_worker_assigned",
    "1 for each partition that this process has; 0 while a rebalance takes it.",
    ["topic", "partition"],
)

_BY_CLASS = ["lane", "class", "aggregator"]
LANES = Gauge("longwave_lanes", "Lanes that carry a sender.")
LANES_UNOWNED = Gauge(
    "longwave_lanes_unowned", "Lanes that carry a sender and that no worker has, by the group's last assignment."
)
SENDERS = Gauge(
    "longwave_senders", "Senders of a lane, by the class of their number and their aggregator.", _BY_CLASS
)
SENDER_LIMIT = Gauge(
    "longwave_sender_limit_segments_per_second",
    "What these may submit together, without their accounts' limits.",
    _BY_CLASS,
)
SENDER_SEGMENTS = Counter(
    "longwave_sender_segments_total", "Segments submitted, by the class of the sender and the aggregator.", _BY_CLASS
)
LANE_QUEUED = Gauge("longwave_lane_queued_recipients", "Recipients due and waiting in the lane.", ["lane"])
LANE_DELAYED = Gauge("longwave_lane_delayed_recipients", "Recipients in the lane's delay table.", ["lane"])
LANE_IN_FLIGHT = Gauge("longwave_lane_in_flight_recipients", "Recipients with an INTENT and no RESULT.", ["lane"])
LANE_OLDEST_DUE = Gauge(
    "longwave_lane_oldest_due_seconds", "How long the oldest due recipient has been waiting.", ["lane"]
)
LANE_SENDABLE = Gauge(
    "longwave_lane_sendable_recipients",
    "Due recipients of campaigns that run: what the lane could send now.",
    ["lane"],
)
LANE_LATE = Gauge(
    "longwave_lane_late_seconds",
    "How long the oldest of those has been waiting beyond its due time and the sender's limit (0: only for these).",
    ["lane"],
)
DUE_TO_AGGREGATOR = Histogram(
    "longwave_due_to_aggregator_seconds",
    "Seconds from when the first recipient of a slice was due, and the sender's limit had room, until the slice was "
    "handed to the aggregator.",
    ["lane"],
    buckets=_LATE,
)
LANE_MESSAGES = Counter(
    "longwave_lane_messages_total", "Messages by outcome of their submission.", ["lane", "outcome"]
)
LANE_LIMIT = Gauge(
    "longwave_lane_limit_segments_per_second", "What all senders of the lane may submit together.", ["lane"]
)
LANE_USABLE = Gauge(
    "longwave_lane_usable_segments_per_second",
    "What those of its senders may submit that have due recipients of campaigns that run, by the limits of senders "
    "and accounts.",
    ["lane"],
)
LANE_DRAIN = Gauge(
    "longwave_lane_drain_seconds",
    "How long the sender of the lane that needs longest needs for its due recipients, at its limit, a segment each.",
    ["lane"],
)
LANE_SEGMENTS = Counter(
    "longwave_lane_segments_total", "Segments submitted to the aggregator (the rate used).", ["lane"]
)
LANE_VOID_PICKS = Counter(
    "longwave_lane_void_picks_total", "Picks of INTENTs that the log's order made void.", ["lane"]
)
LANE_EPOCH = Gauge("longwave_lane_epoch", "Epoch of the owner (0 while the lane is being replayed).", ["lane"])
LANE_REBUILD_SECONDS = Gauge(
    "longwave_lane_rebuild_seconds",
    "Seconds from the lane's last assignment to this worker until it had read the lane's log and owned it.",
    ["lane"],
)
LANE_LOG_BYTES = Gauge("longwave_lane_log_bytes", "Bytes of the lane's log since its low-water mark.", ["lane"])
LANE_SUSPENDED = Gauge(
    "longwave_lane_suspended_campaigns", "Campaigns that this lane holds, because its aggregator is down.", ["lane"]
)
LANE_WITHOUT_DOMAIN = Gauge(
    "longwave_lane_campaigns_without_domain",
    "Campaigns that this lane holds, because all domains for their links have reached their limits.",
    ["lane"],
)
LANE_DOMAINS_LEFT = Gauge(
    "longwave_lane_domains_left_ratio",
    "What is left in this lane of the messages that an account's domains for a kind of links may carry, as a "
    "fraction; of the account that has least left (1: all, or no domain has a limit).",
    ["lane", "kind"],
)
LANE_TOO_LATE = Counter(
    "longwave_lane_too_late_recipients_total",
    "Recipients that expired because machines had made them later than the account allows.",
    ["lane"],
)
LANE_CHECKPOINTS = Counter("longwave_lane_checkpoints_total", "Checkpoints completed.", ["lane"])

AGGREGATOR_SECONDS = Histogram(
    "longwave_aggregator_seconds",
    "Seconds from a request to the aggregator's answer.",
    ["aggregator"],
    buckets=_FAST,
)
AGGREGATOR_OUTCOMES = Counter(
    "longwave_aggregator_messages_total",
    "Messages by outcome of their submission.",
    ["aggregator", "outcome"],
)

AGGREGATOR_CONNECTIONS = Gauge(
    "longwave_aggregator_connections",
    "Submissions to an aggregator that this worker may have open at once.",
    ["aggregator"],
)
AGGREGATOR_CONNECTIONS_USED = Gauge(
    "longwave_aggregator_connections_used", "Submissions to an aggregator that this worker has open.", ["aggregator"]
)
FAILURES = Counter(
    "longwave_message_failures_total",
    "Messages that an aggregator did not take, or a carrier did not deliver, by reason (of the closed list, else "
    "`other`). `stage` is submission or receipt.",
    ["aggregator", "stage", "reason"],
)
AGGREGATOR_BREAKER = Gauge(
    "longwave_aggregator_breaker",
    "The circuit breaker of this worker towards an aggregator: 0 closed, 1 open, 2 half-open.",
    ["aggregator"],
)
AGGREGATOR_HELD = Gauge(
    "longwave_aggregator_throttled",
    "1 while an aggregator takes nothing of the account because it said so (429, Retry-After); else 0.",
    ["aggregator"],
)
AGGREGATOR_HOLDS = Counter(
    "longwave_aggregator_throttles_total",
    "How often an aggregator told this worker to wait with the whole account.",
    ["aggregator"],
)

TRACE_SPANS = Counter(
    "longwave_trace_spans_total",
    "Spans of sampled chunks by what became of them: exported, or dropped because the collector was away or slow.",
    ["outcome"],
)

INGRESS_REQUESTS = Counter("longwave_ingress_requests_total", "Requests by kind and HTTP status.", ["kind", "status"])
INGRESS_ITEMS = Counter("longwave_ingress_items_total", "Receipts, clicks and texts acknowledged by Kafka.", ["kind"])
INGRESS_REJECTED = Counter(
    "longwave_ingress_rejected_items_total",
    "Items that could not be taken and are kept as dead letters, by topic.",
    ["kind"],
)
INGRESS_NOTED = Counter(
    "longwave_ingress_noted_total",
    "Texts that were taken although something was odd: sender not readable, time replaced, cut, broken characters.",
    ["note"],
)
ATTRIBUTED = Counter(
    "longwave_attributed_total",
    "Texts and opt-out links whose message was decided, by event; `none` has none.",
    ["event"],
)
RECEIPTS = Counter(
    "longwave_receipts_total",
    "Receipts taken, by aggregator and by the state that they say.",
    ["aggregator", "state"],
)
RECEIPT_DELAY = Histogram(
    "longwave_receipt_delay_seconds",
    "Seconds from the time that the oldest receipt of a request states until it arrived.",
    ["aggregator"],
    buckets=_CARRIER,
)
RECEIPTS_EXCLUDED = Counter(
    "longwave_receipts_excluded_total",
    "Receipts that are in no figure: not of a message that the aggregator got from us, by reason.",
    ["reason"],
)
UNREACHABLE = Counter(
    "longwave_unreachable_total", "Numbers that became unreachable, by what the carrier said.", ["reason"]
)
INGRESS_SECONDS = Histogram(
    "longwave_ingress_seconds", "Seconds from a request to its answer.", ["kind"], buckets=_FAST
)

WRITER_SECONDS = Histogram("longwave_writer_insert_seconds", "Seconds an insert into ClickHouse took.", buckets=_FAST)
WRITER_WAITING = Gauge(
    "longwave_writer_waiting_seconds", "How long the writer has been waiting for ClickHouse (0: not).", ["step"]
)

STORE_UP = Gauge("longwave_clickhouse_up", "1 while ClickHouse answers this process's probe, else 0.")
STORE_SECONDS = Histogram(
    "longwave_store_seconds",
    "Seconds from a request of ours to ClickHouse to its answer.",
    ["kind"],
    buckets=_FAST,
)
STORE_FAILURES = Counter(
    "longwave_store_failures_total", "Requests of ours that ClickHouse did not answer or refused.", ["kind", "error"]
)
STORE_TABLE_ROWS = Gauge("longwave_clickhouse_table_rows", "Rows of a table in ClickHouse.", ["table"])
STORE_TABLE_BYTES = Gauge("longwave_clickhouse_table_bytes", "Bytes of a table in ClickHouse on its disk.", ["table"])

CAMPAIGN_RESIDUAL = Gauge(
    "longwave_campaign_residual",
    "Recipients of a campaign under way that are in no state or in several; anything but 0 is a defect.",
    ["campaign"],
)
CAMPAIGNS = Gauge(
    "longwave_campaigns", "Campaigns that are in a status; suspended ones are held by the system.", ["status"]
)
CAMPAIGN_FRESHNESS = Gauge(
    "longwave_campaign_freshness_seconds",
    "Age of the figures of the campaigns under way in a status: those of the one that was looked at the longest ago.",
    ["status"],
)
UNKNOWN = Gauge(
    "longwave_unknown_recipients",
    "Recipients of campaigns under way of whom nobody knows whether they got their message.",
)
FRESHNESS = Gauge(
    "longwave_freshness_seconds",
    "Age of the figures: how long ago ClickHouse had every status that was written until then (0 while it has all).",
)

API_REQUESTS = Counter(
    "longwave_api_requests_total",
    "Requests to the REST API and the page by route and HTTP status.",
    ["route", "status"],
)
API_SECONDS = Histogram(
    "longwave_api_seconds", "Seconds from a request to the head of its answer.", ["route"], buckets=_FAST
)

SERVER_REFUSED = Counter(
    "longwave_server_refused_total",
    "Connections and requests that a server (api, ingress, or metrics: the port for metrics and health) refused by "
    "its limits, by cause.",
    ["server", "cause"],
)
CERTIFICATE_DAYS = Gauge(
    "longwave_certificate_days", "Days until the certificate ends that a server of this process shows.", ["server"]
)
STREAMS = Gauge("longwave_api_streams", "Live pages that are open at this process.")

ENDPOINT_REQUESTS = Counter(
    "longwave_clickhouse_requests_total",
    "Requests to the local ClickHouse endpoint by kind and outcome.",
    ["kind", "outcome"],
)
ENDPOINT_SECONDS = Histogram(
    "longwave_clickhouse_seconds",
    "Seconds that the local ClickHouse endpoint took for a request.",
    ["kind"],
    buckets=_FAST,
)

SIMULATOR_REQUESTS = Counter(
    "longwave_simulator_requests_total", "Requests to the simulated aggregator by HTTP status.", ["status"]
)
SIMULATOR_MESSAGES = Gauge(
    "longwave_simulator_messages",
    "Messages that the simulated aggregator has seen by what became of them.",
    ["outcome"],
)

ALL: tuple[_Known, ...] = tuple(
    value for name, value in sorted(globals().items()) if name.isupper() and not name.startswith("_")
)


def forget_lane(lane: int) -> None:
    """Stop exporting the metrics of a lane that this process no longer owns; its new owner exports them."""
    for metric in ALL:
        if "lane" in metric._labelnames:
            metric.remove_by_labels({"lane": str(lane)})
