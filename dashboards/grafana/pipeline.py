"""The pipeline, from Prometheus: each step's rate, errors and durations, what comes in, and the API."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.panels import assembled, dashboard, lines, number


def percentile(metric: str, label: str, share: float) -> str:
    """The value of a histogram below which a share (0 to 1) of all lies, for each value of a label."""
    return f"histogram_quantile({share}, sum by (le, {label}) (rate({metric}_bucket[$__rate_interval])))"


def p99(metric: str, label: str) -> str:
    """The 99th percentile of a histogram, for each value of a label."""
    return percentile(metric, label, 0.99)


def rate(metric: str, label: str) -> str:
    """How often a counter counts per second, for each value of a label."""
    return f"sum by ({label}) (rate({metric}[$__rate_interval]))"


def in_an_hour(metric: str, label: str) -> str:
    """How often a counter counted in the last hour, for each value of a label; 0 where it never did."""
    return f"sum by ({label}) (increase({metric}[1h])) or vector(0)"


def build() -> Dashboard:
    """What is wrong first, then the steps in the order in which a message travels."""
    about = "Rate, errors and durations of each step, the ingress and the API, from Prometheus."
    made = dashboard("longwave-pipeline", "Longwave: pipeline", about)
    return assembled(
        made,
        {
            "Now": _NOW,
            "Steps": _STEPS,
            "What comes in": _INGRESS,
            "API and page": _API,
            "Doors": _DOORS,
            "Alerts to accounts": _ALERTS,
        },
    )


_NOW = [
    number("Processes down", "Targets that Prometheus cannot scrape.", "count(up == 0) or vector(0)"),
    number(
        "Workers not ready",
        "Workers and writers that do not work yet.",
        "count(longwave_worker_ready == 0) or vector(0)",
    ),
    number(
        "Age of the figures", "How old the figures in ClickHouse are.", "max(longwave_freshness_seconds)", unit="s"
    ),
    number(
        "Residual",
        "Recipients who are in no state or in several, over campaigns under way. Anything but 0 is a defect.",
        "sum(abs(longwave_campaign_residual)) or vector(0)",
    ),
    number(
        "Dead letters in this time",
        "Records that a step gave up; `longwave dead-letters list` shows them.",
        "sum(increase(longwave_step_dead_letters_total[$__range]))",
    ),
    number(
        "Steps whose dead letters are refused",
        "Kafka takes no dead letters, so these steps have stopped.",
        "sum(longwave_dead_letters_refused) or vector(0)",
    ),
    number("Kafka answers", "1 while every process reaches the brokers.", "min(longwave_kafka_up)"),
    number("ClickHouse answers", "1 while every process reaches ClickHouse.", "min(longwave_clickhouse_up)"),
    number(
        "Dead letters waiting",
        "Records that steps gave up and that nobody has replayed or dropped yet.",
        "sum(longwave_dead_letters_waiting) or vector(0)",
    ),
    number(
        "Unknown",
        "Recipients of campaigns under way of whom nobody knows whether they got their message.",
        "sum(longwave_unknown_recipients)",
    ),
    number(
        "Clocks apart",
        "The most by which a process's clock differs from Prometheus's.",
        "max(abs(longwave_clock_seconds - timestamp(longwave_clock_seconds)))",
        unit="s",
    ),
    number(
        "Disk free",
        "Of the disk with the least room for a data folder.",
        "min(longwave_data_disk_free_bytes / longwave_data_disk_bytes)",
        unit="percentunit",
    ),
]

_STEPS = [
    lines(
        "Recipients a second",
        "Recipients in the records that steps finish.",
        {"{{step}}": rate("longwave_step_recipients_total", "step")},
    ),
    lines(
        "Records a second",
        "Kafka records that steps finish.",
        {"{{step}}": rate("longwave_step_records_total", "step")},
    ),
    lines(
        "Failures a second",
        "Attempts at a record that raised, retried or not.",
        {"{{step}}": rate("longwave_step_failures_total", "step")},
    ),
    lines(
        "Duration of a record, p99",
        "From taking a record to the last write acknowledged.",
        {"{{step}}": p99("longwave_step_seconds", "step")},
        unit="s",
    ),
    lines(
        "Records in work",
        "Records taken and not yet acknowledged.",
        {"{{step}}": "sum by (step) (longwave_step_unacked_records)"},
    ),
    lines(
        "Campaigns by status",
        "Suspended ones are held by the system.",
        {"{{status}}": "max by (status) (longwave_campaigns)"},
    ),
    lines(
        "Partitions by process",
        "A partition that a rebalance takes is not counted.",
        {"{{job}} {{instance}}": "sum by (job, instance) (longwave_worker_assigned)"},
    ),
    lines(
        "Memory by process",
        "Resident memory.",
        {"{{job}} {{instance}}": "process_resident_memory_bytes"},
        unit="bytes",
    ),
    lines(
        "Processor time by process",
        "1 is a core.",
        {"{{job}} {{instance}}": "rate(process_cpu_seconds_total[$__rate_interval])"},
    ),
    lines(
        "Event loop late, p99",
        "How late a process's event loop is for a timer.",
        {"{{job}} {{instance}}": p99("longwave_event_loop_delay_seconds", "job, instance")},
        unit="s",
    ),
    lines(
        "Running since",
        "How long each process has been running. One that is started again and again never becomes old.",
        {"{{job}} {{instance}}": "time() - process_start_time_seconds"},
        unit="s",
    ),
    lines(
        "Age of the figures, by status of the campaign",
        "Of the campaign whose figures are the oldest in each status.",
        {"{{status}}": "max by (status) (longwave_campaign_freshness_seconds)"},
        unit="s",
    ),
    lines(
        "Spans of traces a second",
        "Exported to the collector, or dropped because it was away or slow; 0 while tracing is off.",
        {"{{outcome}}": rate("longwave_trace_spans_total", "outcome")},
    ),
    lines(
        "Processes by version",
        "What runs.",
        {"{{process}} {{version}}": "count by (process, version) (longwave_build_info)"},
    ),
]

_INGRESS = [
    lines(
        "Requests a second",
        "By kind and status of the answer.",
        {"{{kind}} {{status}}": rate("longwave_ingress_requests_total", "kind, status")},
    ),
    lines(
        "Items a second",
        "Receipts, clicks and texts that Kafka acknowledged.",
        {"{{kind}}": rate("longwave_ingress_items_total", "kind")},
    ),
    lines(
        "Duration of a request, p99",
        "Aggregators and phones wait for it.",
        {"{{kind}}": p99("longwave_ingress_seconds", "kind")},
        unit="s",
    ),
    lines(
        "Rejected or excluded in an hour",
        "Items that could not be taken and receipts that are in no figure, by reason.",
        {
            "not taken: {{kind}}": in_an_hour("longwave_ingress_rejected_items_total", "kind"),
            "in no figure: {{reason}}": in_an_hour("longwave_receipts_excluded_total", "reason"),
        },
    ),
    lines(
        "Texts in an hour",
        "Texts and opt-out links by what they were attributed to, and oddities of texts that were taken.",
        {
            "{{event}}": in_an_hour("longwave_attributed_total", "event"),
            "odd: {{note}}": in_an_hour("longwave_ingress_noted_total", "note"),
        },
    ),
    lines(
        "Numbers that became unreachable in an hour",
        "By what the carrier said.",
        {"{{reason}}": in_an_hour("longwave_unreachable_total", "reason")},
    ),
]

_DOORS = [
    lines(
        "Refused by a server's limits in an hour",
        "Connections and requests by server and cause: too many, too large, too slow, or no HTTP.",
        {"{{server}} {{cause}}": in_an_hour("longwave_server_refused_total", "server, cause")},
        width=12,
    ),
    number(
        "Certificates that end within 14 days",
        "Of API and ingress, where they serve HTTPS themselves. Renew the files; they are taken without a restart.",
        "count(longwave_certificate_days < 14) or vector(0)",
        width=6,
    ),
    number("Live pages", "Pages of browsers that follow campaigns now.", "sum(longwave_api_streams)", width=6),
]

_API = [
    lines(
        "API requests a second",
        "By status of the answer.",
        {"{{status}}": rate("longwave_api_requests_total", "status")},
        width=12,
    ),
    lines(
        "Duration of an API request, p99",
        "Until the head of the answer.",
        {"{{route}}": p99("longwave_api_seconds", "route")},
        unit="s",
        width=12,
    ),
]

_ALERTS = [
    lines(
        "Alerts in an hour",
        "What accounts' people are told.",
        {"{{about}}": in_an_hour("longwave_account_alerts_total", "about")},
    ),
    lines(
        "Deliveries in an hour",
        "What became of alerts at their destinations; again: an attempt that is repeated.",
        {"{{channel}} {{result}}": in_an_hour("longwave_account_alert_deliveries_total", "channel, result")},
    ),
    lines(
        "Oldest undelivered",
        "How long the oldest alert has waited that could not be delivered yet.",
        {"{{channel}}": "max by (channel) (longwave_account_alert_waiting_seconds)"},
        unit="s",
    ),
]
