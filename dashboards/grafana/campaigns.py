"""Campaigns, from the views of ClickHouse: what is sent, what became of it, why not, and what it costs."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.panels import (
    assembled,
    dashboard,
    sql_bars,
    sql_lines,
    sql_number,
    sql_table,
    sql_variable,
)

_CHOSEN = "account IN (${account:singlequote})"
_ONE = "campaign = '${campaign}'"
_STATES = (
    "pending, delayed, queued, in_flight, unknown, accepted, rejected, undelivered, delivered, skipped, expired, "
    "canceled"
)
_OF_CHOSEN = f"campaign IN (SELECT campaign FROM campaign_overview WHERE {_CHOSEN})"


def build() -> Dashboard:
    """All campaigns of the chosen accounts, then one of them."""
    made = dashboard("longwave-campaigns", "Longwave: campaigns", "Figures of campaigns, from ClickHouse's views.")
    accounts = "SELECT DISTINCT account FROM campaign_overview ORDER BY account"
    newest = "SELECT campaign, concat(name, ' · ', campaign) FROM campaign_overview ORDER BY created DESC LIMIT 500"
    made = made.with_variable(sql_variable("account", "Account", accounts, several=True))
    made = made.with_variable(sql_variable("campaign", "Campaign", newest, several=False))
    return assembled(
        made, {"Now": _NOW, "All campaigns": _ALL, "The chosen campaign": _CAMPAIGN, "Accounts": _ACCOUNTS}
    )


_NOW = [
    sql_number(
        "Under way",
        "Campaigns that are sent, wait, or collect receipts.",
        f"SELECT count() FROM campaign_overview WHERE status NOT IN ('draft', 'finished', 'canceled') AND {_CHOSEN}",
    ),
    sql_number(
        "Held by the system",
        "Suspended campaigns; the table says why.",
        f"SELECT countIf(status = 'suspended') FROM campaign_overview WHERE {_CHOSEN}",
    ),
    sql_number(
        "Waiting recipients",
        "Recipients whose message is still to be submitted.",
        f"SELECT sum(pending + delayed + queued + in_flight) FROM campaign_overview "
        f"WHERE status NOT IN ('finished', 'canceled') AND {_CHOSEN}",
    ),
    sql_number(
        "Unknown",
        "Recipients whose message may or may not have reached the aggregator (docs/concepts/unknown.md).",
        f"SELECT sum(unknown) FROM campaign_overview WHERE {_CHOSEN}",
    ),
    sql_number(
        "Residual",
        "Recipients who are in no state or in several. Anything but 0 is a defect.",
        f"SELECT sum(abs(residual)) FROM campaign_overview WHERE {_CHOSEN}",
    ),
    sql_number(
        "Spent, launched in this time",
        "Credits for what aggregators took of the campaigns that were launched in this time.",
        f"SELECT sum(spend) FROM campaign_overview WHERE $__timeFilter(launched) AND {_CHOSEN}",
    ),
]

_ALL = [
    sql_table(
        "Campaigns",
        "Campaigns that changed in this time, the newest first.",
        f"""SELECT name, status, reason, account, launched, targeted, submitted, delivered,
        undelivered + rejected AS failed, unknown, skipped, click_rate, opted_out, spend, residual, campaign
        FROM campaign_overview WHERE $__timeFilter(updated) AND {_CHOSEN} ORDER BY created DESC LIMIT 500""",
        {"click_rate": "percentunit"},
    ),
    sql_lines(
        "Messages a minute",
        "What happened in each minute, by what recipients came to.",
        f"""SELECT minute AS time, toString(state) AS series, sum(recipients) AS recipients FROM campaign_minutes
        WHERE $__timeFilter(minute) AND state IN ('accepted', 'rejected', 'unknown', 'delivered', 'undelivered')
        AND {_OF_CHOSEN} GROUP BY time, series ORDER BY time""",
    ),
    sql_lines(
        "Answers a minute",
        "Clicks, opt-outs and other replies.",
        f"""SELECT minute AS time, toString(state) AS series, sum(recipients) AS recipients FROM campaign_minutes
        WHERE $__timeFilter(minute) AND state IN ('clicked', 'opted_out', 'replied')
        AND {_OF_CHOSEN} GROUP BY time, series ORDER BY time""",
    ),
    sql_table(
        "Why messages did not arrive, by sender",
        "Of campaigns that were launched in this time; docs/operating/reasons.md says what to do about each reason.",
        f"""SELECT account, sender, state, reason, sum(recipients) AS recipients FROM failure_reasons
        WHERE {_CHOSEN} AND campaign IN (SELECT campaign FROM campaign_overview WHERE $__timeFilter(launched))
        GROUP BY account, sender, state, reason ORDER BY recipients DESC LIMIT 100""",
        {},
    ),
]

_CAMPAIGN = [
    sql_bars(
        "Recipients by state",
        "Each targeted recipient is in exactly one of these states.",
        f"SELECT {_STATES} FROM campaign_overview WHERE {_ONE}",
    ),
    sql_lines(
        "Its minutes",
        "What happened in each minute of it, by what recipients came to.",
        f"""SELECT $__timeInterval(minute) AS time, toString(state) AS series, sum(recipients) AS recipients
        FROM campaign_minutes WHERE $__timeFilter(minute) AND {_ONE} GROUP BY time, series ORDER BY time""",
    ),
    sql_table(
        "Its messages",
        "A row for each message.",
        f"""SELECT message, targeted, submitted, delivered, clicked, click_rate, opted_out, replied, messages,
        segments, spend, residual, measured FROM message_stats WHERE {_ONE} ORDER BY message""",
        {"click_rate": "percentunit"},
        width=12,
    ),
    sql_table(
        "Why its messages did not arrive",
        "Reasons, the most frequent first.",
        f"""SELECT state, reason, recipients, share FROM failure_reasons WHERE {_ONE}
        ORDER BY recipients DESC LIMIT 100""",
        {"share": "percentunit"},
        width=12,
    ),
]

_ACCOUNTS = [
    sql_lines(
        "Credits a day",
        "Spend by day of launch.",
        f"""SELECT toDateTime(day) AS time, toString(account) AS series, spend FROM account_usage
        WHERE $__dateFilter(day) AND {_CHOSEN} ORDER BY time""",
    ),
    sql_table(
        "Usage",
        "By account, of campaigns that were launched in this time.",
        f"""SELECT account, sum(campaigns) AS campaigns, sum(targeted) AS targeted, sum(messages) AS messages,
        sum(segments) AS segments, sum(spend) AS spend, sum(delivered) AS delivered, sum(opted_out) AS opted_out
        FROM account_usage WHERE $__dateFilter(day) AND {_CHOSEN} GROUP BY account ORDER BY spend DESC""",
        {},
        width=12,
    ),
]
