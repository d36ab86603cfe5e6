"""Inbound texts: STARTs open what was closed, what the ingress closed is made sure of, and people get answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import TypeVar

from adapters.clock import now_ms
from adapters.errors import EmitError
from adapters.kafka.consents import send_consent
from adapters.ports import Delivered
from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output, write
from pipeline.accounts.book import Accounts, Derived
from pipeline.accounts.placing import lanes_of
from pipeline.feedback.inbound import Known, Outcome, erased, note, receive, scope_of
from pipeline.feedback.inbound_sender import sender_key
from pipeline.feedback.replies import Place, ReplyTerms, control_of, converse, repetition_of, work_of
from pipeline.ledger.book import Ledger
from schemas import topics
from schemas.accounts import SenderDocument
from schemas.feedback import (
    REPLIES,
    Consent,
    Conversation,
    Erasure,
    InboundText,
    SentReply,
    UnreadText,
    consent_key,
)
from schemas.reasons import Reason
from schemas.wire import Codec, DecodeError, Record, encode

R = TypeVar("R", bound=Record)
log = logging.getLogger(__name__)


KNOWN_WITHIN = 3.0
"""Seconds within which the view must know what the ingress wrote before it answered; after that it is written
again."""
LATEST_STARTS = 10_000


class Inbound:
    """The step. The changelog of its table, `replies`, is what the writer records of our answers."""

    def __init__(self, context: Context, replies: AckedTable) -> None:
        self._context = context
        self._replies = replies
        self._senders = Derived(context.accounts, by_number)
        self._ours = Derived(context.accounts, lambda _: numbers_of(self._senders()))
        self._scope = context.settings.consent.scope
        self._starts: dict[tuple[str, int], int] = {}
        """Place of the last START of account and number that this process has dealt with, the latest ones."""

    def handle(self, text: InboundText | UnreadText | Erasure, event: Event) -> Emissions:
        if isinstance(text, UnreadText):
            return Emissions()  # an operator reads it: the writer puts it into the inbox
        key = str(text.number).encode()
        if isinstance(text, Erasure):
            return self._erase(key)
        place = Place(event.message.partition, self._context.settings.kafka.partitions, event.message.offset)
        before = self._conversation(key)
        repetition = repetition_of(before, text, place)
        if repetition == "forgotten":
            return Emissions(recipients=1)
        outcome = Outcome()
        if repetition == "new" or (repetition == "said_again" and text.intent in ("stop", "doubtful")):
            outcome = receive(text, before, self._known(text, place), self._scope)
        # Before our memory of them: who ends in between reads the text again, and must not believe that it was done.
        writing = [(consent, self._send(consent)) for consent in outcome.consents]
        due = outcome.reply if repetition != "said_again" else None
        after, reply = converse(before, text, due, self._sender(text), place, now_ms())
        after = note(after, text, outcome)
        if after is not before:
            self._replies[key] = encode(after)
        for consent in outcome.consents:
            self._remember(consent)
        return Emissions(settled=[lambda: self._settle(key, text.number, outcome, writing, reply)], recipients=1)

    def _erase(self, key: bytes) -> Emissions:
        before = self._conversation(key)
        if before is None:
            return Emissions()
        self._replies[key] = encode(erased(before))
        return Emissions(settled=[lambda: self._replies.settled([key])])

    def _known(self, text: InboundText, place: Place) -> Known:
        account, optouts = scope_of(text.account, self._scope), self._context.optouts
        blocked = optouts.blocked_many(account, [text.number])[0]
        otherwise = optouts.blocked_otherwise(account, text.number)
        alone = len(self._context.accounts.names()) == 1
        opens_all = alone and bool(account) and optouts.blocked_many("", [text.number])[0] == Reason.OPTED_OUT
        return Known(
            place.offset, blocked, "" if opens_all and otherwise == Reason.OPTED_OUT else otherwise, opens_all
        )

    def _send(self, consent: Consent) -> asyncio.Future[Delivered]:
        return send_consent(self._context.producer, consent)

    def _remember(self, consent: Consent) -> None:
        # Here at once: the next text of the same person must not meet a view that has not read this yet.
        self._context.optouts.apply(consent)
        if consent.state == "in":
            self._starts.pop((consent.account, consent.number), None)
            self._starts[consent.account, consent.number] = consent.place
            if len(self._starts) > LATEST_STARTS:
                del self._starts[next(iter(self._starts))]

    async def _settle(
        self,
        key: bytes,
        number: int,
        outcome: Outcome,
        writing: list[tuple[Consent, asyncio.Future[Delivered]]],
        reply: SentReply | None,
    ) -> None:
        """The change first, and our memory of the reply; only then the reply itself. Who reads the text again after a
        crash finds the same reply in the table, or decides anew for the same message."""
        failed = [consent for consent, future in writing if not await _is_written(future)]
        if outcome.expected is not None and not await self._comes_to_know(outcome.expected):
            failed.append(outcome.expected)
        await write(self._context.producer, [consent_output(consent) for consent in failed])
        await self._replies.settled([key])
        if reply is not None:
            await write(self._context.producer, _outputs(reply, number))

    async def _comes_to_know(self, expected: Consent) -> bool:
        """Whether the view knows of what the ingress has written, or a START has undone it since. It does not where
        the ingress ended between its two writes."""
        until = monotonic() + KNOWN_WITHIN
        while not self._context.optouts.has(expected):
            if self._starts.get((expected.account, expected.number), -1) > expected.place:
                return True
            if monotonic() > until:
                log.warning("a text that closes had not been recorded by the ingress: it is now")
                return False
            await asyncio.sleep(0.05)
        return True

    def _conversation(self, key: bytes) -> Conversation | None:
        stored = self._replies.get(key)
        return None if stored is None else _understood(REPLIES, stored, key)

    def _sender(self, text: InboundText) -> ReplyTerms | None:
        sender = self._senders().get(sender_key(text.sender))
        lanes = self._context.settings.kafka.lanes
        terms = None if sender is None else reply_terms(self._context.accounts, sender, lanes, self._ours())
        if terms is not None and is_used_up(self._context.accounts, self._context.ledger, terms.account):
            # What the law wants said is said.
            terms = replace(terms, texts={**terms.texts, "auto": ""})
        if terms is None:
            log.warning("a text to %s, which is no active sender of ours: recorded, not answered", text.sender)
        return terms


async def _is_written(future: asyncio.Future[Delivered]) -> bool:
    try:
        await future
    except EmitError as error:
        log.warning("a change of consent waits: %s", error)
        return False
    return True


def consent_output(consent: Consent) -> Output:
    """The record of a change of consent, with its key."""
    return Output(topics.OPTOUTS.name, encode(consent), consent_key(consent))


def _understood(codec: Codec[R], stored: bytes, key: bytes) -> R | None:
    """What a table has of a number; None where it cannot be read, because a STOP must not end in the dead letters
    over what was there before it."""
    try:
        return codec.decode(stored)
    except DecodeError as error:
        log.error(
            "what is stored of %s is not understood, taken as nothing: %s", key.decode("ascii", "replace"), error
        )
        return None


def _outputs(reply: SentReply, number: int) -> list[Output]:
    return [
        output(topics.LANES, control_of(reply), partition=reply.lane),
        output(topics.LANES, work_of(reply, number), partition=reply.lane),
    ]


def by_number(accounts: Accounts) -> dict[str, SenderDocument]:
    """Each sender by `sender_key` of its number."""
    return {sender_key(sender.number): sender for sender in accounts.all_senders()}


def numbers_of(senders: Mapping[str, SenderDocument]) -> frozenset[int]:
    """The senders that are phone numbers."""
    return frozenset(int(key) for key in senders if key.isdecimal())


def is_used_up(accounts: Accounts, ledger: Ledger, account: str) -> bool:
    """Whether an account that pays beforehand has nothing left that is not reserved."""
    known = accounts.account(account)
    return known is not None and known.is_prepaid and ledger.book(account).available <= 0


def reply_terms(accounts: Accounts, sender: SenderDocument, lanes: int, ours: frozenset[int]) -> ReplyTerms | None:
    """The terms of a sender's replies, of `lanes` in all; None where its account is not there, or is inactive."""
    account = accounts.account(sender.account)
    if account is None or not account.is_active:
        return None
    spec = account.spec
    return ReplyTerms(
        account=sender.account,
        sender=sender.sender,
        lanes=lanes_of(sender, lanes),
        texts={
            "stopped": spec.replies.of("stopped", spec.site_name),
            "started": spec.replies.of("started", spec.site_name),
            "help": spec.replies.of("help", spec.site_name),
            "auto": spec.replies.of("auto", spec.site_name),
        },
        per_hour=spec.replies.per_hour,
        per_day=spec.replies.per_day,
        prices=accounts.prices_of(sender.account),
        ours=ours,
    )
