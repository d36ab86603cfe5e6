"""What happens to the messages of one request after they were taken: receipts, clicks, replies, and when.

Drawn with a generator seeded by (seed, place in the record): reading the record again gives the same fates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtest.aggregator.batch import Batch, Message
from loadtest.aggregator.record import ACCEPTED, Entry
from loadtest.aggregator.script import Delay, Script, by_ending

LINK: Final = re.compile(r"/c/([A-Za-z0-9_-]{8,64})")
PERSON_AGENT: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Mobile/15E148 Safari/604.1"
)
BOTS: Final[tuple[tuple[str, str], ...]] = (
    ("GET", "Mozilla/5.0 (X11; Ubuntu; Linux i686; rv:24.0) Gecko/20100101 Firefox/24.0"),
    ("GET", "Java/1.8.0_401"),
    ("GET", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
    ("GET", "Twitterbot/1.0"),
    ("GET", "WhatsApp/2.23.20.0"),
    ("GET", "TelegramBot (like TwitterBot)"),
    ("GET", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
    ("HEAD", PERSON_AGENT),
)


class Event(NamedTuple):
    """Something to tell the ingress at `due` (ns): `what` depends on the kind.

    receipt: (message id, status, code) · text: (text id, from, to, text) · visit: (method, token, user agent)
    """

    due: int
    origin: int
    """Start of the record entry that it comes from."""
    kind: str
    what: tuple[str, ...]


def fates(script: Script, entry: Entry) -> list[Event]:
    """Everything that follows from one request, unordered."""
    batch = entry.batch()
    taken = [m for m, outcome in zip(batch.messages, entry.outcomes, strict=True) if outcome == ACCEPTED]
    if not taken:
        return []
    draw = np.random.default_rng([script.seed, entry.start])
    delivered = _delivered(script, draw, taken)
    return [
        *_receipts(script, draw, entry, taken, delivered),
        *_visits(script, draw, entry, taken, delivered),
        *_replies(script, draw, entry, batch, taken, delivered),
    ]


def delays(delay: Delay, draw: np.random.Generator, n: int) -> NDArray[np.int64]:
    """`n` delays in nanoseconds."""
    seconds = np.full(n, delay.median)
    if delay.sigma:
        seconds = delay.median * np.exp(delay.sigma * draw.standard_normal(n))
    nanoseconds: NDArray[np.int64] = (np.maximum(seconds, delay.least) * 1e9).astype(np.int64)
    return nanoseconds


def _delivered(script: Script, draw: np.random.Generator, taken: list[Message]) -> NDArray[np.bool_]:
    delivered: NDArray[np.bool_] = draw.random(len(taken)) < (script.receipts.delivered if script.receipts else 1.0)
    if script.receipts and script.undelivered_endings:
        for index, message in enumerate(taken):
            delivered[index] &= by_ending(script.undelivered_endings, message.to) is None
    return delivered


def _receipts(
    script: Script, draw: np.random.Generator, entry: Entry, taken: list[Message], delivered: NDArray[np.bool_]
) -> Iterator[Event]:
    receipts = script.receipts
    if not receipts:
        return
    n = len(taken)
    due = (entry.at + delays(receipts.delay, draw, n)).tolist()
    weights = np.array(list(receipts.reasons.values()) or [1.0])
    known: list[str] = [*receipts.reasons] or [""]
    codes = draw.choice(known, n, p=weights / weights.sum()).tolist()
    twice = draw.random(n) < receipts.repeated
    for index, message in enumerate(taken):
        code = "" if delivered[index] else by_ending(script.undelivered_endings, message.to) or codes[index]
        said = (message.id, "undelivered" if code else "delivered", code)
        yield Event(due[index], entry.start, "receipt", said)
        if twice[index]:
            yield Event(due[index] + 500_000_000, entry.start, "receipt", said)


def _visits(
    script: Script, draw: np.random.Generator, entry: Entry, taken: list[Message], delivered: NDArray[np.bool_]
) -> Iterator[Event]:
    n = len(taken)
    people = (draw.random(n) < script.clicks.people) & delivered
    bots = draw.random(n) < script.clicks.bots
    later, soon = delays(script.clicks.delay, draw, n), (draw.random(n) * 1e9).astype(np.int64)
    which = draw.integers(len(BOTS), size=n)
    for index in np.flatnonzero(people | bots).tolist():
        link = LINK.search(taken[index].text)
        if link is None:
            continue
        if bots[index]:
            method, agent = BOTS[which[index]]
            yield Event(entry.at + int(soon[index]), entry.start, "visit", (method, link[1], agent))
        if people[index]:
            yield Event(entry.at + int(later[index]), entry.start, "visit", ("GET", link[1], PERSON_AGENT))


def _replies(
    script: Script,
    draw: np.random.Generator,
    entry: Entry,
    batch: Batch,
    taken: list[Message],
    delivered: NDArray[np.bool_],
) -> Iterator[Event]:
    replies, n = script.replies, len(taken)
    kind, text = draw.random(n), draw.integers(2**31, size=n)
    due = entry.at + delays(replies.delay, draw, n)
    robots = np.array([replies.is_robot(message.to) for message in taken])
    answers = ((kind < replies.stop + replies.other) | robots) & delivered
    for index in np.flatnonzero(answers).tolist():
        texts: tuple[str, ...] = replies.stop_texts if kind[index] < replies.stop else replies.other_texts
        message, words = taken[index], texts[text[index] % len(texts)]
        if robots[index]:
            machine = replies.robot_texts[int(message.to[-3:]) % len(replies.robot_texts)]
            words = machine.replace("{id}", message.id)
        said: tuple[Any, ...] = (f"in-{message.id}", message.to, batch.sender_of(message), words)
        yield Event(int(due[index]), entry.start, "text", said)
