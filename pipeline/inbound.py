"""Texts from people: who is opted out now, and which answer is due. Stopping is confirmed once, then silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.keywords import Intent, classify
from schemas.feedback import InboundText, OptOut

ReplyKind = Literal["stopped", "started", "help"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is due: one service text, no marketing. `key` names it: the same key is sent once."""

    kind: ReplyKind
    number: int
    sender: str
    key: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a text. `other` without a reply is for a person to read."""

    intent: Intent
    optout: OptOut | None = None
    """To be written to topic `optouts`."""
    reply: Reply | None = None


def receive(text: InboundText, current: OptOut | None) -> Outcome:
    """What follows from a text, given the number's current record.

    Repeating a text gives the same again. A STOP of somebody who is out, and a START of somebody who is in,
    change nothing and get no answer, lest two machines answer each other.
    """
    intent = classify(text.text)
    match intent:
        case "stop":
            return _switch(text, current, intent, out=True)
        case "start":
            return _switch(text, current, intent, out=False)
        case "help":
            return Outcome(intent, reply=_reply(text, "help"))
        case "other":
            return Outcome(intent)


def _switch(text: InboundText, current: OptOut | None, intent: Literal["stop", "start"], out: bool) -> Outcome:
    if current is not None and current.evidence == evidence_of(text):
        return Outcome(intent, current, _reply(text, "stopped" if out else "started"))
    if (current is not None and current.out) == out or _older(text, current):
        return Outcome(intent)
    record = OptOut(number=text.number, out=out, at=text.at, source="inbound", evidence=evidence_of(text))
    return Outcome(intent, record, _reply(text, "stopped" if out else "started"))


def _older(text: InboundText, current: OptOut | None) -> bool:
    """True for a text from before the current record: a repetition after the person changed their mind."""
    return current is not None and text.at < current.at


def evidence_of(text: InboundText) -> str:
    """What an opt-out record keeps of the text it rests on: who received it, its id, its words (shortened)."""
    return f"{text.sender} {text.id}: {text.text[:160]}"


def _reply(text: InboundText, kind: ReplyKind) -> Reply:
    return Reply(kind, text.number, text.sender, f"{kind}-{text.sender}-{text.id}")
