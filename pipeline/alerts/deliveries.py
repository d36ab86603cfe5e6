"""What becomes of an alert at each destination of its account.

A destination gets at most `HOURLY` messages in any hour. What is more is held, and goes as one message once the hour
allows; a newer alert about the same thing takes the place of one that is held. What cannot be delivered is tried
again for `TRY_FOR`, each destination by itself, then given up. A test is tried once.

    held ──its turn──▶ waiting ──▶ sent
      │                   └──24 h or refused──▶ failed ──the record is replayed──▶ waiting
      └──newer one──▶ replaced

Every function returns what changes, and nothing for a record that comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from schemas.accounts import Alerts
from schemas.alerts import (
    OPEN,
    Alert,
    AlertAttempt,
    AlertDocument,
    AlertRelease,
    Channel,
    Delivery,
    Destination,
)
from schemas.feedback import SentReply

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
HOURLY: Final = 10
"""Messages to one destination in any hour; tests are counted apart."""
MOST_HELD: Final = 100
"""Alerts that are held for one destination."""
TRY_FOR: Final = DAY
PAUSES: Final = (5_000, 30_000, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR)
"""Milliseconds from one attempt to the next; the last again and again."""
KEPT: Final = 500
"""Alerts of an account that are remembered after all was done, the newest ones, so that whoever detects something may
say it again."""
KEPT_FOR: Final = 30 * DAY

_AtDestination = tuple[AlertDocument, Delivery]
Documents = Mapping[str, AlertDocument]
"""The stored alerts of one account by id."""


@dataclass(frozen=True, slots=True)
class NoText:
    """Why there is no text message. `wanted`: nobody has asked that there be none."""

    problem: str
    wanted: bool = True


ToText = Callable[[Destination, Sequence[Alert], int], SentReply | NoText]
"""The text message of alerts to a number; the last argument tells those of one record apart."""


@dataclass(slots=True)
class Change:
    """What is stored next (None: no longer), by the alert's id, and the alerts that at least one destination will not
    get unless their record is replayed."""

    documents: dict[str, AlertDocument | None] = field(default_factory=dict)
    given_up: dict[str, AlertDocument] = field(default_factory=dict)

    def over(self, known: Documents) -> dict[str, AlertDocument]:
        """All documents as they are after it."""
        after = {**known, **self.documents}
        return {name: document for name, document in after.items() if document is not None}


def take(alert: Alert, place: int, destinations: Sequence[Destination], known: Documents, now: int) -> Change:
    """An alert was read at `place`. One that is known already comes from a step that read its input again, and
    changes nothing, or from an operator who replays it: whoever did not get it is tried again. One that is not known
    though a later one is was dealt with and forgotten: places of an account are read in order."""
    change = Change()
    document = known.get(alert.id)
    if document is None and any(place <= later.place for later in known.values()):
        return change
    if document is None:
        theirs, deliveries = _by_destination(known), []
        for destination in dict.fromkeys(destinations):
            earlier = theirs.get(destination, [])
            delivery = _begun(alert, destination, earlier, now)
            if delivery.state == "held":
                _make_room(alert, earlier, change, now)
            deliveries.append(delivery)
        document = AlertDocument(alert=alert, place=place, deliveries=deliveries)
        change.documents[alert.id] = document
    elif document.place != place and alert.about != "test" and _failed(document):
        again = [
            replace(item, state="waiting", batch=alert.id, released=now, due=now, attempts=0, ended=0, problem="")
            if item.state == "failed"
            else item
            for item in document.deliveries
        ]
        change.documents[alert.id] = replace(document, place=place, deliveries=again)
    return change


def release(record: AlertRelease, known: Documents, now: int) -> Change:
    """What is held for a destination goes as one message, if the hour allows."""
    earlier = _by_destination(known).get(Destination(record.channel, record.to), [])
    held = _held(earlier)
    due = _free_at(earlier, now)
    batch = blake2b("".join(document.alert.id for document, _ in held).encode(), digest_size=16).hexdigest()
    change = Change()
    for document, item in held:
        if due > now:
            _put(change, document, replace(item, due=due))
        else:
            _put(change, document, replace(item, state="waiting", batch=batch, released=now, due=now))
    return change


def attempted(record: AlertAttempt, known: Documents) -> Change:
    """What came of an attempt to deliver a batch."""
    destination = Destination(record.channel, record.to)
    change = Change()
    for document in known.values():
        delivery = _at(document, destination)
        if delivery is None or delivery.state != "waiting" or delivery.batch != record.batch:
            continue
        if delivery.attempts != record.attempt:
            continue
        after = _after(delivery, record, once=document.alert.about == "test")
        changed = _put(change, document, after)
        if after.state == "failed" and document.alert.about != "test":
            change.given_up[document.alert.id] = changed
    return change


def texted(change: Change, to_text: ToText, now: int) -> None:
    """Hand what waits for phones to their sender's lane: the lane sends each text once, whoever reads the record
    again, so there is no attempt that could fail."""
    batches: dict[tuple[Destination, str], list[AlertDocument]] = {}
    for document in change.documents.values():
        for item in document.deliveries if document is not None else ():
            if item.channel == "sms" and item.state == "waiting" and document is not None:
                batches.setdefault((item.destination, item.batch), []).append(document)
    for index, ((destination, _), documents) in enumerate(batches.items()):
        made = to_text(destination, [document.alert for document in documents], index)
        for document in documents:
            delivery = _at(document, destination)
            assert delivery is not None, "it was found there"
            changed = _put(change, document, _handed_over(delivery, made, now))
            if isinstance(made, NoText) and made.wanted and document.alert.about != "test":
                change.given_up[document.alert.id] = changed


def pruned(change: Change, known: Documents, now: int) -> None:
    """Forget what is old; never what is still to be delivered."""
    after = change.over(known)
    over = [document for document in after.values() if not any(item.state in OPEN for item in document.deliveries)]
    newest_first = sorted(over, key=lambda document: document.place, reverse=True)
    for index, document in enumerate(newest_first):
        if index >= KEPT or document.alert.at < now - KEPT_FOR:
            change.documents[document.alert.id] = None


def pause_after(attempts: int, batch: str) -> int:
    """Milliseconds from an attempt to the next, after so many; spread, so that an outage does not end in a rush."""
    pause = PAUSES[min(attempts, len(PAUSES)) - 1]
    return pause * (80 + blake2b(batch.encode(), digest_size=1).digest()[0] % 41) // 100


def _begun(alert: Alert, destination: Destination, earlier: Sequence[_AtDestination], now: int) -> Delivery:
    channel, to = destination
    is_test = alert.about == "test"
    due = _free_at(earlier, now, tests=is_test)
    if due > now and is_test:
        problem = f"this destination had {HOURLY} tests within an hour; try again later"
        return Delivery(channel=channel, to=to, state="failed", ended=now, problem=problem)
    if not is_test and (held := _held(earlier)):
        # It goes with those that are held already, so that nothing overtakes.
        due = max(due, now + 1, *(item.due for _, item in held))
    if due > now:
        return Delivery(channel=channel, to=to, state="held", due=due)
    return Delivery(channel=channel, to=to, state="waiting", batch=alert.id, released=now, due=now)


def _make_room(alert: Alert, earlier: Sequence[_AtDestination], change: Change, now: int) -> None:
    """A held alert about the same thing gives way to a newer one, and the oldest one where there are too many."""
    held = _held(earlier)
    same = [pair for pair in held if (pair[0].alert.about, pair[0].alert.subject) == (alert.about, alert.subject)]
    for document, item in same or held[: max(0, len(held) - MOST_HELD + 1)]:
        _put(change, document, replace(item, state="replaced", ended=now))


def _free_at(earlier: Sequence[_AtDestination], now: int, *, tests: bool = False) -> int:
    """When a destination may get its next message: now, or when the oldest of its last hour is an hour old."""
    times = {
        item.batch: item.released
        for document, item in earlier
        if (document.alert.about == "test") == tests and item.released > now - HOUR
    }
    if len(times) < HOURLY:
        return now
    return sorted(times.values())[-HOURLY] + HOUR


def _after(delivery: Delivery, record: AlertAttempt, *, once: bool) -> Delivery:
    attempts = delivery.attempts + 1
    if record.outcome in ("sent", "removed"):
        state = record.outcome
        return replace(delivery, state=state, attempts=attempts, ended=record.at, problem=record.problem)
    due = record.at + pause_after(attempts, delivery.batch)
    if once or record.outcome == "refused" or due > delivery.released + TRY_FOR:
        return replace(delivery, state="failed", attempts=attempts, ended=record.at, problem=record.problem)
    return replace(delivery, attempts=attempts, due=due, problem=record.problem)


def _handed_over(delivery: Delivery, made: SentReply | NoText, now: int) -> Delivery:
    if isinstance(made, NoText):
        return replace(delivery, state="failed", attempts=1, ended=now, problem=made.problem)
    return replace(delivery, state="sent", attempts=1, ended=now, sms=made)


def _by_destination(known: Documents) -> dict[Destination, list[_AtDestination]]:
    """Every alert with what became of it there, the oldest first."""
    theirs: dict[Destination, list[_AtDestination]] = {}
    for document in sorted(known.values(), key=lambda document: (document.alert.at, document.alert.id)):
        for item in document.deliveries:
            theirs.setdefault(item.destination, []).append((document, item))
    return theirs


def _held(earlier: Sequence[_AtDestination]) -> list[_AtDestination]:
    return [pair for pair in earlier if pair[1].state == "held"]


def _failed(document: AlertDocument) -> bool:
    return any(item.state == "failed" for item in document.deliveries)


def _at(document: AlertDocument, destination: Destination) -> Delivery | None:
    return next((item for item in document.deliveries if item.destination == destination), None)


def _put(change: Change, document: AlertDocument, delivery: Delivery) -> AlertDocument:
    """The document with what became of the alert at one destination, over what has changed of it already."""
    newest = change.documents.get(document.alert.id) or document
    deliveries = [delivery if item.destination == delivery.destination else item for item in newest.deliveries]
    changed = change.documents[document.alert.id] = replace(newest, deliveries=deliveries)
    return changed


def open_deliveries(documents: Iterable[AlertDocument]) -> list[tuple[Alert, Delivery]]:
    """All that is still to be delivered."""
    return [(document.alert, item) for document in documents for item in document.deliveries if item.state in OPEN]


def destinations_of(alerts: Alerts) -> list[Destination]:
    """Where an account wants its alerts."""
    return [
        *(Destination("email", email) for email in alerts.emails),
        *(Destination("webhook", str(url)) for url in alerts.webhooks),
        *(Destination("sms", number) for number in alerts.numbers),
    ]


def results(change: Change, known: Documents) -> list[tuple[Channel, str]]:
    """Channel and result of each delivery that changed: how it ended, `again` after an attempt that did not."""
    changed: list[tuple[Channel, str]] = []
    for name, document in change.documents.items():
        before = known.get(name)
        for item in document.deliveries if document is not None else ():
            earlier = None if before is None else _at(before, item.destination)
            if item.state not in OPEN and (earlier is None or earlier.state != item.state):
                changed.append((item.channel, item.state))
            elif item.state == "waiting" and item.attempts > (0 if earlier is None else earlier.attempts):
                changed.append((item.channel, "again"))
    return changed
