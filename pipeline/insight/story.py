"""Describes a recipient's status in a sentence, for `longwave explain`."""

from __future__ import annotations

from pipeline.limits.smart_sending import read_blocker
from schemas.reasons import in_words
from schemas.states import EVENTS, STATES


def sentence(state: str, reason: str, segments: int, price: int, identity: str) -> str:
    """A status in words. `price` in millionths of a credit per segment; `identity` is what the status has as id."""
    text = STATES[state].entry if state in STATES else EVENTS.get(state, state)
    if reason:
        text += f": {in_words(reason)}"
    blocker = read_blocker(identity)
    if blocker is not None:
        return f"{text} (message {blocker[1]} of campaign {blocker[0]})"
    if state in ("accepted", "unknown") and segments:
        text += f", {segments} segment{'' if segments == 1 else 's'}, {segments * price / 1_000_000:.4f} credits"
    return f"{text}, id {identity}" if identity else text


def consent_words(state: str, hold: str) -> str:
    """A consent change as text."""
    if hold:
        return "held for review" if state == "held" else "hold ended"
    return "opted out" if state == "out" else "opted in"
