"""Inbound texts: STARTs open what was closed, what the ingress closed is made sure of, and people get answers."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TypeVar

from adapters.clock import now_ms
from adapters.errors import EmitError
from adapters.kafka.consents import send_consent
from adapters.ports import Delivered
from adapters.settings import Account, Sender, Settings
from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output, write
from pipeline.campaign.terms import price_list
from pipeline.feedback.inbound import Known, Outcome, erased, note, receive, scope_of
from pipeline.feedback.inbound_sender import sender_key
from pipeline.feedback.replies import Place, ReplyTerms, control_of, converse, repetition_of, work_of
from schemas import topics
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
        self._terms = terms_by_number(context.settings)
        self._scope = context.settings.consent.scope
        self._alone = len(context.settings.accounts) == 1
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
        opens_all = self._alone and bool(account) and optouts.blocked_many("", [text.number])[0] == Reason.OPTED_OUT
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
        terms = self._terms.get(sender_key(text.sender))
        if terms is None:
            log.warning("a text to %s, which is no sender of ours: recorded, not answered", text.sender)
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


def terms_by_number(settings: Settings) -> dict[str, ReplyTerms]:
    """The terms of each sender's replies by `sender_key` of its number."""
    senders = [
        (account_name, account, name, sender)
        for account_name, account in settings.accounts.items()
        for name, sender in account.senders.items()
    ]
    ours = frozenset(int(number) for _, _, _, sender in senders if (number := sender_key(sender.number)).isdecimal())
    return {
        sender_key(sender.number): _terms(settings, (account_name, name), account, sender, ours)
        for account_name, account, name, sender in senders
    }


def _terms(
    settings: Settings, names: tuple[str, str], account: Account, sender: Sender, ours: frozenset[int]
) -> ReplyTerms:
    replies = account.replies
    return ReplyTerms(
        account=names[0],
        sender=names[1],
        lanes=sender.lanes,
        texts={
            "stopped": replies.of("stopped", account.site_name),
            "started": replies.of("started", account.site_name),
            "help": replies.of("help", account.site_name),
            "auto": replies.of("auto", account.site_name),
        },
        per_hour=replies.per_hour,
        per_day=replies.per_day,
        prices=price_list(settings.prices),
        ours=ours,
    )
