"""A campaign that is over and reached nobody: "finished" alone would look like a success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

REACHED_NOBODY: Final = "reached nobody"
_OVER: Final = frozenset({"sent", "finished"})
_REACHED: Final = ("accepted", "delivered", "unknown")
"""States of those who have the message, or may have it."""


def nobody_why(status: str, states: Mapping[str, int], targeted: int, reasons: Sequence[Mapping[str, Any]]) -> str:
    """Why a campaign reached nobody, in words; "" if it reached somebody or is not over.

    `states`: recipients by state; `targeted`: all of them; `reasons`: state, reason and count, most frequent first.
    """
    if status not in _OVER or any(states.get(state, 0) for state in _REACHED):
        return ""
    if not targeted:
        return "the audience was empty when it was frozen"
    state, count = max(states.items(), key=lambda pair: pair[1])
    reason = next((one["reason"] for one in reasons if one["state"] == state), "")
    return f"{count:,} of {targeted:,} {state}" + (f", most of them for {reason}" if reason else "")
