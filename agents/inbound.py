"""Inbound texts: STOP and START change who is opted out, and people get answers."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from adapters.clock import now_ms
from adapters.settings import Account, Sender, Settings
from agents.context import Context
from agents.durable import AckedTable
from agents.runner import Emissions, Output, output, write
from pipeline.inbound import receive
from pipeline.replies import Place, ReplyTerms, control_of, converse, known_offset, work_of
from pipeline.terms import price_list
from schemas import topics
from schemas.feedback import OPTOUTS, REPLIES, Conversation, InboundText, OptOut, SentReply
from schemas.wire import Codec, DecodeError, Record, encode

R = TypeVar("R", bound=Record)
log = logging.getLogger(__name__)


class Inbound:
    """The step. The changelog of its first table is the topic `optouts` itself, which every worker's view follows;
    that of the second, `replies`, is what the writer records of our answers."""

    def __init__(self, context: Context, optouts: AckedTable, replies: AckedTable) -> None:
        self._context = context
        self._optouts = optouts
        self._replies = replies
        self._terms = terms_by_number(context.settings)

    def handle(self, text: InboundText, event: Any) -> Emissions:
        key = str(text.number).encode()
        place = Place(event.message.partition, self._context.settings.kafka.partitions, event.message.offset)
        before = self._conversation(key)
        if known_offset(before, text) not in (None, place.offset):
            return Emissions(recipients=1)  # the aggregator says the same text again
        outcome = receive(text, self._change(key), self._context.opted_out([text.number])[0])
        after, reply = converse(before, text, outcome.reply, self._sender(text), place, now_ms())
        if outcome.optout is not None:
            self._optouts[key] = encode(outcome.optout)
            # Here at once: the next text of the same person must not meet a view that has not read this yet.
            self._context.optouts.apply(text.number, outcome.optout.out)
        if after is not before:
            self._replies[key] = encode(after)
        return Emissions(settled=[lambda: self._settle(key, text.number, reply)], recipients=1)

    async def _settle(self, key: bytes, number: int, reply: SentReply | None) -> None:
        """The change first, and our memory of the reply; only then the reply itself. Who reads the text again after a
        crash finds the same reply in the table, or decides anew for the same message."""
        await self._optouts.settled([key])
        await self._replies.settled([key])
        if reply is not None:
            await write(self._context.producer, _outputs(reply, number))

    def _change(self, key: bytes) -> OptOut | None:
        stored = self._optouts.get(key)
        return None if stored is None else _understood(OPTOUTS, stored, key)

    def _conversation(self, key: bytes) -> Conversation | None:
        stored = self._replies.get(key)
        return None if stored is None else _understood(REPLIES, stored, key)

    def _sender(self, text: InboundText) -> ReplyTerms | None:
        terms = self._terms.get(digits(text.sender))
        if terms is None:
            log.warning("a text to %s, which is no sender of ours: recorded, not answered", text.sender)
        return terms


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


def digits(number: str) -> str:
    """A sender's number as texts and settings write it, for comparing."""
    return "".join(character for character in number if character.isdigit())


def terms_by_number(settings: Settings) -> dict[str, ReplyTerms]:
    """The terms of each sender's replies by the digits of its number."""
    senders = [
        (account_name, account, name, sender)
        for account_name, account in settings.accounts.items()
        for name, sender in account.senders.items()
    ]
    ours = frozenset(int(digits(sender.number)) for _, _, _, sender in senders if digits(sender.number))
    return {
        digits(sender.number): _terms(settings, (account_name, name), account, sender, ours)
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
