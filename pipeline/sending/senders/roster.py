"""The senders and accounts of one lane, as its log has them, with what uses up their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import LaneState
from pipeline.limits.carrier_day import normal
from pipeline.sending.senders.flow import Flow, Flows, Share
from pipeline.sending.senders.schedule import Schedule
from schemas.lane import AccountTerms, SenderId, SenderTerms


@dataclass(slots=True, eq=False)
class LaneAccount:
    """An account in this lane."""

    name: str
    flow: Flow
    rate: float = 0.0
    """Segments per second over all its senders here; 0: no limit is known."""
    senders_rate: float = 0.0
    """What its senders may submit together."""
    senders: list[LaneSender] = field(default_factory=list)
    """Those that were removed too."""
    waiting: list[Waiting] = field(default_factory=list)
    """Its senders that wait for its limit, those of each channel."""
    numbers: Iterator[int] = field(default_factory=count)
    """Of its waiting senders over all channels."""
    turn: int = 0
    """Grows with each slice whose links are on its domains."""

    def is_turn_of(self, waiting: Waiting) -> bool:
        """Whether the sender whose turn it is at the account's limit is among these. Senders of a blocked channel do
        not count: they could not use their turn."""
        mine = waiting.senders.first()
        others = (other.senders.first() for other in self.waiting if other is not waiting and not other.is_blocked)
        return all(mine is not None and mine < first for first in others if first is not None)

    @property
    def binds(self) -> bool:
        """Whether its limit is below what its senders may submit together."""
        return 0 < self.rate < self.senders_rate

    def bounded(self, rate: float) -> float:
        """What some of its senders may submit (segments/s) whose own limits let through `rate` together."""
        return min(rate, self.rate) if self.rate else rate


@dataclass(slots=True, eq=False)
class Waiting:
    """Senders of one channel that wait for their account's limit."""

    senders: Schedule[LaneSender]
    is_blocked: bool = False
    """Whether their channel cannot take anything now, whatever the limit."""


@dataclass(slots=True, eq=False)
class LaneSender:
    """A sender in this lane."""

    id: SenderId
    account: LaneAccount
    flow: Flow
    terms: SenderTerms | None = None
    """None: it may not submit."""
    share: FairShare = field(default_factory=FairShare)
    """Between its campaigns."""

    def limits(self) -> Iterable[Flow]:
        """The limits that its messages use."""
        return (self.flow, self.account.flow) if self.account.binds else (self.flow,)

    def shares(self, segments: int) -> list[Share]:
        """The same with the segments."""
        return [(flow, segments) for flow in self.limits()]


class Roster:
    """Kept for as long as this process knows the lane: the limits of the last second outlive the lane's state."""

    def __init__(self, flows: Flows, changed: Callable[[LaneSender], None]) -> None:
        """`changed` is called for a sender whose terms are new."""
        self._flows = flows
        self._changed = changed
        self._senders: dict[SenderId, LaneSender] = {}
        self._accounts: dict[str, LaneAccount] = {}
        self.rate = 0.0
        """Segments per second that all senders may submit together."""

    def get(self, sender: SenderId) -> LaneSender | None:
        """A sender that may submit; None if there is none."""
        known = self._senders.get(sender)
        return None if known is None or known.terms is None else known

    def known(self, sender: SenderId) -> LaneSender | None:
        """The same where it may not submit anymore: messages of its may be under way."""
        return self._senders.get(sender)

    def all(self) -> list[LaneSender]:
        """All that may submit."""
        return [sender for sender in self._senders.values() if sender.terms is not None]

    def load(self, state: LaneState) -> None:
        """Take all terms of a state."""
        for sender in self._senders.values():
            if sender.id not in state.senders:
                self._take(sender, None)
        for account in state.accounts.values():
            self.take(state, account)
        for terms in state.senders.values():
            self.take(state, terms)

    def take(self, state: LaneState, record: AccountTerms | SenderTerms) -> None:
        """Take what holds after a record with terms, which may have said nothing new."""
        account = self._account(record.account)
        if isinstance(record, AccountTerms):
            held = state.accounts.get(record.account)
            if held is not None and held.rate != account.rate:
                account.rate = held.rate
                self._flows.change(account.flow, held.rate)
            for sender in account.senders:
                self._changed(sender)
            return
        name = (record.account, record.sender)
        terms = state.terms_of(name)
        known = self._senders.get(name)
        if known is None:
            if terms is None:
                return
            known = self._senders[name] = LaneSender(name, account, self._flows.of(terms.rate))
            account.senders.append(known)
        self._take(known, terms)

    def _take(self, sender: LaneSender, terms: SenderTerms | None) -> None:
        before = 0.0 if sender.terms is None else sender.terms.rate
        after = 0.0 if terms is None else terms.rate
        sender.terms = terms
        sender.account.senders_rate += after - before
        self.rate += after - before
        if terms is not None:
            self._flows.change(sender.flow, terms.rate)
        self._changed(sender)

    def start_full(self, now: float) -> None:
        """Assume that somebody else has just used all limits."""
        for sender in self._senders.values():
            sender.flow.window.start_full(now)
        for account in self._accounts.values():
            if account.rate:
                account.flow.window.start_full(now)

    def begin(self, last_intent_at: int) -> None:
        """The lane has a new owner; its last INTENT before was written then (ms; 0: there was none)."""
        for sender in self._senders.values():
            sender.flow.punctuality.begin(last_intent_at)
        for account in self._accounts.values():
            account.flow.punctuality.begin(last_intent_at)

    def _account(self, name: str) -> LaneAccount:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = LaneAccount(name, self._flows.of(1.0))
        return account


def carriers_of(state: LaneState, sender: LaneSender) -> dict[str, int]:
    """Segments per carrier (as `carrier_day.normal` names it) and day at most, of a sender's brand."""
    account = state.accounts.get(sender.id[0])
    terms = sender.terms
    if account is None or terms is None:
        return {}
    return {normal(carrier): limit for carrier, limit in account.carrier_daily.get(terms.brand, {}).items()}
