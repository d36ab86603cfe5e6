"""Which domains the links of a slice are on: in turn those of its account that have room, so that all of them carry
messages evenly, and a new one takes its share at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.content.outgoing import domain_kinds
from pipeline.lane.state import LaneState
from pipeline.sending.picking.picked import Picked
from schemas.lane import DomainLimit, DomainTerms, LaneMessage

ANY: Final = 1 << 60
"""Messages: no limit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The domains of a slice's links, and how many messages they have room for."""

    domains: tuple[str, ...] = ()
    room: int = ANY


@dataclass(frozen=True, slots=True)
class Domains:
    """An account's domains at the pick of one slice: by the lane's log, less what is on its way to it. `turn` grows
    with each slice."""

    terms: DomainTerms
    state: LaneState
    turn: int = 0

    def choose(self, message: LaneMessage, picked: Picked) -> Choice | None:
        """For the links of a message; None where a kind that must be on a domain has none with room."""
        names: list[str] = []
        room = ANY
        for kind in domain_kinds(message.text):
            if kind not in self.terms.required:
                continue
            free = [(limit.name, self._room(limit, picked)) for limit in self.terms.domains if limit.use == kind]
            free = [(name, left) for name, left in free if left > 0]
            if not free:
                return None
            name, left = free[self.turn % len(free)]
            names.append(name)
            room = min(room, left)
        return Choice(tuple(names), room)

    def _room(self, limit: DomainLimit, picked: Picked) -> int:
        left = self.state.domain_counts.left(self.terms, limit)
        return ANY if left is None else left - picked.carried(self.terms.account, limit.name)
