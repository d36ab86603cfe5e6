"""Which senders of a lane share a channel, and whose turn it is in each."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.lane.state import LaneState
from pipeline.limits.rate import SLOW
from pipeline.sending.outage.aggregator import LaneAggregator
from pipeline.sending.picking.channel import Channel, ChannelId
from pipeline.sending.picking.proposals import Proposals
from pipeline.sending.picking.proposing import Proposer, Rules
from pipeline.sending.senders.roster import LaneSender, Roster
from schemas.lane import SenderId


class Channels:
    """The channels of one lane."""

    def __init__(self, rules: Rules, aggregator: Callable[[str], LaneAggregator | None]) -> None:
        """`aggregator`: the one of a name in the settings, None if there is none."""
        self._rules = rules
        self._aggregator = aggregator
        self._channels: dict[ChannelId, Channel] = {}
        self._of: dict[SenderId, ChannelId] = {}
        """Of each sender that may submit."""
        self._intents: dict[int, Channel] = {}
        """Where the slices of INTENTs stand in line or are under way, by their offset."""
        self.roster = Roster(rules.flows, self._changed)
        self.proposals = Proposals(self.retry)
        self._free: set[SenderId] = set()
        """Senders of slices whose INTENT was not written."""

    def all(self) -> list[Channel]:
        return list(self._channels.values())

    @property
    def aggregators(self) -> dict[str, LaneAggregator]:
        """Those that senders of the lane use or used, by their name in the settings."""
        return {name: channel.proposer.aggregator for (name, _), channel in self._channels.items()}

    @property
    def under_way(self) -> int:
        """Slices whose INTENT was read back and that have no outcome yet."""
        return sum(channel.under_way for channel in self._channels.values())

    def of(self, sender: SenderId) -> Channel | None:
        """A sender's channel; None if it may not submit."""
        known = self._of.get(sender)
        return None if known is None else self._channels[known]

    def entered(self, intent: int, channel: Channel) -> None:
        """The slice of an INTENT stands in a channel's line."""
        self._intents[intent] = channel

    def at(self, intent: int) -> Channel:
        """Where the slice of an INTENT is."""
        return self._intents[intent]

    def left(self, intent: int) -> None:
        """The slice of an INTENT has its outcome."""
        self._intents.pop(intent, None)

    def retry(self, sender: SenderId) -> None:
        """A sender's slices are free again."""
        self._free.add(sender)

    def wake(self, state: LaneState, sender: SenderId, now: float) -> None:
        """A sender may have something to send."""
        known, channel = self.roster.get(sender), self.of(sender)
        if known is not None and channel is not None:
            channel.proposer.wake(state, known, now)

    def wake_free(self, state: LaneState, now: float) -> None:
        """Those whose slices are free again may have something to send."""
        for sender in self._free:
            self.wake(state, sender, now)
        self._free.clear()

    def wake_campaign(self, state: LaneState, campaign: str, now: float) -> None:
        """The senders of a campaign may have something to send."""
        for sender in list(state.table.ready_senders()):
            if any(key[0] == campaign for key in state.table.ready_keys(sender)):
                self.wake(state, sender, now)

    def wake_account(self, state: LaneState, account: str, now: float) -> None:
        """The senders of an account may have something to send."""
        for sender in list(state.table.ready_senders()):
            if sender[0] == account:
                self.wake(state, sender, now)

    def wake_all(self) -> None:
        """All senders may have something to send."""
        for channel in self._channels.values():
            channel.proposer.wake_all()

    def _changed(self, sender: LaneSender) -> None:
        wanted = self._wanted(sender)
        before = self._of.get(sender.id)
        if before is not None and before != wanted:
            self._channels[before].proposer.leave(sender)
            del self._of[sender.id]
        if wanted is not None:
            self._of[sender.id] = wanted
            self._channels[wanted].proposer.join(sender)

    def _wanted(self, sender: LaneSender) -> ChannelId | None:
        """The channel in which a sender is to be; made if it is new. None: it may not submit."""
        terms = sender.terms
        aggregator = None if terms is None else self._aggregator(terms.aggregator)
        if terms is None or aggregator is None:
            return None
        is_fast = terms.rate >= SLOW
        wanted = (terms.aggregator, sender.id if is_fast else None)
        if wanted not in self._channels:
            rate = terms.rate if is_fast else 0.0
            proposer = Proposer(aggregator, self._rules, self.proposals, rate, is_shared=not is_fast)
            self._channels[wanted] = Channel(proposer)
        return wanted
