"""Alerts: what detectors found and what came of each attempt in; documents of alerts, and text messages out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache, partial

from adapters.clock import now_ms
from agents.alerts.deliverer import Deliverer
from agents.context import Context
from agents.faust_port import Event
from agents.guards.durable import AckedTable
from agents.runner import Emissions, Output, output, write
from pipeline.accounts.placing import lanes_of
from pipeline.alerts.deliveries import (
    Change,
    Documents,
    NoText,
    attempted,
    destinations_of,
    pruned,
    release,
    results,
    take,
    texted,
)
from pipeline.alerts.sms import SmsTerms, sender_for, sms
from pipeline.feedback.replies import Place, control_of, work_of
from schemas import metrics, topics
from schemas.alerts import (
    ALERT_DELIVERIES,
    Alert,
    AlertAttempt,
    AlertDocument,
    AlertRelease,
    AlertsRecord,
    Destination,
    document_key,
)
from schemas.deadletter import DeadLetter, to_text
from schemas.feedback import SentReply
from schemas.reasons import Reason, in_words
from schemas.wire import DecodeError, encode

log = logging.getLogger(__name__)

NAME = "alerts"
_decoded = lru_cache(maxsize=4096)(ALERT_DELIVERIES.decode)
"""All of an account's documents are looked at for each record, and nobody changes one in place."""


class AlertsStep:
    """The step. Its table's changelog is the topic `alert-deliveries`; all alerts of an account are in one
    partition."""

    def __init__(self, context: Context, table: AckedTable, deliverer: Deliverer) -> None:
        self._context = context
        self._table = table
        self._deliverer = deliverer

    def handle(self, record: AlertsRecord, event: Event) -> Emissions:
        now, known = now_ms(), self._known(record.account)
        place = Place(event.message.partition, self._context.settings.kafka.partitions, event.message.offset)
        change = self._change(record, place, known, now)
        texted(change, partial(self._text, record.account, place, now), now)
        pruned(change, known, now)
        _count(change, known)
        keys = [document_key(record.account, name).encode() for name in change.documents]
        for key, document in zip(keys, change.documents.values(), strict=True):
            if document is None:
                self._table.pop(key, None)
            else:
                self._table[key] = encode(document)
        after = change.over(known)
        self._deliverer.follow(record.account, after.values())
        letters = [_letter(document, event, now) for document in change.given_up.values()]
        texts = [text for document in after.values() for text in _texts_of(document, place.offset)]
        return Emissions(letters, [partial(self._settle, keys, texts)])

    async def _settle(self, keys: Sequence[bytes], texts: Sequence[Output]) -> None:
        """Our memory of a text first, then the text: who reads the record again after a crash finds the same text in
        the table, or decides anew for the same message."""
        await self._table.settled(keys)
        await write(self._context.producer, list(texts))

    def _change(self, record: AlertsRecord, place: Place, known: Documents, now: int) -> Change:
        match record:
            case Alert():
                account = self._context.accounts.account(record.account)
                destinations = [] if account is None else destinations_of(account.spec.alerts)
                return take(record, place.offset, destinations, known, now)
            case AlertRelease():
                return release(record, known, now)
            case AlertAttempt():
                return attempted(record, known)

    def _text(
        self, account: str, place: Place, now: int, destination: Destination, alerts: Sequence[Alert], index: int
    ) -> SentReply | NoText:
        """A text message to a number, or why there is none."""
        accounts = self._context.accounts
        known = accounts.account(account)
        if known is None or not known.is_active:
            return NoText("the account is inactive, so nothing is sent from its senders")
        if reason := self._context.blocked(account, [int(destination.to.lstrip("+"))])[0]:
            return NoText(in_words(reason), wanted=False)
        sender = sender_for(destination.to, accounts.senders(account).values())
        if sender is None:
            return NoText("the account has no sender that a text message could come from")
        lanes = lanes_of(sender, self._context.settings.kafka.lanes)
        terms = SmsTerms(
            sender=sender, site_name=known.spec.site_name, lanes=lanes, prices=accounts.prices_of(account)
        )
        return sms(destination.to, alerts, terms, place, index, now)

    def _known(self, account: str) -> dict[str, AlertDocument]:
        known = {}
        for key, value in self._table.starting_with(document_key(account, "").encode()):
            try:
                document = _decoded(value)
            except DecodeError as error:
                # What cannot be read of the past must not keep an account from hearing what is new.
                log.error(
                    "the alert %s is not understood, taken as nothing: %s", key.decode("ascii", "replace"), error
                )
                continue
            known[document.alert.id] = document
        return known


def _texts_of(document: AlertDocument, offset: int) -> list[Output]:
    """The text messages that follow from the record at `offset`, whether or not it is read for the first time."""
    outputs = {}
    for item in document.deliveries:
        if item.sms is not None and item.sms.offset == offset:
            for record in (control_of(item.sms), work_of(item.sms, int(item.to.lstrip("+")))):
                outputs[item.sms.ordinal, type(record)] = output(topics.LANES, record, partition=item.sms.lane)
    return list(outputs.values())


def _letter(document: AlertDocument, event: Event, now: int) -> Output:
    """The dead letter of an alert that at least one destination did not get. Replayed, it is tried there again."""
    metrics.STEP_DEAD_LETTERS.labels(NAME).inc()
    failed = [item for item in document.deliveries if item.state == "failed"]
    problems = "; ".join(sorted({f"{item.channel}: {item.problem}" for item in failed}))
    letter = DeadLetter(
        topic=topics.ALERTS.name,
        partition=event.message.partition,
        offset=document.place,
        step=NAME,
        reason=Reason.ALERT_UNDELIVERED,
        error=f"{len(failed)} of {len(document.deliveries)} destinations of account {document.alert.account}: "
        f"{problems}",
        at=now,
        key=to_text(document.alert.account.encode()),
        value=to_text(encode(document.alert)),
    )
    return output(topics.DEAD_LETTERS, letter, topics.ALERTS.name)


def _count(change: Change, known: Documents) -> None:
    for name, document in change.documents.items():
        if document is not None and name not in known:
            metrics.ALERTS.labels(document.alert.about).inc()
    for channel, result in results(change, known):
        metrics.ALERT_DELIVERIES.labels(channel, result).inc()
