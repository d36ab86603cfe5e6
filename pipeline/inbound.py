"""Texts from people: who is opted out now, and which answer is due. Stopping is confirmed once, then silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.keywords import Intent, classify
from schemas.feedback import InboundText, OptOut, ReplyKind

LATE_STOP_MS: Final = 300_000
"""A STOP is taken for a late repetition of what was undone since only if it is older than the undoing by more than
this: clocks of aggregators differ, and honouring one STOP too many costs a text."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a text. `other` is for a person to read, whether or not it is answered."""

    intent: Intent
    optout: OptOut | None = None
    """To be written to topic `optouts`."""
    reply: ReplyKind | None = None
    """The answer that is due, if the account gives one and `pipeline.replies` finds nothing against it."""


def receive(text: InboundText, stored: OptOut | None, out_now: bool) -> Outcome:
    """What follows from a text, given what we know of its number.

    `stored` is the last change by text, `out_now` what the view of topic `optouts` says, which knows links, imports
    and the API too, and may be a moment behind. Where the two disagree, a STOP counts: what is recorded twice does no
    harm, a STOP that is lost does.

    Repeating a text gives the same again. A STOP of somebody who is out, and a START of somebody who is in, change
    nothing and get no answer, lest two machines answer each other; who is out gets no answer to anything else either.
    """
    intent = classify(text.text).intent
    silent = out_now or (stored is not None and stored.out)
    match intent:
        case "stop":
            return _stop(text, stored, out_now, silent)
        case "start":
            return _start(text, stored, silent)
        case "help":
            return Outcome(intent, reply=None if silent else "help")
        case "doubtful":
            return Outcome(intent)
        case "other":
            return Outcome(intent, reply=None if silent else "auto")


def _stop(text: InboundText, stored: OptOut | None, out_now: bool, silent: bool) -> Outcome:
    if _repeated(text, stored):
        return Outcome("stop", stored, "stopped")
    already = out_now and (stored is None or stored.out)
    if already or (stored is not None and text.at < stored.at - LATE_STOP_MS):
        return Outcome("stop")
    return Outcome("stop", _record(text, out=True), None if silent else "stopped")


def _start(text: InboundText, stored: OptOut | None, silent: bool) -> Outcome:
    if _repeated(text, stored):
        return Outcome("start", stored, "started")
    if not silent or (stored is not None and text.at < stored.at):
        return Outcome("start")
    return Outcome("start", _record(text, out=False), "started")


def _repeated(text: InboundText, stored: OptOut | None) -> bool:
    return stored is not None and stored.evidence == evidence_of(text)


def _record(text: InboundText, *, out: bool) -> OptOut:
    return OptOut(number=text.number, out=out, at=text.at, source="inbound", evidence=evidence_of(text))


def evidence_of(text: InboundText) -> str:
    """What an opt-out record keeps of the text it rests on: who received it, its id, its words (shortened)."""
    return f"{text.sender} {text.id}: {text.text[:160]}"
