"""What the settings say of a campaign's account and sender, as the rules take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.campaign.money import PriceList
from pipeline.limits.smart_sending import HOUR
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.zones import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the settings say of a campaign's account and sender."""

    site_name: str
    store_zone: str
    lanes: Sequence[int]
    """Lanes of the sender; those at the launch are a campaign's for life."""
    prices: PriceList
    link_base: str
    """Public address of the ingress, without a slash at its end."""
    segments_per_second: float
    """What the sender may send at most, alone in its account."""
    unknown_zone: Policy = "store"
    """What becomes of a recipient whose time zone nothing tells: the store's counts, or it is skipped."""
    quiet: QuietHours = field(default_factory=QuietHours)
    day_cap: int | None = None
    """Messages that the account lets a recipient have in any 24 hours; None: no cap."""
    week_cap: int | None = None
    """The same in any 7 days."""
    resend_attempts: int = 2
    """Submissions at most of a message that may have arrived, under policy `resend`."""
    max_segments: int = 6
    """Segments that a text of the account may take."""
    unreachable_retry_days: int = 90
    """Days after which an unreachable number is tried again; 0: never."""
    lateness: int | None = None
    """How late (ms) machines may make a marketing message; None: however late."""
    transactional_lateness: int | None = None
    """The same for transactional ones."""
    carriers: bool = False
    """Whether the sender has limits per carrier and day, which need the contacts' attribute `carrier`."""


class CapValues(Protocol):
    """Messages to a recipient at most, in any 24 hours and in any 7 days."""

    @property
    def day(self) -> int | None: ...
    @property
    def week(self) -> int | None: ...


class AccountValues(Protocol):
    """What is read of an account (`adapters.settings.Account`)."""

    @property
    def site_name(self) -> str: ...
    @property
    def store_zone(self) -> str: ...
    @property
    def segments_per_second(self) -> float: ...
    @property
    def unknown_zone(self) -> Policy: ...
    @property
    def caps(self) -> CapValues: ...
    @property
    def resend_attempts(self) -> int: ...
    @property
    def lateness_hours(self) -> float: ...
    @property
    def transactional_lateness_hours(self) -> float: ...
    @property
    def max_segments(self) -> int: ...
    @property
    def unreachable_retry_days(self) -> int: ...


class SenderValues(Protocol):
    """What is read of a sender (`adapters.settings.Sender`)."""

    @property
    def lanes(self) -> Sequence[int]: ...
    @property
    def segments_per_second(self) -> float: ...
    @property
    def carrier_daily(self) -> Mapping[str, int]: ...


class PriceValues(Protocol):
    """What is read of the prices (`adapters.settings.Prices`)."""

    @property
    def default(self) -> int: ...
    @property
    def countries(self) -> Mapping[str, int]: ...


def terms_of(
    account: AccountValues, sender: SenderValues, prices: PriceValues, link_base: str, quiet: QuietHours
) -> Terms:
    """The terms of an account's sender; `quiet` is made once per account, since it remembers."""
    return Terms(
        site_name=account.site_name,
        store_zone=account.store_zone,
        lanes=sender.lanes,
        prices=price_list(prices),
        link_base=link_base,
        segments_per_second=min(sender.segments_per_second, account.segments_per_second),
        carriers=bool(sender.carrier_daily),
        unknown_zone=account.unknown_zone,
        quiet=quiet,
        day_cap=account.caps.day,
        week_cap=account.caps.week,
        resend_attempts=account.resend_attempts,
        lateness=_limit(account.lateness_hours),
        transactional_lateness=_limit(account.transactional_lateness_hours),
        max_segments=account.max_segments,
        unreachable_retry_days=account.unreachable_retry_days,
    )


def _limit(hours: float) -> int | None:
    """In ms; 0 hours are no limit."""
    return max(1, round(hours * HOUR)) if hours else None


def price_list(prices: PriceValues) -> PriceList:
    """The prices that the settings give."""
    return PriceList(default=prices.default, countries=prices.countries)
