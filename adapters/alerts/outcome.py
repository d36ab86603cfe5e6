"""What came of one attempt to deliver an alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """sent: the other side has it. again: it may work later, also where it may have it already. refused: it never
    will. `problem` says why, for people."""

    what: Literal["sent", "again", "refused"]
    problem: str = ""


SENT = Outcome("sent")
LONGEST = 300


def again(problem: str) -> Outcome:
    """It may work later."""
    return Outcome("again", _short(problem))


def refused(problem: str) -> Outcome:
    """It never will."""
    return Outcome("refused", _short(problem))


def _short(problem: str) -> str:
    """One line of what a stranger's server may have said."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in problem).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
