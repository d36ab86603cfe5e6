"""What holds for a campaign by its account and sender, as the rules take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.accounts.book import Account
from pipeline.accounts.domains import Pool, link_bases
from pipeline.accounts.placing import lanes_of
from pipeline.accounts.prices import PriceList
from pipeline.content.outgoing import LinkBases
from pipeline.ledger.tariff import price_list
from pipeline.limits.smart_sending import HOUR
from pipeline.timing.quiet_hours import QuietHours
from pipeline.timing.zones import Policy
from schemas.accounts import AccountSpec, SenderDocument
from schemas.campaign import CampaignDocument, LaunchedSender, Wording


@dataclass(frozen=True, slots=True)
class Installation:
    """What is the same for all accounts: how many lanes there are, and the public address of the ingress, without a
    slash at its end."""

    lanes: int
    link_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for a campaign by its account and sender."""

    account_number: int
    """`AccountDocument.number`."""
    wording: Wording
    store_zone: str
    senders: Sequence[LaunchedSender]
    """Those of the campaign with their lanes; those at the launch are a campaign's for life."""
    prices: PriceList
    links: LinkBases
    """Where the longest of its links begin: segments are counted with them until a domain is chosen."""
    pools: Sequence[Pool] = ()
    """What is left of the domains that its links must be on, as far as lanes have told."""
    segments_per_second: float
    """What the senders may send together at most, alone in their account."""
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
    """Whether limits or prices depend on the contacts' attribute `carrier`."""

    @property
    def lanes(self) -> tuple[int, ...]:
        """All lanes of the senders."""
        return tuple(sorted({lane for sender in self.senders for lane in sender.lanes}))


def terms_of(
    account: Account, senders: Sequence[SenderDocument], prices: PriceList, install: Installation, quiet: QuietHours
) -> Terms:
    """The terms of senders of an account; `quiet` is made once per account, since it remembers. Without `pools`,
    which change all the time."""
    spec = account.spec
    return Terms(
        account_number=account.document.number,
        wording=wording_of(spec),
        store_zone=spec.store_zone,
        senders=[_launched(sender, install.lanes) for sender in senders],
        prices=prices,
        links=link_bases(spec, install.link_base),
        segments_per_second=min(sum(sender.segments_per_second for sender in senders), spec.segments_per_second),
        carriers=prices.by_network
        or any(sender.brand and spec.brands[sender.brand].carrier_daily for sender in senders),
        unknown_zone=spec.unknown_zone,
        quiet=quiet,
        day_cap=spec.caps.day,
        week_cap=spec.caps.week,
        resend_attempts=spec.resend_attempts,
        lateness=_limit(spec.lateness_hours),
        transactional_lateness=_limit(spec.transactional_lateness_hours),
        max_segments=spec.max_segments,
        unreachable_retry_days=spec.unreachable_retry_days,
    )


def wording_of(account: AccountSpec) -> Wording:
    """What an account makes of its campaigns' texts."""
    return Wording(
        site_name=account.site_name,
        site_name_rule=account.site_name_rule,
        replaces_characters=account.characters.replace,
    )


def as_launched(terms: Terms, document: CampaignDocument) -> Terms:
    """The terms of a campaign. What its texts and the most that it can cost follow from is its own for life."""
    if document.wording is not None:
        terms = replace(terms, wording=document.wording)
    if document.bound is None:
        return terms
    tariff = document.bound.tariff
    prices = price_list(tariff.prices)
    return replace(
        terms,
        max_segments=tariff.max_segments,
        prices=prices,
        carriers=terms.carriers or prices.by_network,
    )


def _launched(sender: SenderDocument, lanes: int) -> LaunchedSender:
    return LaunchedSender(
        sender=sender.sender,
        country=sender.country,
        lanes=list(lanes_of(sender, lanes)),
        rate=sender.segments_per_second,
    )


def _limit(hours: float) -> int | None:
    """In ms; 0 hours are no limit."""
    return max(1, round(hours * HOUR)) if hours else None
