"""The one producer of a process: idempotent, acks=all, and `emit` returns only when the broker has the record."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as ConfluentProducer

from adapters import logs
from adapters.errors import EmitBroken, EmitError, EmitRefused
from adapters.ports import Delivered
from adapters.settings import Kafka
from schemas import metrics

LINGER_MS = 3
QUEUE_KBYTES = 131_072
MESSAGE_BYTES = 8_388_608
"""The largest record of any topic: a dead letter, in which the largest of the others is in base64."""
DELIVERY_MARGIN_MS = 2000
"""How much shorter the delivery time-out is than the session's; librdkafka looks for expired ones once a second."""

OVERSIZED = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
REFUSED = OVERSIZED | {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.POLICY_VIOLATION,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError._UNKNOWN_TOPIC,
}
"""Errors that a retry does not fix."""

log = logging.getLogger(__name__)

logs.limit()


def broken(error: KafkaError) -> EmitBroken | None:
    """The exception for an error after which this producer writes nothing anymore (its sequence of records is lost,
    or another has taken its place); None for any other."""
    if not (error.fatal() or error.code() == KafkaError._FATAL):
        return None
    return EmitBroken(
        f"Kafka's client cannot go on ({error.name()}: {error.str()}): this process ends, and goes on from where it "
        "is when it is started again"
    )


def end_process(error: EmitBroken) -> None:
    """What to do about a broken producer where nothing else is known: end in good order, whoever supervises this
    process starts it again."""
    log.critical("%s", error)
    os.kill(os.getpid(), signal.SIGTERM)


def failure(what: str, error: KafkaError) -> EmitError:
    """The exception for what librdkafka reports of one record."""
    text = f"{what}: {error.str()}"
    if error.code() in REFUSED:
        return EmitRefused(text, oversized=error.code() in OVERSIZED)
    return EmitError(text)


class Producer:
    """An `Emitter` over librdkafka.

    Deliveries are reported by a thread of librdkafka's poll and handed to the event loop in batches, so that
    thousands of records a second cost one wake-up per poll, not one each. Must be made and used in one event loop.

    The delivery time-out is shorter than the consumers' session time-out: what a stalled process had buffered
    expires instead of landing after another worker took over (docs/internals/architecture.md).

    A fatal error of librdkafka is for good: whatever is written fails, and trying again never helps. `on_broken` is
    called once, in the event loop, and is to end the process.
    """

    def __init__(self, kafka: Kafka, on_broken: Callable[[EmitBroken], None] | None = None) -> None:
        self._on_broken = on_broken
        self._broken: EmitBroken | None = None
        self._loop = asyncio.get_running_loop()
        self._done: deque[tuple[asyncio.Future[Delivered], KafkaError | None, int, int]] = deque()
        self._woken = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._producer = ConfluentProducer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": LINGER_MS,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "batch.size": 1_000_000,
                "message.max.bytes": MESSAGE_BYTES,
                "queue.buffering.max.kbytes": QUEUE_KBYTES,
                "delivery.timeout.ms": max(1000, int(kafka.session_timeout * 1000) - DELIVERY_MARGIN_MS),
                "socket.keepalive.enable": True,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 3,
            },
            logger=logs.LIBRDKAFKA,
        )
        metrics.PRODUCER_QUEUE.set_function(lambda: float(len(self._producer)))
        metrics.PRODUCER_FAILURES.inc(0)
        self._thread = threading.Thread(target=self._poll, name="producer-poll", daemon=True)
        self._thread.start()

    async def emit(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, partition: int | None = None
    ) -> Delivered:
        """Write one record and wait for all in-sync replicas (see `ports.Emitter`)."""
        return await self.send(topic, value, key=key, partition=partition)

    def send(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, partition: int | None = None
    ) -> asyncio.Future[Delivered]:
        """Hand one record to the producer at once, in call order; the future resolves on its acknowledgement.

        A full local queue (the broker is slow or away) fails the future: the caller's retry is the back-pressure.
        """
        future: asyncio.Future[Delivered] = self._loop.create_future()

        def delivered(error: KafkaError | None, message: Any) -> None:
            self._report(future, error, message)

        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        try:
            self._producer.produce(topic, value, key, on_delivery=delivered, **options)
        except BufferError as error:
            metrics.PRODUCER_FAILURES.inc()
            future.set_exception(EmitError(f"Kafka topic {topic}: {error}"))
        except KafkaException as error:
            metrics.PRODUCER_FAILURES.inc()
            self._note(error.args[0])
            future.set_exception(self._broken or failure(f"Kafka topic {topic}", error.args[0]))
        return future

    def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                self._producer.poll(0.1)
            except KafkaException as error:
                # A fatal error is raised here, whichever record it was about. What is left is polled for all the
                # same: each record that was handed over gets its report.
                self._note(error.args[0])

    def _note(self, error: KafkaError) -> None:
        with self._lock:
            failure = broken(error)
            if failure is None or self._broken is not None:
                return
            self._broken = failure
        if self._on_broken is not None:
            self._loop.call_soon_threadsafe(self._on_broken, failure)

    def _report(self, future: asyncio.Future[Delivered], error: KafkaError | None, message: Any) -> None:
        with self._lock:
            self._done.append((future, error, message.partition() or 0, message.offset() or 0))
            wake = not self._woken
            self._woken = True
        if wake:
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        with self._lock:
            done, self._done = self._done, deque()
            self._woken = False
        for future, error, partition, offset in done:
            if error is not None:
                metrics.PRODUCER_FAILURES.inc()
            if future.done():
                continue
            if error is None:
                future.set_result(Delivered(partition, offset))
            else:
                future.set_exception(self._broken or failure("Kafka did not acknowledge a record", error))

    async def close(self, timeout: float = 5.0) -> None:
        """Send what is buffered, at most `timeout` seconds, and stop."""
        await asyncio.to_thread(self._producer.flush, timeout)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 2.0)
        self._resolve()
