"""POST /v1/inbound/{aggregator}: texts that people sent to one of our senders.

    {"texts": [{"id": "…", "from": "+12125550123", "to": "+18885550100", "text": "STOP", "at": 1764000000000}, …]}

Each text is taken by itself, however malformed its neighbors are. Only an item without any text is refused: the
answer names it, and it is kept as a dead letter. A sender that cannot be read, a time that cannot be right and a text
that is too long are kept, with a note. `at` is seconds, milliseconds, microseconds or ISO 8601, and may be absent.

A STOP is in topic `optouts` before the answer: whichever worker is away, every lane knows of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from adapters.kafka.consents import emit_consent
from adapters.ports import CallbackPort, Emitter
from adapters.settings import Settings
from api.ingress.coalesce import all_of
from api.ingress.http import Refused
from api.ingress.rejected import RejectedItem, raw_of, write_rejected, write_unreadable
from pipeline.accounts.book import Accounts, Derived
from pipeline.feedback.inbound import Scope, closing_of, closing_of_readings
from pipeline.feedback.inbound_sender import Person, read_sender, sender_key
from pipeline.feedback.inbound_time import read_time
from pipeline.feedback.keywords import classify
from schemas import topics
from schemas.feedback import TEXT_LIMIT, InboundText, UnreadText
from schemas.json import Json, JsonObject
from schemas.metrics import INGRESS_NOTED
from schemas.reasons import Reason
from schemas.wire import encode

ID_LIMIT: Final = 128
SENDER_LIMIT: Final = 64
WORD_LIMIT: Final = 64
MEMBERS: Final = 8
"""Members of an odd sender (a list, an object) that are read."""
_WHOLE: Final = 2**53
"""Up to here a float that is a whole number has kept all its digits."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: how many items were taken, those that were refused, and those whose sender is kept as
    it came for an operator (index and reason)."""

    count: int
    refused: list[RejectedItem]
    unread: list[tuple[int, str]]

    def answer(self) -> JsonObject:
        """The body of the answer."""
        return {
            "taken": self.count,
            "refused": [{"index": item.place, "reason": item.reason} for item in self.refused],
            "unread": [{"index": index, "reason": reason} for index, reason in self.unread],
        }


class Receiver(NamedTuple):
    """Whose a sender of ours is ("" where several accounts have it), and where it is."""

    account: str
    country: str
    """As its setting or its number says; "" if nothing does."""
    guesses: tuple[str, ...] = ()
    """Where it may be instead: where the other senders of its account are."""


class Inbound:
    """Takes texts in: into topic `inbound`, and what closes into topic `optouts`."""

    def __init__(
        self, settings: Settings, accounts: Accounts, emitter: Emitter, callbacks: Mapping[str, CallbackPort]
    ) -> None:
        self._callbacks = callbacks
        self._emitter = emitter
        self._scope: Scope = settings.consent.scope
        self._receivers = Derived(accounts, receivers)

    async def take(self, body: bytes, now: int, aggregator: str) -> Taken:
        """Take the texts of a request; returns when Kafka has acknowledged them and what they close.

        Raises:
            Refused: 400, it is not a list of texts; it is kept as a dead letter.
            EmitError: not acknowledged; some may have been written, and repeating all loses nothing.
        """
        try:
            items = self._callbacks[aggregator].texts(body)
        except ValueError as error:
            await write_unreadable(self._emitter, topics.INBOUND, aggregator, body, error, now)
            raise Refused(400, f"not a list of texts: {error}; it is kept as a dead letter") from error
        texts: list[InboundText | UnreadText] = []
        refused: list[RejectedItem] = []
        unread: list[tuple[int, str]] = []
        for index, item in enumerate(items):
            text = read_item(item, aggregator, now, self._receivers())
            if isinstance(text, str):
                reason = Reason.NO_TEXT if isinstance(item, dict) else Reason.NOT_AN_OBJECT
                refused.append(RejectedItem(index, text, raw_of(item, body), reason))
                continue
            if isinstance(text, UnreadText):
                unread.append((index, f"from: {_why_unread(text)}; an operator will read the text"))
            texts.append(text)
        await all_of([self._write(text) for text in texts])
        await write_rejected(self._emitter, topics.INBOUND, aggregator, refused, now)
        return Taken(len(texts), refused, unread)

    async def _write(self, text: InboundText | UnreadText) -> None:
        """The text, and after it, because its place is the order of a person's texts, what it closes."""
        for note in text.notes:
            INGRESS_NOTED.labels(note).inc()
        if isinstance(text, UnreadText):
            await self._emitter.emit(topics.INBOUND.name, encode(text), key=text.person.encode("utf-8", "replace"))
        else:
            written = await self._emitter.emit(topics.INBOUND.name, encode(text), key=str(text.number).encode())
            closing = closing_of(text, written.offset, self._scope)
            if closing is not None:
                await emit_consent(self._emitter, closing)
        for closing in closing_of_readings(text, self._scope):
            await emit_consent(self._emitter, closing)


