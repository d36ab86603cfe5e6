"""Kafka and ClickHouse as Longwave's processes see them, from Prometheus."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.panels import assembled, dashboard, lines, number
from dashboards.grafana.pipeline import p99, rate


def build() -> Dashboard:
    """Whether what is written reaches ClickHouse, then what each server takes."""
    about = "Kafka and ClickHouse as our processes see them, from Prometheus."
    made = dashboard("longwave-servers", "Longwave: Kafka and ClickHouse", about)
    return assembled(made, {"Now": _NOW, "Kafka": _KAFKA, "ClickHouse": _CLICKHOUSE})


_NOW = [
    number(
        "Age of the figures",
        "How old the figures in ClickHouse are.",
        "max(longwave_freshness_seconds)",
        unit="s",
        width=8,
    ),
    number(
        "Writer waits",
        "How long the writer has been waiting for ClickHouse.",
        "max(longwave_writer_waiting_seconds)",
        unit="s",
        width=8,
    ),
    number(
        "Records in work",
        "Records taken from Kafka and not yet acknowledged.",
        "sum(longwave_step_unacked_records)",
        width=8,
    ),
]

_KAFKA = [
    lines(
        "Records read a second",
        "By process.",
        {"{{job}} {{instance}}": "sum by (job, instance) (rate(longwave_step_records_total[$__rate_interval]))"},
        width=12,
    ),
    lines(
        "Partitions held",
        "By topic, over all processes.",
        {"{{topic}}": "sum by (topic) (longwave_worker_assigned)"},
        width=12,
    ),
    lines(
        "Records behind",
        "Records that were written and are not acknowledged yet.",
        {"{{topic}}": "sum by (topic) (longwave_consumer_lag_records)"},
        width=12,
    ),
    lines(
        "Age of the last commit",
        "How long ago all that was written until then was committed.",
        {"{{topic}}": "max by (topic) (longwave_commit_age_seconds)"},
        unit="s",
        width=12,
    ),
    lines(
        "Records on their way to Kafka",
        "Handed to a producer and not acknowledged by the broker.",
        {"{{job}} {{instance}}": "longwave_producer_queue_records"},
        width=12,
    ),
    lines(
        "Records that Kafka did not take, a second",
        "Not acknowledged in time, or refused.",
        {"{{job}} {{instance}}": "rate(longwave_producer_failures_total[$__rate_interval])"},
        width=12,
    ),
    lines("Keys of tables", "Over all workers.", {"{{table}}": "sum by (table) (longwave_table_keys)"}, width=12),
    lines(
        "Size of tables",
        "Over all workers, on disk and in memory.",
        {"{{table}}": "sum by (table) (longwave_table_bytes)"},
        unit="bytes",
        width=12,
    ),
]

_CLICKHOUSE = [
    lines(
        "Inserts a second",
        "Of the writer.",
        {"{{instance}}": "sum by (instance) (rate(longwave_writer_insert_seconds_count[$__rate_interval]))"},
    ),
    lines(
        "Duration of an insert, p99",
        "Of the writer.",
        {"{{instance}}": p99("longwave_writer_insert_seconds", "instance")},
        unit="s",
    ),
    lines(
        "Writer waits, by step",
        "How long each step of the writer has been waiting for ClickHouse.",
        {"{{step}}": "max by (step) (longwave_writer_waiting_seconds)"},
        unit="s",
    ),
    lines(
        "Local endpoint: requests a second",
        "Only where `longwave up` serves ClickHouse.",
        {"{{kind}} {{outcome}}": rate("longwave_clickhouse_requests_total", "kind, outcome")},
        width=12,
    ),
    lines(
        "Local endpoint: duration of a request, p99",
        "Only where `longwave up` serves ClickHouse.",
        {"{{kind}}": p99("longwave_clickhouse_seconds", "kind")},
        unit="s",
        width=12,
    ),
    lines("Our requests a second", "Of all processes.", {"{{kind}}": rate("longwave_store_seconds_count", "kind")}),
    lines(
        "Duration of our requests, p99",
        "Of all processes.",
        {"{{kind}}": p99("longwave_store_seconds", "kind")},
        unit="s",
    ),
    lines(
        "Our requests that failed, a second",
        "ClickHouse did not answer, or refused.",
        {"{{kind}} {{error}}": rate("longwave_store_failures_total", "kind, error")},
    ),
    lines(
        "Rows of tables", "In ClickHouse.", {"{{table}}": "max by (table) (longwave_clickhouse_table_rows)"}, width=12
    ),
    lines(
        "Size of tables in ClickHouse",
        "On its disk.",
        {"{{table}}": "max by (table) (longwave_clickhouse_table_bytes)"},
        unit="bytes",
        width=12,
    ),
]
