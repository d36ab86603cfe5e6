"""The desk: decides what becomes of one request, writes it to the record, and words the answer. No network."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from loadtest.aggregator.batch import Batch, Message, decode, decode_question
from loadtest.aggregator.limit import Limit
from loadtest.aggregator.record import (
    ACCEPTED,
    HIT,
    LOST,
    REJECTED,
    THROTTLED,
    Recorder,
    entries,
)
from loadtest.aggregator.script import REJECT_CODES, Outage, Script, by_ending

_LETTERS: Final = (ACCEPTED, *(REJECTED + index for index in range(len(REJECT_CODES))))


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back; "reset" drops the connection, "silent" leaves it hanging."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    manner: Literal["answer", "reset", "silent"] = "answer"


@dataclass(slots=True)
class Counts:
    """Live counts since the start of the process; `distinct` and `twice` include what the record held before."""

    requests: int = 0
    messages: int = 0
    accepted: int = 0
    rejected: int = 0
    throttled: int = 0
    key_hits: int = 0
    dropped: int = 0
    refused_requests: int = 0
    asked: int = 0
    """Ids that queries were about."""
    distinct: int = 0
    twice: int = 0


class Desk:
    """Takes requests for one data directory; `started` is the instant (ns) from which outages count."""

    def __init__(self, data: Path, script: Script, started: int) -> None:
        self.counts = Counts()
        self._script = script
        self._started = started
        self._draw = random.Random(script.seed)
        self._seen: set[str] = set()
        self._rejected: dict[str, int] = {}
        self._codes = _code_weights(script)
        self._limit = Limit(script.throttle, started)
        self._recorder = Recorder(data)
        self._remember(data)

    def take(self, at: int, body: bytes) -> Answer:
        """Process one genuine request that arrived at `at` (ns); the record is on its way to disk on return."""
        try:
            batch = decode(body)
        except ValueError as error:
            outage = self._outage(at)
            return self.refuse(400, "malformed", str(error)) if outage is None else self._during(outage)
        answer, outcomes = self._process(at, batch)
        try:
            self._recorder.append(at, bytes(outcomes), body)
        except OSError as error:
            return self._temporary(f"cannot record: {error.strerror}")
        self._learn([message.id for message in batch.messages], outcomes)
        return answer

    def tell(self, at: int, body: bytes) -> Answer:
        """Say what became of messages, from what the record holds at `at` (ns). Asking leaves no trace in it."""
        outage = self._outage(at)
        if outage is not None:
            return self._during(outage)
        if not self._script.query.enabled:
            return self.refuse(404, "not-found", "this aggregator cannot be asked")
        try:
            ids = decode_question(body)
        except ValueError as error:
            return self.refuse(400, "malformed", str(error))
        self.counts.asked += len(ids)
        return Answer(body=orjson.dumps({"messages": [self._fate(message_id) for message_id in ids]}))

    def _fate(self, message_id: str) -> dict[str, Any]:
        if zlib.crc32(message_id.encode()) / 2**32 < self._script.query.cannot_tell:
            return {"id": message_id, "status": "unknown"}
        if message_id not in self._seen:
            return {"id": message_id, "status": "not_seen"}
        return self._word(message_id, self._rejected.get(message_id, ACCEPTED))

    def refuse(self, status: int, code: str, error: str) -> Answer:
        """The answer to a request that was not understood or not genuine; it does not enter the record."""
        self.counts.refused_requests += 1
        return Answer(status, orjson.dumps({"code": code, "error": error}))

    def close(self) -> None:
        self._recorder.close()

    def _process(self, at: int, batch: Batch) -> tuple[Answer, bytes]:
        n = len(batch.messages)
        outage = self._outage(at)
        if outage is not None:
            return self._during(outage), bytes([LOST]) * n
        throttle = self._script.throttle
        if throttle.rate and self._draw.random() < throttle.rate:
            return self._too_fast(), bytes([THROTTLED]) * n
        passed = self._limit.passed(at, [message.text for message in batch.messages])
        if passed < n and throttle.answer == "batch":
            return self._too_fast(), bytes([THROTTLED]) * n
        fault = self._fault()
        if fault is not None and self._draw.random() >= self._script.faults.processed:
            return fault, bytes([LOST]) * n
        outcomes = self._outcomes(batch.messages[:passed])
        outcomes += bytes([THROTTLED]) * (n - passed)
        return fault or Answer(body=self._words(batch, outcomes)), outcomes

    def _outcomes(self, messages: list[Message]) -> bytes:
        ids = [message.id for message in messages]
        keys = self._script.idempotency_keys
        known = keys and not (self._seen.isdisjoint(ids) and len(set(ids)) == len(ids))
        drawn = self._drawn(messages)
        if not known:
            return drawn
        outcomes, here = bytearray(drawn), set[str]()
        for index, message_id in enumerate(ids):
            if message_id in self._seen or message_id in here:
                outcomes[index] = HIT
            here.add(message_id)
        return bytes(outcomes)

    def _drawn(self, messages: list[Message]) -> bytes:
        n = len(messages)
        drawn = bytearray([ACCEPTED]) * n
        if self._script.errors:
            drawn = bytearray(self._draw.choices(_LETTERS, self._codes, k=n))
        if self._script.rejected_endings:
            for index, message in enumerate(messages):
                code = by_ending(self._script.rejected_endings, message.to)
                if code is not None:
                    drawn[index] = REJECTED + REJECT_CODES.index(code)
        return bytes(drawn)

    def _words(self, batch: Batch, outcomes: bytes) -> bytes:
        said: list[dict[str, Any]] = []
        here: dict[str, int] = {}
        for message, outcome in zip(batch.messages, outcomes, strict=True):
            first = here.setdefault(message.id, outcome)
            if outcome == HIT:
                first = self._rejected.get(message.id, ACCEPTED if first == HIT else first)
                said.append(self._word(message.id, first))
            else:
                said.append(self._word(message.id, outcome))
        return orjson.dumps({"messages": said})

    def _word(self, message_id: str, outcome: int) -> dict[str, Any]:
        if outcome == ACCEPTED:
            return {"id": message_id, "status": "accepted", "aggregator_id": f"sim-{message_id}"}
        if outcome == THROTTLED:
            return {"id": message_id, "status": "throttled", "retry_after": self._script.throttle.retry_after}
        return {"id": message_id, "status": "rejected", "code": REJECT_CODES[outcome - REJECTED]}

    def _outage(self, at: int) -> Outage | None:
        elapsed = (at - self._started) / 1e9
        return next((o for o in self._script.outages if o.start <= elapsed < o.start + o.duration), None)

    def _during(self, outage: Outage) -> Answer:
        if outage.kind == "503":
            return self._temporary("outage")
        return Answer(manner=outage.kind)

    def _temporary(self, error: str) -> Answer:
        wait = {"Retry-After": f"{self._script.throttle.retry_after:g}"}
        return Answer(503, orjson.dumps({"code": "unavailable", "error": error}), wait)

    def _too_fast(self) -> Answer:
        wait = {"Retry-After": f"{self._script.throttle.retry_after:g}"}
        return Answer(429, orjson.dumps({"code": "throttled", "error": "too fast"}), wait)

    def _fault(self) -> Answer | None:
        faults = self._script.faults
        if not faults.server_error and not faults.reset:
            return None
        draw = self._draw.random()
        if draw < faults.server_error:
            return Answer(500, b'{"code":"internal","error":"scripted"}')
        return Answer(manner="reset") if draw < faults.server_error + faults.reset else None

    def _learn(self, ids: list[str], outcomes: bytes) -> None:
        counts, taken = self.counts, ids
        counts.requests += 1
        counts.messages += len(ids)
        accepted = outcomes.count(ACCEPTED)
        counts.accepted += accepted
        if accepted < len(ids):
            counts.throttled += outcomes.count(THROTTLED)
            counts.key_hits += outcomes.count(HIT)
            counts.dropped += outcomes.count(LOST)
            taken = self._learn_refusals(ids, outcomes)
        before = len(self._seen)
        self._seen.update(taken)
        counts.distinct = len(self._seen)
        counts.twice += len(taken) - (counts.distinct - before)

    def _learn_refusals(self, ids: list[str], outcomes: bytes) -> list[str]:
        taken = []
        for message_id, outcome in zip(ids, outcomes, strict=True):
            if outcome in _LETTERS:
                taken.append(message_id)
                if outcome != ACCEPTED:
                    self.counts.rejected += 1
                    self._rejected.setdefault(message_id, outcome)
        return taken

    def _remember(self, data: Path) -> None:
        for entry in entries(data):
            self._learn([message.id for message in entry.batch().messages], entry.outcomes)
        self.counts = Counts(distinct=self.counts.distinct, twice=self.counts.twice)


def _code_weights(script: Script) -> list[float]:
    rates = [script.errors.get(code, 0.0) for code in REJECT_CODES]
    return [1.0 - sum(rates), *rates]
