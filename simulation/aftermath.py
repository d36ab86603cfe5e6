"""What follows an accepted message on the virtual clock: its receipt, clicks of its link, a text back.

A STOP has the same effect as in production: from then on the opt-out applies to every decision, pick and last check,
in every campaign. Replies are not sent here; they are transactional and few.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pipeline.eligibility.optouts import OptOuts
from pipeline.feedback.clicks import statuses as clicked
from pipeline.feedback.inbound import Known, closing_of, receive
from pipeline.feedback.keywords import classify
from pipeline.feedback.receipts import statuses as received
from schemas.feedback import Click, ClickBatch, InboundText, ReceiptBatch
from schemas.status import StatusChunk
from simulation.aggregator import Text, Visit
from simulation.clock import Clock

T = TypeVar("T")
Key = tuple[str, int]
"""Campaign and message."""


class Aftermath:
    """Receipts and clicks are processed in batches, every `step` ms; texts at once."""

    def __init__(self, clock: Clock, tell: Callable[[StatusChunk], None], optouts: OptOuts, step: int) -> None:
        self.said: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Of each campaign: texts by what they were taken for, and `opted_out`."""
        self._clock = clock
        self._tell = tell
        self._optouts = optouts
        self._step = step
        self._heard = 0
        """Texts so far, which is their order."""
        self._receipts: dict[int, list[tuple[Key, int, str]]] = {}
        self._visits: dict[int, list[tuple[Key, Click]]] = {}

    def receipts(self, key: Key, ordinals: Sequence[int], waits: Iterable[int], codes: Sequence[str]) -> None:
        """Receipts after `waits` ms; `codes`: why it was not delivered, "" if it was."""
        batches, now, step = self._receipts, self._clock.ms, self._step
        for ordinal, wait, code in zip(ordinals, waits, codes, strict=True):
            due = -(-(now + wait) // step) * step
            if due not in batches:
                self._begin(batches, due, self._receive)
            batches[due].append((key, ordinal, code))

    def visits(self, key: Key, ordinals: Sequence[int], visits: Iterable[Visit]) -> None:
        """Visits of the link of accepted messages."""
        for visit in visits:
            at = self._clock.ms + visit.wait
            click = Click(ordinal=ordinals[visit.place], link=0, at=at, method=visit.method, user_agent=visit.agent)
            due = -(-at // self._step) * self._step
            if due not in self._visits:
                self._begin(self._visits, due, self._click)
            self._visits[due].append((key, click))

    def texts(self, campaign: str, account: str, numbers: Sequence[int], texts: Iterable[Text]) -> None:
        """Texts that people write back to accepted messages of an account."""
        for reply in texts:
            at = self._clock.ms + reply.wait
            text = InboundText(
                number=numbers[reply.place], sender="", account=account, text=reply.words, at=at,
                id=f"{campaign}-{at}", intent=classify(reply.words).intent,
            )  # fmt: skip
            self._clock.at_ms(at, lambda text=text: self._hear(campaign, text))  # type: ignore[misc]

    def _begin(self, batches: dict[int, list[T]], due: int, then: Callable[[int], None]) -> None:
        batches[due] = []
        self._clock.at_ms(due, lambda: then(due))

    def _hear(self, campaign: str, text: InboundText) -> None:
        self._heard += 1
        said = self.said[campaign]
        said[text.intent] += 1
        closing = closing_of(text, self._heard, "account")
        if closing is not None:
            said["opted_out"] += closing.state == "out" and not self._optouts.has(closing)
            self._optouts.apply(closing)
        elif text.intent == "start":
            blocked = self._optouts.blocked_many(text.account, [text.number])[0]
            otherwise = self._optouts.blocked_otherwise(text.account, text.number)
            for change in receive(text, None, Known(self._heard, blocked, otherwise), "account").consents:
                self._optouts.apply(change)

    def _click(self, due: int) -> None:
        by_key: dict[Key, list[Click]] = {}
        for key, click in self._visits.pop(due):
            by_key.setdefault(key, []).append(click)
        for (campaign, message), clicks in by_key.items():
            self._told(clicked(ClickBatch(campaign=campaign, message=message, clicks=clicks)))

    def _receive(self, due: int) -> None:
        by_key: dict[Key, list[tuple[int, str]]] = {}
        for key, ordinal, code in self._receipts.pop(due):
            by_key.setdefault(key, []).append((ordinal, code))
        for (campaign, message), receipts in by_key.items():
            batch = ReceiptBatch(
                campaign=campaign,
                message=message,
                received=due,
                ordinals=[ordinal for ordinal, _ in receipts],
                states=["undelivered" if code else "delivered" for _, code in receipts],
                codes=[code for _, code in receipts],
                times=[due] * len(receipts),
            )
            self._told(received(batch))

    def _told(self, chunk: StatusChunk | None) -> None:
        if chunk is not None:
            self._tell(chunk)
