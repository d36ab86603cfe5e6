"""Which recipients of a campaign are meant, by what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.reasons import split


@dataclass(frozen=True, slots=True)
class Selection:
    """Recipients whose state is one of `states` and whose reason is one of `reasons` (() = any), and none of
    `left_out`. A reason without its detail stands for all details: `code` for `code:30003`."""

    states: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def has(self, state: str, reason: str) -> bool:
        """Whether a recipient in `state` for `reason` ("" = none is known) is meant."""
        names = {reason, str(split(reason)[0])}
        return (
            (not self.states or state in self.states)
            and (not self.reasons or not names.isdisjoint(self.reasons))
            and names.isdisjoint(self.left_out)
        )


EVERYBODY: Final = Selection()
