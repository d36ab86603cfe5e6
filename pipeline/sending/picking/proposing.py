"""What a live owner writes next for the senders of one channel, within the limits of each.

A fast sender has a channel to itself. The slow ones of an aggregator share one: an INTENT, and then a request, has a
slice of each whose turn it is, or is about to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pipeline.lane.scheduler import FairShare
from pipeline.lane.state import LaneState, unpack
from pipeline.limits.rate import ReadBack, most_under_way
from pipeline.sending.effects import Instant, Letter, Log, Plain, Write
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.picking.domains import Domains
from pipeline.sending.picking.picked import Picked
from pipeline.sending.picking.picker import Picks, Room, expired, pick
from pipeline.sending.picking.poison import find_poison
from pipeline.sending.picking.proposals import OnTheWay, Proposals
from pipeline.sending.senders.flow import Flow, Flows, Share
from pipeline.sending.senders.roster import LaneAccount, LaneSender, Waiting, carriers_of
from pipeline.sending.senders.schedule import Schedule
from pipeline.sending.submitting.line import Line
from pipeline.timing.quiet_hours import QuietHours
from schemas.lane import MOST_PICKS, Defer, Drop, Intent, Pick
from schemas.reasons import Reason

TOGETHER: Final = 0.02
"""Seconds by which a slow sender's turn comes early at most, so that many share an INTENT."""
AFTER_DEFECT: Final = 1.0
"""Seconds until a sender has its turn again from whom nothing could be picked because of a defect."""
STARVED: Final = 5.0
"""Seconds until a sender has its turn again whose recipients wait for domains for their links."""
CLOSE: Final = 1e-6
"""Seconds: a turn that is this close has come. Less, added to a clock, would be lost in rounding."""
URGENT, NORMAL = 0.0, 1.0
"""In what order senders wait for their account's limit."""
AT_ONCE: Final = 0.0
"""A turn before all others, on any clock: of a sender with an urgent message, or whose terms are new."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides whom a proposer picks, and how many: `blocked`, why an account may not write to numbers; `quiet`,
    an account's quiet hours; `flows`, how limits are kept."""

    blocked: Callable[[str, list[int]], list[str]]
    quiet: Callable[[str], QuietHours]
    flows: Flows


@dataclass(slots=True)
class _Draft:
    """An INTENT in the making, of `most` messages at most."""

    most: int
    picks: list[Pick] = field(default_factory=list)
    shares: dict[Flow, int] = field(default_factory=dict)
    messages: int = 0

    @property
    def is_full(self) -> bool:
        return self.messages >= self.most or len(self.picks) >= MOST_PICKS

    def add(self, chosen: Pick, shares: list[Share]) -> None:
        self.picks.append(chosen)
        self.messages += sum(stop - start for _, start, stop in chosen.slices)
        for flow, segments in shares:
            self.shares[flow] = self.shares.get(flow, 0) + segments


