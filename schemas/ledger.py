"""The ledger: commands about an account's money, and what is kept of it. Money is whole millionths of a credit.

Topic `ledger` is compacted and holds one fact under each key, all of an account in the partition of its commands: a
top-up under ACCOUNT/+ID, what a campaign reserved and spent under ACCOUNT/CAMPAIGN, and under ACCOUNT whether its
balance is low. There is no record with the balance: it is the sum of these facts, so that a command that was carried
out in part can be carried out again. The statement is made of them too: what a campaign spent on a day is the
difference of two records of it, so that nothing is lost where one between them is.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from schemas.ids import NAME_PATTERN
from schemas.wire import Campaign, Codec, Count, Millis, Record

MOST_MICRO: Final = 1_000_000_000_000_000_000
"""No account's top-ups sum up to more, and no reservation asks for more: all sums fit in 64 bits."""

AccountName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
Billing = Literal["prepaid", "invoice"]
Amount = Annotated[int, msgspec.Meta(ge=-MOST_MICRO, le=MOST_MICRO)]
Credit = Annotated[int, msgspec.Meta(ge=0, le=MOST_MICRO)]
Line = tuple[Count, Count, Count]
"""(price of a segment, messages, segments)."""


TariffPrice = tuple[Millis, str, str, Count]
"""(since, country, network, price): a price of a segment that holds from an instant (ms) on, for a country ("*": any)
and a network ("": any)."""


class Tariff(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What the cost of a campaign's messages follows from, as of when its audience was frozen: it is the campaign's
    for life, so that it costs no more than what was reserved for it."""

    max_segments: Count
    prices: list[TariffPrice]
    """Those that recipients of the audience can have."""


class Bound(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The most that a campaign can cost."""

    billing: Billing
    amount: Credit
    segments: Count
    trial: Count | None = None
    """Segments that its account may send altogether; None: it is not on trial."""
    tariff: Tariff


class TopUpCommand(Record, tag="top-up", kw_only=True):
    """Topic `ledger-commands`, keyed by account: a person adds credits, or takes some away (a correction)."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    account: AccountName
    amount: Amount
    note: Annotated[str, msgspec.Meta(max_length=200)] = ""
    at: Millis
    by: str

    def __post_init__(self) -> None:
        if not self.amount:
            raise ValueError("a top-up of nothing")


class Reserve(Record, tag="reserve", kw_only=True):
    """Topic `ledger-commands`, keyed by account: set aside the most that a campaign (launched as `revision`) can
    cost."""

    account: AccountName
    campaign: Campaign
    revision: Annotated[int, msgspec.Meta(ge=1)]
    billing: Billing
    amount: Credit
    segments: Count
    trial: Count | None = None
    """As in `Bound`."""
    waits: bool
    """What happens while the balance is short: the campaign waits for a top-up, or is refused."""
    at: Millis


class Spent(Record, tag="spent", kw_only=True):
    """Topic `ledger-commands`, keyed by account: all that a campaign has spent so far, by price. Never a difference:
    records may come twice and in any order."""

    account: AccountName
    campaign: Campaign
    billing: Billing
    """Of a campaign that has reserved nothing: who pays."""
    lines: list[Line]
    rest: Credit | None = None
    """The most that it may still spend; None: that is not known, and what it reserved stays."""
    rest_segments: Count | None = None
    at: Millis


class Release(Record, tag="release", kw_only=True):
    """Topic `ledger-commands`, keyed by account: the campaign (launched as `revision`) needs nothing more."""

    account: AccountName
    campaign: Campaign
    revision: Annotated[int, msgspec.Meta(ge=1)]
    at: Millis


class TopUp(Record, tag="top-up", kw_only=True):
    """A top-up that was carried out, or `refused` with the reason."""

    id: str
    account: AccountName
    amount: Amount
    note: str = ""
    at: Millis
    by: str
    refused: str = ""
    available: Credit = 0
    """What was available afterwards."""


ChargeState = Literal["open", "waiting", "reserved", "refused", "released"]
"""open: no reservation is needed; waiting: for a top-up; released: there is nothing left to reserve for."""


class Charge(Record, tag="charge", kw_only=True):
    """What a campaign has reserved and spent. Replies to people's texts are campaigns too, one for each sender."""

    account: AccountName
    campaign: Campaign
    number: Annotated[int, msgspec.Meta(ge=1)]
    """Grows by one with each record of this campaign."""
    launch: Count = 0
    """The revision of the launch that reserved; 0: none did."""
    billing: Billing
    state: ChargeState
    asked: Credit = 0
    asked_at: Millis = 0
    limit: Credit = 0
    """The most that it may cost in all; what is not spent of it is reserved. It only falls."""
    asked_segments: Count = 0
    limit_segments: Count = 0
    trial: Count | None = None
    turn: Count = 0
    """Its place among those that wait: the lower goes first."""
    missing: Credit = 0
    """What is short of its reservation, while it waits or was refused; 0 where the trial limit refused it."""
    lines: list[Line] = msgspec.field(default_factory=list)
    uncovered: Credit = 0
    """What should have been taken from the balance when there was nothing left."""
    at: Millis
    """Never goes back from one record to the next."""


class Watch(Record, tag="watch", kw_only=True):
    """Whether an account's available balance is below its threshold, and how often it fell below."""

    account: AccountName
    is_low: bool
    crossings: Count
    at: Millis


LedgerCommand = TopUpCommand | Reserve | Spent | Release
LedgerRecord = TopUp | Charge | Watch
LEDGER_COMMANDS: Final = Codec[LedgerCommand](LedgerCommand)
LEDGER: Final = Codec[LedgerRecord](LedgerRecord)


def top_up_key(account: str, top_up: str) -> str:
    """The key of a top-up; no campaign's id begins with +."""
    return f"{account}/+{top_up}"


def charge_key(account: str, campaign: str) -> str:
    """The key of what a campaign reserved and spent."""
    return f"{account}/{campaign}"


def key_of(record: LedgerRecord) -> str:
    """The key of a record of topic `ledger`."""
    match record:
        case TopUp():
            return top_up_key(record.account, record.id)
        case Charge():
            return charge_key(record.account, record.campaign)
        case Watch():
            return record.account