def _why_unread(text: UnreadText) -> str:
    if not text.also:
        return f"{text.person[:40]!r} is no phone number"
    return f"{text.person[:40]!r} may be {' or '.join(f'+{number}' for number in text.also)}"


def receivers(accounts: Accounts) -> dict[str, Receiver]:
    """The senders of all accounts by `sender_key`."""
    by_number: dict[str, Receiver] = {}
    for account in accounts.names():
        countries = {sender_key(sender.number): sender.country for sender in accounts.senders(account).values()}
        known = tuple(sorted(set(countries.values()) - {""}))
        for key, country in countries.items():
            receiver = Receiver(account, country, () if country else known)
            other = by_number.get(key)
            by_number[key] = receiver if other is None else _shared(receiver, other)
    return by_number


def _shared(receiver: Receiver, other: Receiver) -> Receiver:
    """A sender of two accounts: nobody knows whose texts it gets, nor, where they disagree, where it is."""
    if receiver.country == other.country:
        return Receiver("", receiver.country, tuple(sorted({*receiver.guesses, *other.guesses})))
    guesses = {receiver.country, other.country, *receiver.guesses, *other.guesses} - {""}
    return Receiver("", "", tuple(sorted(guesses)))


def read_item(item: Json, aggregator: str, now: int, ours: Mapping[str, Receiver]) -> InboundText | UnreadText | str:
    """The record of an item, or why there is none: it is not an object, or has no text."""
    if not isinstance(item, dict):
        return "it is not an object"
    said = item.get("text")
    if not isinstance(said, str):
        return "it has no text"
    notes: list[str] = []
    text = _clean(said)
    if text != said:
        notes.append("broken_characters")
    reading = classify(text)
    if len(text) > TEXT_LIMIT:
        notes.append("cut")
    at, odd = read_time(item.get("at"), now)
    if odd:
        notes.append(odd)
    sender = _written(item.get("to"), SENDER_LIMIT)
    receiver = ours.get(sender_key(sender), Receiver("", ""))
    person = _written(item.get("from"), SENDER_LIMIT)
    common: dict[str, Any] = {
        "sender": sender, "account": receiver.account, "aggregator": aggregator, "text": text[:TEXT_LIMIT], "at": at,
        "received": now, "id": _written(item.get("id"), ID_LIMIT), "intent": reading.intent,
        "word": reading.word[:WORD_LIMIT], "rule": reading.rule, "notes": notes,
    }  # fmt: skip
    number, also = _person(item.get("from"), person, receiver)
    if number is None:
        notes.append("unread_sender")
        return UnreadText(person=person, also=list(also), **common)
    return InboundText(number=number, also=list(also), **common)


def _person(value: Json, written: str, receiver: Receiver) -> Person:
    """Who sent a text. Of a list or an object nobody is sure, but all whom its members name may be meant."""
    if not isinstance(value, list | dict):
        return read_sender(written, receiver.country, receiver.guesses)
    members = list(value.values() if isinstance(value, dict) else value)[:MEMBERS]
    texts = [_written(member, SENDER_LIMIT) for member in members if isinstance(member, str | int | float)]
    people = [read_sender(text, receiver.country, receiver.guesses) for text in texts]
    named = [number for person in people for number in (person.number, *person.also) if number is not None]
    return Person(None, tuple(dict.fromkeys(named)))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no record can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _written(value: Json, limit: int) -> str:
    """A value as text: what is missing is "", a whole number its digits, anything but a text its JSON."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        value = int(value)
    if value is None:
        return ""
    return _clean(value if isinstance(value, str) else _json_of(value))[:limit]


def _json_of(value: Json) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deep)"