class Proposer:
    """Picks for one channel: for one fast sender, or for all slow ones of an aggregator (`is_shared`)."""

    def __init__(
        self, aggregator: LaneAggregator, rules: Rules, proposals: Proposals, rate: float, *, is_shared: bool
    ) -> None:
        """`rate`: of the fast sender, 0 in a shared channel."""
        self.aggregator = aggregator
        self.way = OnTheWay(ReadBack(rate))
        self._rules = rules
        self._proposals = proposals
        self._early = TOGETHER if is_shared else CLOSE
        self._is_shared = is_shared
        self._senders: dict[LaneSender, float] = {}
        """Those whose channel this is, with what each may submit."""
        self._rate = 0.0
        self._turns: Schedule[LaneSender | LaneAccount] = Schedule()
        self._waiting: dict[LaneAccount, Waiting] = {}
        """Senders that wait for their account's limit."""

    def join(self, sender: LaneSender) -> None:
        """The sender is picked from here from now on, or has other terms."""
        rate = 0.0 if sender.terms is None else sender.terms.rate
        self._rate += rate - self._senders.get(sender, 0.0)
        self._senders[sender] = rate
        self._turns.put(sender, AT_ONCE)

    def leave(self, sender: LaneSender) -> None:
        """The sender is not picked from here anymore."""
        self._rate -= self._senders.pop(sender, 0.0)
        self._turns.remove(sender)
        if (waiting := self._waiting.get(sender.account)) is not None:
            waiting.senders.remove(sender)

    def wake(self, state: LaneState, sender: LaneSender, now: float) -> None:
        """The sender may have something to send."""
        urgent = _is_urgent(state, sender)
        self._turns.put(sender, AT_ONCE if urgent else now)

    def wake_all(self) -> None:
        """All may have something to send."""
        for sender in self._senders:
            self._turns.put(sender, AT_ONCE)

    def propose(
        self, state: LaneState, line: Line, under_way: int, messages: int, now: Instant
    ) -> tuple[list[Plain], float | None]:
        """Write what the limits allow now, with `under_way` slices of so many `messages` that have no outcome. Also
        returns the seconds until the limits allow more; None if time alone does not change that."""
        effects: list[Plain] = []
        while self._has_a_slot(line, messages):
            allowed = self.aggregator.breaker.rule.allowance(now.seconds, self.way.intents + under_way)
            self._block(is_blocked=not allowed)
            at = self._turns.next_at()
            if at is None or at > now.seconds + CLOSE:
                return effects, None if at is None else at - now.seconds
            if not allowed:
                # Deadlines apply even while nothing may be submitted.
                senders = [sender.id for sender in self._senders]
                drop = expired(state, senders, self._proposals.picked, now.ms)
                return effects + ([] if drop is None else [self._write(drop)]), None
            most = min(self.aggregator.batch, allowed, self._most() - messages - self.way.messages)
            effects += self._propose(state, _Draft(most), now)
        self._block(is_blocked=True)
        return effects, None

    def _block(self, *, is_blocked: bool) -> None:
        """Say whether this channel can take anything now: others do not wait for one that cannot."""
        for waiting in self._waiting.values():
            waiting.is_blocked = is_blocked

    def _has_a_slot(self, line: Line, messages: int) -> bool:
        waiting = self.way.intents + line.count
        if waiting >= line.most or (waiting and not self.aggregator.has_connection()):
            return False
        return messages + self.way.messages < self._most()

    def _most(self) -> int:
        """Messages that may be under way at most."""
        if not self._rules.flows.is_exact:
            return 1 << 60
        return most_under_way(self._rate, self.aggregator.batch, self.aggregator.in_flight)

    def _propose(self, state: LaneState, draft: _Draft, now: Instant) -> list[Plain]:
        effects: list[Plain] = []
        while not draft.is_full and (self._is_shared or not draft.picks):
            entry = self._turns.pop(now.seconds + self._early)
            if entry is None:
                break
            if isinstance(entry, LaneAccount):
                effects += self._from_account(state, entry, draft, now)
            else:
                effects += self._from_sender(state, entry, draft, now)
        if draft.picks:
            intent = Intent(epoch=state.epoch, picks=draft.picks, at=now.ms)
            self._proposals.wrote_intent(intent, self.way, now.seconds, list(draft.shares.items()), draft.messages)
            self.aggregator.breaker.rule.proposed(now.seconds)
            effects.append(Write(intent))
        return effects

    def _from_account(self, state: LaneState, account: LaneAccount, draft: _Draft, now: Instant) -> list[Plain]:
        """Its limit has room again: its senders have their turns, as long as it has."""
        effects: list[Plain] = []
        waiting = self._waiting[account]
        while not draft.is_full and (self._is_shared or not draft.picks):
            first = waiting.senders.next_at()
            if first is None:
                return effects
            sender = waiting.senders.peek()
            if account.binds and (
                not account.is_turn_of(waiting) or self._account_pause(state, sender, now) > self._early
            ):
                break
            waiting.senders.remove(sender)
            effects += self._pick(state, sender, draft, now)
        self._await_account(state, account, now)
        return effects

    def _from_sender(self, state: LaneState, sender: LaneSender, draft: _Draft, now: Instant) -> list[Plain]:
        if sender.terms is None or sender.id not in state.table.ready_senders():
            return []
        # Compared as a time, as whoever takes turns compares it: a pause that is longer by less than a clock shows
        # would have this turn come again at once, and forever.
        at = now.seconds + self._pause(state, sender.flow, now)
        if at > now.seconds + self._early:
            self._turns.put(sender, at)
            return []
        account = sender.account
        if account.binds and self._has_to_wait(state, sender, now):
            self._await_account(state, account, now)
            return []
        return self._pick(state, sender, draft, now)

    def _has_to_wait(self, state: LaneState, sender: LaneSender, now: Instant) -> bool:
        """Whether a sender has to wait for its account's limit; it waits then."""
        account = sender.account
        waiting = self._waiting.get(account)
        if waiting is None:
            waiting = self._waiting[account] = Waiting(Schedule(account.numbers))
            account.waiting.append(waiting)
        waiting.senders.put(sender, URGENT if _is_urgent(state, sender) else NORMAL)
        is_first = waiting.senders.peek() is sender and account.is_turn_of(waiting)
        if is_first and self._account_pause(state, sender, now) <= self._early:
            waiting.senders.remove(sender)
            return False
        return True

    def _await_account(self, state: LaneState, account: LaneAccount, now: Instant) -> None:
        if self._waiting[account].senders.next_at() is not None:
            pause = self._pause(state, account.flow, now) if account.binds else 0.0
            # Not at once: it is looked at until nobody has a turn.
            self._turns.put(account, now.seconds + max(pause, self._early + CLOSE))

    def _account_pause(self, state: LaneState, sender: LaneSender, now: Instant) -> float:
        size = min(self._size(state, sender.flow, now), self._size(state, sender.account.flow, now))
        return sender.account.flow.pause(now.seconds, size, self.way.read_back.ahead)

    def _pause(self, state: LaneState, flow: Flow, now: Instant) -> float:
        """Seconds to wait so that an INTENT is read back just when the limit has room for it."""
        return flow.pause(now.seconds, self._size(state, flow, now), self.way.read_back.ahead)

    def _size(self, state: LaneState, flow: Flow, now: Instant, room: float = 0.0) -> int:
        size = self._rules.flows.size(state, flow.pace.rate, now.ms, room)
        return max(1, min(size, self.aggregator.batch, state.table.ready_count))

    def _room(self, state: LaneState, sender: LaneSender, draft: _Draft, now: Instant) -> Room:
        """Of the sender's next slice."""
        ahead = self.way.read_back.ahead
        sizes = [self._size(state, flow, now, flow.room(now.seconds, ahead)) for flow in sender.limits()]
        return Room(
            sender=sender.id,
            messages=draft.most - draft.messages,
            segments=min(sizes),
            carrier_daily=carriers_of(state, sender),
            quiet=self._rules.quiet(sender.id[0]),
            domains=_domains(state, sender.account),
        )

    def _pick(self, state: LaneState, sender: LaneSender, draft: _Draft, now: Instant) -> list[Plain]:
        room = self._room(state, sender, draft, now)
        try:
            chosen = self._chosen(state, sender, now.ms, room, self._proposals.picked, sender.share)
        except Exception as error:  # noqa: BLE001 - a defective chunk must not stop the others
            self._turns.put(sender, now.seconds + AFTER_DEFECT)
            looking = Log("error", "cannot pick: looking for the chunk that causes it", error)
            return [looking, *self._skip_unreadable(state, sender, now, room)]
        if chosen is None:
            return []
        if chosen.is_starved:
            # It is woken when a domain comes; what else may give room (an INTENT that turns out void) is looked for.
            self._turns.put(sender, now.seconds + STARVED)
            return []
        effects: list[Plain] = [self._write(drop) for drop in chosen.drops]
        if chosen.pick is not None:
            campaign = chosen.pick.campaign
            shares = sender.shares(chosen.segments)
            for flow, segments in shares:
                flow.picked(now.seconds, segments)
            sender.share.spend(campaign, chosen.segments, state.campaigns[campaign].settings.weight)
            draft.add(chosen.pick, shares)
            # Picked here and now: the INTENT is not written yet, and the sender may have another turn before.
            self._proposals.picked.add_pick(chosen.pick, sender.id[0])
            sender.account.turn += bool(chosen.pick.domains)
        self._turns.put(sender, now.seconds + max(0.0, self._pause(state, sender.flow, now)))
        return effects

    def _skip_unreadable(self, state: LaneState, sender: LaneSender, now: Instant, room: Room) -> list[Plain]:
        """Skip a chunk that decodes but cannot be picked from: a dead letter, and its recipients leave the queue."""
        poison = find_poison(
            state,
            sender.id,
            self._proposals.picked,
            lambda only: self._chosen(state, sender, now.ms, room, only, FairShare()),
        )
        if poison is None:
            return []
        self._turns.put(sender, now.seconds)
        slices, error = poison
        chunk = slices[0][0]
        drop = Drop(epoch=state.epoch, slices=slices, state="skipped", reason=Reason.UNREADABLE, at=now.ms)
        return [Letter(chunk, unpack(state.chunks[chunk].packed), error), self._write(drop)]

    def _chosen(
        self, state: LaneState, sender: LaneSender, now: int, room: Room, picked: Picked, share: FairShare
    ) -> Picks | None:
        account = sender.id[0]
        return pick(state, picked, share, lambda numbers: self._rules.blocked(account, numbers), now, room)

    def _write(self, record: Drop | Defer) -> Write:
        self._proposals.wrote(record)
        return Write(record)


def _domains(state: LaneState, account: LaneAccount) -> Domains | None:
    """The domains for links of an account at its next slice; None where it has no rules for them."""
    terms = state.domains.get(account.name)
    return None if terms is None or not terms.required else Domains(terms, state, account.turn)


def _is_urgent(state: LaneState, sender: LaneSender) -> bool:
    """Whether an urgent message of the sender's may go."""
    return any(
        state.running(campaign) and state.campaigns[campaign].settings.priority == "urgent"
        for campaign, _ in state.table.ready_keys(sender.id)
    )
