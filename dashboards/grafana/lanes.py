"""Lanes and aggregators, from Prometheus: how much of each limit is used, what waits how long, what is answered."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.panels import assembled, dashboard, lines, number, prom_variable
from dashboards.grafana.pipeline import in_an_hour, p99, percentile, rate

_LANE = 'lane=~"$lane"'


def of_lane(metric: str) -> dict[str, str]:
    """A gauge of the chosen lanes."""
    return {"lane {{lane}}": f"max by (lane) ({metric}{{{_LANE}}})"}


def in_lanes(metric: str, share: float) -> str:
    """The value of a histogram below which a share (0 to 1) of all lies, over the chosen lanes."""
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{{_LANE}}}[$__rate_interval])))"


def build() -> Dashboard:
    """Sending as a whole, then lanes, then aggregators."""
    about = "Lanes against their limits, and what aggregators answer, from Prometheus."
    made = dashboard("longwave-lanes", "Longwave: lanes and aggregators", about)
    made = made.with_variable(prom_variable("lane", "Lane", "label_values(longwave_lane_epoch, lane)"))
    return assembled(made, {"Now": _NOW, "Lanes": _LANES, "Life of a lane": _LIFE, "Aggregators": _AGGREGATORS})


_NOW = [
    number(
        "Segments a second", "What is submitted now.", "sum(rate(longwave_lane_segments_total[$__rate_interval]))"
    ),
    number("Limit", "What all lanes may submit in a second.", "sum(longwave_lane_limit_segments_per_second)"),
    number(
        "Oldest due, of all lanes",
        "How long the oldest due recipient has been waiting.",
        "max(longwave_lane_oldest_due_seconds)",
        unit="s",
    ),
    number(
        "Lanes without an owner",
        "Their senders' messages wait.",
        "max(longwave_lanes) - (count(count by (lane) (longwave_lane_epoch > 0)) or vector(0))",
    ),
    number(
        "Lanes that nobody was given", "By the group's last assignment.", "max(longwave_lanes_unowned) or vector(0)"
    ),
    number(
        "Too late in this time",
        "Recipients who expired because machines had made them late.",
        "sum(increase(longwave_lane_too_late_recipients_total[$__range])) or vector(0)",
    ),
]

_LANES = [
    lines(
        "Limit used",
        "Segments a second over the limit of the senders that have work; 1 is all of it.",
        {
            "lane {{lane}}": f"sum by (lane) (rate(longwave_lane_segments_total{{{_LANE}}}[$__rate_interval])) / "
            f"sum by (lane) (avg_over_time(longwave_lane_usable_segments_per_second{{{_LANE}}}[$__rate_interval]))"
        },
        unit="percentunit",
    ),
    lines(
        "Longest queue of a sender",
        "How long it needs for its due recipients, at its limit.",
        of_lane("longwave_lane_drain_seconds"),
        unit="s",
    ),
    lines("Due and waiting", "Recipients in the queue.", of_lane("longwave_lane_queued_recipients")),
    lines("In the delay table", "Recipients who wait for a time.", of_lane("longwave_lane_delayed_recipients")),
    lines("In flight", "Recipients with an INTENT and no RESULT.", of_lane("longwave_lane_in_flight_recipients")),
    lines(
        "Oldest due",
        "How long the oldest due recipient has been waiting.",
        of_lane("longwave_lane_oldest_due_seconds"),
        unit="s",
    ),
    lines(
        "Campaigns held",
        "Campaigns that the lane holds, because its aggregator is down.",
        of_lane("longwave_lane_suspended_campaigns"),
    ),
    lines(
        "Campaigns without domains",
        "Campaigns that the lane holds, because all domains for their links have reached their limits.",
        of_lane("longwave_lane_campaigns_without_domain"),
    ),
    lines(
        "Left of domains",
        "What the account with the least may still send with links, as a fraction of its domains' limits.",
        {"lane {{lane}}, {{kind}}": 'longwave_lane_domains_left_ratio{lane=~"$lane"}'},
        unit="percentunit",
    ),
    lines(
        "Late",
        "How long the oldest sendable recipient has been waiting beyond its due time and the sender's limit.",
        of_lane("longwave_lane_late_seconds"),
        unit="s",
    ),
    lines("Sendable", "Due recipients of campaigns that run.", of_lane("longwave_lane_sendable_recipients")),
    lines(
        "Due to aggregator",
        "From when a slice was due and the limit had room until it was handed over; all lanes chosen.",
        {
            "p50": in_lanes("longwave_due_to_aggregator_seconds", 0.5),
            "p99": in_lanes("longwave_due_to_aggregator_seconds", 0.99),
        },
        unit="s",
    ),
    lines(
        "Senders by class",
        "How many the lanes have.",
        {"{{class}}, {{aggregator}}": "sum by (class, aggregator) (longwave_senders)"},
    ),
    lines(
        "Segments a second by class of sender",
        "Short code, toll-free, long code or name.",
        {
            "{{class}}": "sum by (class) (rate(longwave_sender_segments_total[$__rate_interval]))",
            "limit, {{class}}": "sum by (class) (longwave_sender_limit_segments_per_second)",
        },
    ),
    lines(
        "Messages a second by outcome",
        "Of the chosen lanes.",
        {"{{outcome}}": f"sum by (outcome) (rate(longwave_lane_messages_total{{{_LANE}}}[$__rate_interval]))"},
        width=16,
    ),
]

_LIFE = [
    lines(
        "Epoch",
        "It rises when a lane gets another owner; 0 while the lane is replayed.",
        of_lane("longwave_lane_epoch"),
        width=6,
    ),
    lines(
        "Time to take over",
        "From the last assignment until the lane was owned.",
        of_lane("longwave_lane_rebuild_seconds"),
        unit="s",
        width=6,
    ),
    lines(
        "Length of the log",
        "Bytes since the low-water mark.",
        of_lane("longwave_lane_log_bytes"),
        unit="bytes",
        width=6,
    ),
    lines(
        "Checkpoints and void INTENTs in an hour",
        "Void INTENTs come from a change of owner.",
        {
            "checkpoints, lane {{lane}}": in_an_hour(f"longwave_lane_checkpoints_total{{{_LANE}}}", "lane"),
            "void, lane {{lane}}": in_an_hour(f"longwave_lane_void_picks_total{{{_LANE}}}", "lane"),
        },
        width=6,
    ),
]

_AGGREGATORS = [
    lines(
        "Messages a second by aggregator and outcome",
        "Accepted, rejected, to be retried, unknown.",
        {"{{aggregator}} {{outcome}}": rate("longwave_aggregator_messages_total", "aggregator, outcome")},
    ),
    lines(
        "Time to answer",
        "Median and 99th percentile.",
        {
            "{{aggregator}} p50": percentile("longwave_aggregator_seconds", "aggregator", 0.5),
            "{{aggregator}} p99": p99("longwave_aggregator_seconds", "aggregator"),
        },
        unit="s",
    ),
    lines(
        "Circuit breaker and holds",
        "Breaker: 0 closed, 1 open, 2 half-open. Held: 1 while the aggregator takes nothing of the account.",
        {
            "{{aggregator}} breaker": "max by (aggregator) (longwave_aggregator_breaker)",
            "{{aggregator}} held": "max by (aggregator) (longwave_aggregator_throttled)",
            "{{aggregator}} holds in 1 h": in_an_hour("longwave_aggregator_throttles_total", "aggregator"),
        },
    ),
    lines(
        "Connections used",
        "Open submissions over those that may be open at once.",
        {
            "{{aggregator}}": "sum by (aggregator) (longwave_aggregator_connections_used) "
            "/ sum by (aggregator) (longwave_aggregator_connections)"
        },
        unit="percentunit",
    ),
    lines(
        "Failures a second by reason",
        "Not taken by the aggregator (submission) or not delivered by the carrier (receipt).",
        {"{{aggregator}} {{stage}} {{reason}}": rate("longwave_message_failures_total", "aggregator, stage, reason")},
    ),
    lines(
        "Receipts a second",
        "By the state that they say.",
        {"{{aggregator}} {{state}}": rate("longwave_receipts_total", "aggregator, state")},
    ),
    lines(
        "Age of receipts when they arrive",
        "From the time that a receipt states until it is here: median and 99th percentile.",
        {
            "{{aggregator}} p50": percentile("longwave_receipt_delay_seconds", "aggregator", 0.5),
            "{{aggregator}} p99": p99("longwave_receipt_delay_seconds", "aggregator"),
        },
        unit="s",
        width=24,
    ),
]
