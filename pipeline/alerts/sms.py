"""An alert as a text message from a sender of its account. It goes the way of replies: urgent, whatever the hour, not
to a number that is opted out, and counted and paid like any message.

Its ordinal comes from the place in Kafka of the record that it follows from, so reading that record again leads to
the same message, which its lane has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.accounts.prices import PriceList
from pipeline.alerts.texts import sms_of
from pipeline.content.segments import count
from pipeline.feedback.replies import ANSWER, Place, country_of, message_at, price_of, system_campaign
from schemas.accounts import SenderDocument
from schemas.alerts import Alert
from schemas.feedback import SentReply

MOST_NUMBERS: Final = 20
"""Text messages that may follow from one record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsTerms:
    """From whom an account's text messages come, by which lanes, and what they cost."""

    sender: SenderDocument
    site_name: str
    lanes: Sequence[int]
    prices: PriceList


def sender_for(number: str, senders: Iterable[SenderDocument]) -> SenderDocument | None:
    """The sender of an account that writes to a number: one of the number's country before others, a number before a
    name, then by name. None where the account has none."""
    country = country_of(number)
    return min(
        senders,
        key=lambda sender: (sender.country != country, sender.sender_kind == "alphanumeric", sender.sender),
        default=None,
    )


def sms(to: str, alerts: Sequence[Alert], terms: SmsTerms, place: Place, index: int, now: int) -> SentReply:
    """The message to a number; `index` (below `MOST_NUMBERS`) tells those of one place apart."""
    if not 0 <= index < MOST_NUMBERS:
        raise ValueError(f"a record leads to at most {MOST_NUMBERS} text messages")
    series, ordinal = message_at(place, index, MOST_NUMBERS)
    sender = terms.sender
    text = sms_of(alerts, terms.site_name)
    return SentReply(
        kind="alert",
        campaign=alert_campaign(sender.account, sender.sender, series),
        message=ANSWER,
        ordinal=ordinal,
        lane=terms.lanes[ordinal % len(terms.lanes)],
        account=sender.account,
        sender=sender.sender,
        text=text,
        segments=count(text).parts,
        price=price_of(to, terms.prices, now),
        at=now,
        due=now,
        offset=place.offset,
        cause=alerts[-1].id,
    )


def alert_campaign(account: str, sender: str, series: int = 0) -> str:
    """The id of the campaign that a sender's alerts belong to; `series` counts exhausted spaces of ordinals."""
    return system_campaign(b"longwave-alerts", account, sender, series)
