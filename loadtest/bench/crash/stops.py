"""STOPs of people who still wait for a message, texted to the ingress while processes are killed."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from adapters import http
from adapters.aggregators import signing
from adapters.clock import now_ms
from adapters.settings import Settings
from loadtest.aggregator.phone import shared_secret
from loadtest.bench.campaigns import FIRST_NUMBER

LATE_SECONDS: Final = 1.0
"""Nobody gets a message later than this after the ingress acknowledged their STOP."""
TIMEOUT: Final = 5.0
RETRY_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Stopped:
    """What came of the STOPs: `late` are (number, seconds from the acknowledgement to its last message)."""

    acknowledged: int = 0
    retried: int = 0
    """Posts that were not acknowledged, because the ingress or the broker was away, and were made again."""
    longest: float = 0.0
    """Seconds from an acknowledgement to the last message of its number, at most; 0 where none came after."""
    late: list[tuple[int, float]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        return {
            "stops": self.acknowledged,
            "stops_retried": self.retried,
            "stop_to_last_message_s": round(self.longest, 2),
            "late": len(self.late),
            "late_examples": [f"+{number}: {seconds:.1f} s" for number, seconds in self.late[:9]],
        }


class Stops:
    """Texts STOP to the number `sender`, `per_second` times a second, from numbers drawn from the audience of
    `people`, each once, again until it is acknowledged; threads of its own, so that one that hangs holds up no
    other."""

    THREADS: Final = 8

    def __init__(self, settings: Settings, sender: str, people: int, per_second: float, seed: int) -> None:
        self._url = f"{settings.ingress.url}/v1/inbound/local"
        self._secret = shared_secret(settings)
        self._sender = sender
        self._per_second = per_second
        order = list(range(people))
        random.Random(seed).shuffle(order)
        # Not more than half of the audience: somebody must be left to send to.
        self._left = iter(order[: people // 2])
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._acknowledged: dict[int, float] = {}
        self._retried = 0

    def start(self) -> None:
        count = min(self.THREADS, max(1, round(self._per_second)))
        self._threads = [threading.Thread(target=self._run, args=(count,), daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when no STOP is under way anymore."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)

    def outcome(self, last: Mapping[int, float]) -> Stopped:
        """What came of them, by when the aggregator got the `last` message to each number (s since the epoch)."""
        with self._lock:
            acknowledged = dict(self._acknowledged)
        return judged(acknowledged, last, self._retried)

    def _run(self, threads: int) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            with self._lock:
                person = next(self._left, None)
            if person is None:
                return
            self._text(FIRST_NUMBER + person)
            due = max(due + threads / self._per_second, time.monotonic() - 1.0)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _text(self, number: int) -> None:
        text = {"id": f"stop-{number}", "from": f"+{number}", "to": self._sender, "text": "STOP"}
        body = orjson.dumps({"texts": [text]})
        while not self._stop.is_set():
            if self._post(body):
                with self._lock:
                    self._acknowledged[number] = time.time()
                return
            with self._lock:
                self._retried += 1
            self._stop.wait(RETRY_SECONDS)

    def _post(self, body: bytes) -> bool:
        headers = signing.signed(self._secret, now_ms(), body)
        try:
            with http.request(self._url, timeout=TIMEOUT, method="POST", body=body, headers=headers) as answer:
                return answer.status < 300
        except OSError:
            return False


def judged(acknowledged: Mapping[int, float], last: Mapping[int, float], retried: int = 0) -> Stopped:
    """`acknowledged` and `last` are seconds since the epoch by number."""
    after = {number: last[number] - at for number, at in acknowledged.items() if last.get(number, 0.0) > at}
    late = sorted((number, seconds) for number, seconds in after.items() if seconds > LATE_SECONDS)
    return Stopped(len(acknowledged), retried, max(after.values(), default=0.0), late)
