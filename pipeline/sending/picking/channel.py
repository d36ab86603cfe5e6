"""A channel: the senders of one aggregator that share a line, from the pick to the answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.sending.picking.proposing import Proposer
from pipeline.sending.submitting.last_check import Checked
from pipeline.sending.submitting.line import Line
from schemas.lane import SenderId

ChannelId = tuple[str, SenderId | None]
"""An aggregator, and the fast sender that has the channel to itself; None: the channel of its slow senders."""


@dataclass(slots=True, eq=False)
class Channel:
    """One channel of a lane."""

    proposer: Proposer
    line: Line = field(default_factory=Line)
    checked: dict[int, Checked] = field(default_factory=dict)
    """Slices that were handed over, by the offset of their INTENT."""

    @property
    def under_way(self) -> int:
        """Slices whose INTENT was read back and that have no outcome yet."""
        return self.line.count + len(self.checked)

    @property
    def messages(self) -> int:
        """The messages of these."""
        return self.line.messages + sum(checked.messages for checked in self.checked.values())
