"""Every Kafka topic, in the order in which a message travels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its name without the installation's prefix, what its key is, and how it is kept."""

    name: str
    key: str
    carries: str
    partitions: Literal["partitions", "lanes", "one"] = "partitions"
    """Which setting gives the number of partitions."""
    config: dict[str, str] = field(default_factory=dict)


_WEEK = {"cleanup.policy": "delete", "retention.ms": str(7 * 24 * 3600 * 1000)}
_COMPACT = {"cleanup.policy": "compact", "min.compaction.lag.ms": "0"}
_BY_OWNER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_FOREVER = {**_BY_OWNER, "max.message.bytes": "8388608"}
"""A dead letter holds the original bytes, 4 MB at most, in base64."""

ACCOUNT_COMMANDS = Topic(
    "account-commands",
    "account, of a price list prices:NAME",
    "changes of accounts, senders and prices; what lanes have used of domains",
    config=_WEEK,
)
ACCOUNTS = Topic(
    "accounts",
    "account, ACCOUNT/SENDER, prices:NAME, domains:ACCOUNT, answers:SUBJECT or numbers:PARTITION, in the partition "
    "of its commands",
    "each account's, sender's and price list's document, what was used of domains, and answers to the last commands",
    config=_COMPACT,
)
COMMANDS = Topic("commands", "campaign", "what an operator asked for", config=_WEEK)
CAMPAIGNS = Topic("campaigns", "campaign", "each campaign's document and status", config=_COMPACT)
LEDGER_COMMANDS = Topic(
    "ledger-commands", "account", "top-ups, and what campaigns reserve, spend and release", config=_WEEK
)
LEDGER = Topic(
    "ledger",
    "account, ACCOUNT/CAMPAIGN or ACCOUNT/+TOPUP, in the partition of its commands",
    "each account's top-ups and what each campaign reserved and spent, changelog of a table",
    # The statement is made of them: the writer gets as long to record each as other topics give.
    config=_COMPACT | {"min.compaction.lag.ms": _WEEK["retention.ms"]},
)
FANOUT = Topic("fanout", "campaign or CAMPAIGN/first", "audiences to freeze, ordinal ranges to expand", config=_WEEK)
RECIPIENTS = Topic("recipients", "explicit partition by bucket range", "recipient chunks", config=_WEEK)
RESERVATIONS = Topic(
    "reservations",
    "bucket, in the partition of its recipients",
    "smart-sending reservations, changelog of a table",
    config=_COMPACT,
)
LANES = Topic("lanes", "explicit partition = lane", "the lane logs", partitions="lanes", config=_BY_OWNER)
STATUSES = Topic("statuses", "campaign", "status chunks for ClickHouse", config=_WEEK)
RECEIPTS = Topic("receipts", "campaign", "delivery receipts", config=_WEEK)
CLICKS = Topic("clicks", "campaign", "requests of short links", config=_WEEK)
INBOUND = Topic("inbound", "number", "texts from people", config=_WEEK)
OPTOUTS = Topic(
    "optouts",
    "ACCOUNT/NUMBER, of a hold ACCOUNT/NUMBER/HOLD",
    "changes of consent: who is out, in or held, for an account or for all",
    # Each change is evidence: the writer gets as long to record it as other topics give.
    config=_COMPACT | {"min.compaction.lag.ms": _WEEK["retention.ms"]},
)
REPLIES = Topic(
    "replies",
    "number",
    "what we answered a number lately, changelog of a table",
    config=_COMPACT | {"min.compaction.lag.ms": _WEEK["retention.ms"]},
)
UNREACHABLE = Topic("unreachable", "number", "numbers that carriers cannot reach", config=_COMPACT)
ALERTS = Topic(
    "alerts", "account", "what an account's people are to know, and each attempt to tell them", config=_WEEK
)
ALERT_DELIVERIES = Topic(
    "alert-deliveries",
    "ACCOUNT/ALERT, in the partition of its alert",
    "the last alerts of each account and what became of them, changelog of a table",
    config=_COMPACT,
)
KEYS = Topic("keys", "key id", "keys of the API, as hashes, with their scopes and accounts", "one", _COMPACT)
AUDIT = Topic("audit", "key id", "who did what through the API", config=_WEEK)
DEAD_LETTERS = Topic("dead-letters", "origin topic", "what could not be processed", partitions="one", config=_FOREVER)

ALL: tuple[Topic, ...] = (
    ACCOUNT_COMMANDS,
    ACCOUNTS,
    COMMANDS,
    CAMPAIGNS,
    LEDGER_COMMANDS,
    LEDGER,
    FANOUT,
    RECIPIENTS,
    RESERVATIONS,
    LANES,
    STATUSES,
    RECEIPTS,
    CLICKS,
    INBOUND,
    OPTOUTS,
    REPLIES,
    UNREACHABLE,
    ALERTS,
    ALERT_DELIVERIES,
    KEYS,
    AUDIT,
    DEAD_LETTERS,
)
