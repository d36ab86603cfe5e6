"""What the lanes hear of accounts and senders: records that hold from their place in a lane's log on.

A sender's rate is divided equally over its lanes. What an account may send, and the carriers' segments of a day of
each of its brands, are divided over the lanes by what the senders may send there; the senders within one lane share
it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from msgspec.structs import replace as changed

from pipeline.accounts.placing import lanes_of
from pipeline.limits.carrier_day import normal
from schemas.accounts import MICRO, AccountDocument, AccountSpec, SenderDocument
from schemas.lane import AccountTerms, SenderTerms

Share = tuple[int, str, int]
"""As `AccountDocument.shares`."""


def lane_terms(
    account: AccountDocument, senders: Iterable[SenderDocument], lanes: int, at: int
) -> list[tuple[int, AccountTerms | SenderTerms]]:
    """(lane, record) of an account and these of its senders, the account's first; `lanes` there are in all, `at` in
    ms."""
    records: list[tuple[int, AccountTerms | SenderTerms]] = [*account_terms(account, at)]
    for sender in senders:
        records += sender_terms(account, sender, lanes, at)
    return records


def shares_of(senders: Iterable[SenderDocument], lanes: int) -> list[Share]:
    """What the senders may send in each lane, for the account's document."""
    rates: defaultdict[tuple[int, str], int] = defaultdict(int)
    for sender in senders:
        places = () if sender.removed else lanes_of(sender, lanes)
        for lane in places:
            rates[lane, sender.brand] += max(1, round(sender.segments_per_second * MICRO) // len(places))
    return sorted((lane, brand, rate) for (lane, brand), rate in rates.items())


def account_terms(account: AccountDocument, at: int) -> list[tuple[int, AccountTerms]]:
    """(lane, record) for each lane in which the account has a sender."""
    spec = account.parsed()
    by_lane = _by_lane(account.shares)
    total = sum(by_lane.values())
    daily = _daily(spec, account.shares)
    return [
        (
            lane,
            AccountTerms(
                account=account.account,
                revision=account.generation,
                rate=spec.segments_per_second * rate / total,
                carrier_daily=daily[lane],
                zone=spec.carrier_zone,
                at=at,
            ),
        )
        for lane, rate in sorted(by_lane.items())
    ]


def sender_terms(
    account: AccountDocument, sender: SenderDocument, lanes: int, at: int
) -> list[tuple[int, SenderTerms]]:
    """(lane, record) for each lane that carries the sender, and each that carried it before. One that was removed, or
    whose account is inactive, is removed from all of them."""
    places = lanes_of(sender, lanes)
    record = SenderTerms(
        account=sender.account,
        sender=sender.sender,
        revision=max(sender.revision, account.turned),
        number=sender.number,
        aggregator=sender.aggregator,
        rate=sender.segments_per_second / len(places),
        brand=sender.brand,
        removed=bool(sender.removed) or not is_active(account),
        at=at,
    )
    away = changed(record, removed=True)
    return [*((lane, record) for lane in places), *((lane, away) for lane in sender.former)]


def is_active(account: AccountDocument | None) -> bool:
    """Whether there is the account, and it may send."""
    return account is not None and not account.removed and bool(account.spec["active"])


def _by_lane(shares: Sequence[Share]) -> dict[int, int]:
    rates: defaultdict[int, int] = defaultdict(int)
    for lane, _, rate in shares:
        rates[lane] += rate
    return dict(rates)


def _daily(spec: AccountSpec, shares: Sequence[Share]) -> Mapping[int, dict[str, dict[str, int]]]:
    """Lane → brand → carrier → segments per day. The parts of each limit sum to it."""
    daily: defaultdict[int, dict[str, dict[str, int]]] = defaultdict(dict)
    for name, brand in spec.brands.items():
        own = [(lane, rate) for lane, of_brand, rate in shares if of_brand == name]
        for carrier, limit in brand.carrier_daily.items():
            for (lane, _), part in zip(own, _parts(limit, [rate for _, rate in own]), strict=True):
                daily[lane].setdefault(name, {})[normal(carrier)] = part
    return daily


def _parts(limit: int, rates: Sequence[int]) -> list[int]:
    """`limit` in whole parts in the proportion of `rates`."""
    total = sum(rates)
    ends = [limit * upto // total for upto in accumulate(rates)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
