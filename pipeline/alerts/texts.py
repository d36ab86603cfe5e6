"""The words of an alert: an e-mail, a text message, the body of a POST. Several alerts make one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from schemas.alerts import Alert, AlertKind
from schemas.times import iso

TITLES: Final[Mapping[AlertKind, str]] = {
    "balance_low": "the balance is low",
    "campaign_suspended": "a campaign is suspended",
    "domains_nearly_used": "a domain is near its limit",
    "test": "a test alert",
}
TEST_TEXT: Final = "This is a test: alerts of this account arrive here. There is nothing to do."
MOST_LISTED: Final = 20
"""Alerts that a message spells out."""
LONGEST_SMS: Final = 300


def subject_of(alerts: Sequence[Alert]) -> str:
    """The subject of an e-mail."""
    account, newest = alerts[-1].account, alerts[-1]
    return f"{account}: {TITLES[newest.about]}" if len(alerts) == 1 else f"{account}: {len(alerts)} alerts"


def mail_of(alerts: Sequence[Alert]) -> str:
    """The text of an e-mail."""
    account = alerts[-1].account
    lines = [f"{_when(alert)}  {alert.text}" for alert in alerts[-MOST_LISTED:]]
    if len(alerts) > MOST_LISTED:
        lines.append(f"There are {len(alerts) - MOST_LISTED} more.")
    if len(alerts) > 1:
        lines.insert(0, "There were too many alerts for one mail each, so these come together.")
    lines.append(
        f"All alerts of account {account}: longwave accounts alerts {account}. "
        f"Who gets them: longwave accounts set {account} alerts.emails=[...]"
    )
    return "\n\n".join(lines) + "\n"


def sms_of(alerts: Sequence[Alert], site_name: str) -> str:
    """A text message, at most two segments of the plain alphabet."""
    newest = alerts[-1]
    name = site_name or newest.account
    text = newest.text if len(alerts) == 1 else f"{len(alerts)} alerts, the newest: {newest.text}"
    whole = f"{name}: {' '.join(text.split())}"
    return whole if len(whole) <= LONGEST_SMS else f"{whole[: LONGEST_SMS - 3].rstrip()}..."


def webhook_of(alerts: Sequence[Alert]) -> bytes:
    """The body of a POST; the same at every attempt."""
    document: dict[str, Any] = {
        "type": "account.alerts",
        "timestamp": iso(alerts[-1].at),
        "data": {
            "account": alerts[-1].account,
            "alerts": [
                {
                    "id": alert.id,
                    "about": alert.about,
                    "subject": alert.subject,
                    "at": iso(alert.at),
                    "text": alert.text,
                }
                for alert in alerts
            ],
        },
    }
    return msgspec.json.encode(document)


def _when(alert: Alert) -> str:
    return iso(alert.at)[:16].replace("T", " ") + " UTC"
