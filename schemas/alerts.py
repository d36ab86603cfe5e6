"""What an account's people are told: its alerts. Alerts of Prometheus, for who runs Longwave, are another thing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Final, Literal

import msgspec

from schemas.ids import NAME_PATTERN
from schemas.wire import Codec, Millis, Record

AlertKind = Literal["balance_low", "campaign_suspended", "domains_nearly_used", "test"]
"""test: an operator asked whether alerts arrive."""


class Alert(Record, tag="alert", kw_only=True):
    """Topic `alerts`, keyed by account: something that its people should know now. Whoever detects it writes it once
    per crossing, and again under the same id when the record that led to it comes again."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    """From `alert_id`."""
    account: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    about: AlertKind
    """`kind` is the record's own tag."""
    subject: Annotated[str, msgspec.Meta(max_length=300)] = ""
    """The campaign's id or the domain; "" for the account itself."""
    at: Millis
    """When it happened."""
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    """For people: what happened, what it means for their recipients, and what to do."""


ALERTS: Final = Codec[Alert](Alert)


def alert_id(kind: AlertKind, account: str, *cause: object) -> str:
    """The id of an alert, from what led to it (for instance campaign and revision): the same cause gives the same id,
    so a replay tells nobody twice."""
    parts = "\0".join([kind, account, *map(str, cause)])
    return blake2b(parts.encode(), digest_size=16, person=b"longwave-alerts").hexdigest()
