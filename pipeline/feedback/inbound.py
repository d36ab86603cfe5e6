"""Texts from people: how each changes the consent of its number, and which reply is due.

Two places process a text. The ingress writes consent changes that close (`closing_of`: a STOP opts out, a doubtful
text holds) to topic `optouts` before it answers the aggregator, so that lanes see them even if other processes are
down. The inbound step (`receive`) decides about opt-ins (START) and replies. It reads a person's texts in the order
of their log and knows which it has processed, so a START that is repeated, or overtaken by a STOP, opts in to
nothing.

An opt-out is confirmed once; after that there are no replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from schemas.feedback import Consent, ConsentState, Conversation, InboundText, ReplyKind, TextConsent, UnreadText

Scope = Literal["account", "global"]
"""What a text opts out of: the account whose sender it was sent to, or every account."""
STARTS: Final = 32
"""STARTs of a number that are remembered, so that the aggregator may repeat them at any time."""
EVIDENCE_CHARACTERS: Final = 160


@dataclass(frozen=True, slots=True)
class Known:
    """What the inbound step knows when it reads a text: its place in the log, and what the view of topic `optouts`
    says of the number, which knows links, imports and operators too."""

    place: int
    blocked: str
    """Why the account may not write to the number, "" if it may."""
    blocked_otherwise: str
    """The same without the account's own current consent, and without what this START opens beside it."""
    opens_all: bool = False
    """The number is out for every account, and a START opens that too, because there is one account only."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a text."""

    consents: tuple[Consent, ...] = ()
    """To be written to topic `optouts` now."""
    expected: Consent | None = None
    """What the ingress wrote before; to be written where the view does not come to know of it."""
    reply: ReplyKind | None = None
    """The answer that is due, if the account gives one and `pipeline.feedback.replies` finds nothing against it."""
    stated: TextConsent | None = None
    """What the person has now said to the account, if that is new."""


def scope_of(account: str, scope: Scope) -> str:
    """The account of the consents of a text: every account ("") where the setting says so, or where nobody knows
    which account the text was meant for."""
    return account if scope == "account" else ""


def identity_of(text: InboundText | UnreadText) -> str:
    """The identity of a text. The aggregator's id alone is not enough: some aggregators reuse ids for other texts."""
    said = "\0".join((text.aggregator, text.id, text.sender, text.text))
    return blake2b(said.encode("utf-8", "replace"), digest_size=8).hexdigest()


def closing_of(text: InboundText, place: int, scope: Scope) -> Consent | None:
    """The consent change that a text causes at once: a STOP opts out, a doubtful text holds; None for all others."""
    if text.intent not in ("stop", "doubtful"):
        return None
    account = scope_of(text.account, scope)
    if text.intent == "doubtful":
        return _consent(text, place, account, "held")
    return _consent(text, place, account, "out")


def closing_of_readings(text: InboundText | UnreadText, scope: Scope) -> list[Consent]:
    """What a text closes for the further numbers that its sender may be; it has no place among their texts."""
    if text.intent not in ("stop", "doubtful"):
        return []
    state: ConsentState = "held" if text.intent == "doubtful" else "out"
    return [_record(text, number, -1, scope_of(text.account, scope), state) for number in text.also]


def receive(text: InboundText, before: Conversation | None, known: Known, scope: Scope) -> Outcome:
    """What follows from a text that was not processed at this place before.

    If our data disagree, a STOP counts: recording it twice does no harm, losing it does. A number that is opted out
    or held gets no reply except to its first STOP, so that two machines do not answer each other.
    """
    account = scope_of(text.account, scope)
    said = stated_of(before, account)
    match text.intent:
        case "stop":
            return _stop(text, said, known, scope)
        case "doubtful":
            return Outcome(expected=closing_of(text, known.place, scope))
        case "start":
            repeated = before is not None and identity_of(text) in before.starts
            return Outcome() if repeated else _start(text, said, known, scope)
        case "help":
            return Outcome(reply=None if _is_silent(said, known) else "help")
        case "other":
            return Outcome(reply=None if _is_silent(said, known) else "auto")


def note(after: Conversation, text: InboundText, outcome: Outcome) -> Conversation:
    """The conversation, updated with what the text states about consent."""
    starts = after.starts
    if text.intent == "start" and identity_of(text) not in starts:
        starts = [*starts, identity_of(text)][-STARTS:]
    stated = after.stated
    if outcome.stated is not None:
        stated = [consent for consent in stated if consent.account != outcome.stated.account] + [outcome.stated]
    if starts is after.starts and stated is after.stated:
        return after
    return Conversation(
        number=after.number, replies=after.replies, heard=after.heard, starts=starts, stated=stated,
        last_text=after.last_text, last_at=after.last_at,
    )  # fmt: skip


def erased(before: Conversation) -> Conversation:
    """The conversation without its texts: hashes and consent stay, so that a STOP still counts."""
    return Conversation(
        number=before.number, replies=[], heard=before.heard, starts=before.starts, stated=before.stated
    )


def stated_of(before: Conversation | None, account: str) -> TextConsent | None:
    """What the number last stated to an account by text."""
    stated = before.stated if before is not None else []
    return next((consent for consent in stated if consent.account == account), None)


def evidence_of(text: InboundText | UnreadText) -> str:
    """What a consent keeps of the text it rests on: who received it, its id, its words (shortened)."""
    return f"{text.sender} {text.id}: {text.text[:EVIDENCE_CHARACTERS]}"


def _stop(text: InboundText, said: TextConsent | None, known: Known, scope: Scope) -> Outcome:
    account = scope_of(text.account, scope)
    closing = _consent(text, known.place, account, "out")
    stated = TextConsent(account=account, state="out", at=text.at, place=known.place)
    first = said is None or said.state == "in"
    if said is not None and said.state == "in":
        # The START may stand behind this STOP in the log of consents, although the person said it before.
        return Outcome((closing,), None, "stopped", stated)
    return Outcome((), closing, "stopped" if first else None, stated)


def _start(text: InboundText, said: TextConsent | None, known: Known, scope: Scope) -> Outcome:
    if not text.account or not _is_silent(said, known):
        return Outcome()  # nobody knows whom they want to hear from, or nothing is closed
    if said is not None and said.state == "out" and text.at < said.at:
        return Outcome()  # sent before the STOP that is already here
    account = scope_of(text.account, scope)
    whose = [account, ""] if known.opens_all else [account]
    opening = [_consent(text, known.place, opened_account, "in") for opened_account in whose]
    stated = TextConsent(account=account, state="in", at=text.at, place=known.place)
    is_open = not known.blocked_otherwise
    return Outcome(tuple(opening), None, "started" if is_open else None, stated)


def _is_silent(said: TextConsent | None, known: Known) -> bool:
    return bool(known.blocked) or (said is not None and said.state == "out")


def _consent(text: InboundText, place: int, account: str, state: ConsentState) -> Consent:
    return _record(text, text.number, place, account, state)


def _record(text: InboundText | UnreadText, number: int, place: int, account: str, state: ConsentState) -> Consent:
    return Consent(
        account=account, number=number, state=state, at=text.at, source="inbound", evidence=evidence_of(text),
        word=text.word, rule=text.rule, hold=identity_of(text) if state == "held" else "", place=place,
    )  # fmt: skip
