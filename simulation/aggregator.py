"""A modeled aggregator: answers and receipts by the same script as the simulated one, without requests and threads.

Of the script it follows latency, errors, endings, throttling, faults, outages, receipts, clicks and replies; not bots
that answer our replies, and receipts sent twice, which change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.ports import SubmitOutcome
from loadtest.aggregator.fates import BOTS, PERSON_AGENT, delays
from loadtest.aggregator.limit import Limit
from loadtest.aggregator.script import REJECT_CODES, Script, by_ending
from schemas.carrier_codes import reason_of_code
from schemas.reasons import Reason, written

ACCEPTED: Final = SubmitOutcome("accepted")
NOT_SEEN: Final = SubmitOutcome("retry", Reason.NOT_SEEN)


class Visit(NamedTuple):
    """A click of the link of the message at `place`, `wait` ms after it was accepted."""

    place: int
    wait: int
    method: str
    agent: str


class Text(NamedTuple):
    """A text of the recipient of the message at `place`, `wait` ms after it was accepted."""

    place: int
    wait: int
    words: str


class ModelledAggregator:
    """Draws with one generator, in the order of submissions. `start_ms` is when outages begin to count."""

    def __init__(self, script: Script, seed: int, start_ms: int) -> None:
        self.script = script
        self._draw = np.random.default_rng([seed, script.seed, 3])
        self._start = start_ms
        self._limit = Limit(script.throttle, start_ms * 1_000_000)
        self._rejected = {code: SubmitOutcome("rejected", reason_of_code(code)) for code in REJECT_CODES}
        rates = [script.errors.get(code, 0.0) for code in REJECT_CODES]
        self._steps = np.cumsum(rates)

    def latency(self) -> float:
        """Seconds until the answer to one request."""
        return float(delays(self.script.latency, self._draw, 1)[0]) / 1e9

    def mean_latency(self) -> float:
        latency = self.script.latency
        return float(max(latency.least, latency.median * np.exp(latency.sigma**2 / 2)))

    def answers(self, numbers: list[int], segments: list[int], now: int) -> list[SubmitOutcome]:
        """The answer for each message of a request that arrives at `now` (ms)."""
        n, throttle = len(numbers), self.script.throttle
        if self.is_out(now):
            return [SubmitOutcome("retry", written(Reason.HTTP, "503"), "", throttle.retry_after)] * n
        later = SubmitOutcome("retry", Reason.THROTTLED, "", throttle.retry_after)
        if throttle.rate and self._draw.random() < throttle.rate:
            return [later] * n
        passed = self._limit.passed_segments(now * 1_000_000, segments)
        if passed < n and throttle.answer == "batch":
            return [later] * n
        fault = self._fault()
        if fault is not None:
            return [fault] * n
        return self._taken(numbers[:passed]) + [later] * (n - passed)

    def receipts(self, numbers: list[int]) -> tuple[NDArray[np.int64], list[str]]:
        """Delay (ms) of the receipt of each accepted message, and the code of what is not delivered ("" if it is)."""
        receipts, n = self.script.receipts, len(numbers)
        assert receipts
        codes = [""] * n
        failed = np.flatnonzero(self._draw.random(n) >= receipts.delivered).tolist()
        known, weights = [*receipts.reasons], np.array([*receipts.reasons.values()])
        for index in failed:
            codes[index] = known[int(self._draw.choice(len(known), p=weights / weights.sum()))]
        if self.script.undelivered_endings:
            for index, number in enumerate(numbers):
                codes[index] = by_ending(self.script.undelivered_endings, str(number)) or codes[index]
        return delays(receipts.delay, self._draw, n) // 1_000_000, codes

    def look_up(self, n: int) -> list[SubmitOutcome]:
        """The answers to a query about messages without an answer: it has not accepted any of them."""
        return [NOT_SEEN] * n

    def visits(self, codes: list[str]) -> Iterator[Visit]:
        """Clicks of the link of accepted messages; `codes` says which are not delivered, and so not read."""
        clicks, n = self.script.clicks, len(codes)
        if not clicks.people and not clicks.bots:
            return
        delivered = np.array([not code for code in codes])
        people = (self._draw.random(n) < clicks.people) & delivered
        bots = self._draw.random(n) < clicks.bots
        later = delays(clicks.delay, self._draw, n) // 1_000_000
        which = self._draw.integers(len(BOTS), size=n)
        for index in np.flatnonzero(bots).tolist():
            yield Visit(index, 0, *BOTS[which[index]])
        for index in np.flatnonzero(people).tolist():
            yield Visit(index, int(later[index]), "GET", PERSON_AGENT)

    def texts(self, codes: list[str]) -> Iterator[Text]:
        """Texts back to accepted messages; `codes` as for `visits`."""
        replies, n = self.script.replies, len(codes)
        if not replies.stop and not replies.other:
            return
        drawn, which = self._draw.random(n), self._draw.integers(2**31, size=n)
        due = delays(replies.delay, self._draw, n) // 1_000_000
        for index in np.flatnonzero(drawn < replies.stop + replies.other).tolist():
            if not codes[index]:
                words = replies.stop_texts if drawn[index] < replies.stop else replies.other_texts
                yield Text(index, int(due[index]), words[which[index] % len(words)])

    def is_out(self, now: int) -> bool:
        """Whether it is in an outage at `now` (ms). Resets and time-outs count as "not sent", as a refused
        connection."""
        elapsed = (now - self._start) / 1000
        return any(outage.start <= elapsed < outage.start + outage.duration for outage in self.script.outages)

    def _fault(self) -> SubmitOutcome | None:
        faults = self.script.faults
        if not faults.server_error and not faults.reset:
            return None
        drawn = self._draw.random()
        if drawn < faults.server_error:
            return SubmitOutcome("unknown", written(Reason.HTTP, "500"))
        return (
            SubmitOutcome("unknown", Reason.CONNECTION_LOST) if drawn < faults.server_error + faults.reset else None
        )

    def _taken(self, numbers: list[int]) -> list[SubmitOutcome]:
        answers = [ACCEPTED] * len(numbers)
        if self.script.errors:
            drawn = np.searchsorted(self._steps, self._draw.random(len(numbers)), side="right")
            for index in np.flatnonzero(drawn < len(REJECT_CODES)).tolist():
                answers[index] = self._rejected[REJECT_CODES[drawn[index]]]
        if self.script.rejected_endings:
            for index, number in enumerate(numbers):
                code = by_ending(self.script.rejected_endings, str(number))
                if code is not None:
                    answers[index] = self._rejected[code]
        return answers
