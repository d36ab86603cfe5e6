"""Many records from a thread without an event loop, as fast as the broker takes them."""

from __future__ import annotations

from confluent_kafka import Producer

from adapters.logs import LIBRDKAFKA

FLUSH_SECONDS = 60.0


class BulkWriter:
    """Writes with the guarantees of a worker's producer, waits while the local queue is full, and counts what the
    broker did not take."""

    def __init__(self, bootstrap: str) -> None:
        self._failed = 0
        options = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": 10,
            "compression.type": "lz4",
            "batch.size": 1_000_000,
            "message.max.bytes": 8_388_608,
            "queue.buffering.max.kbytes": 65_536,
        }
        self._producer = Producer(options, logger=LIBRDKAFKA)

    def write(self, topic: str, partition: int, value: bytes) -> None:
        """Queue one record."""
        while True:
            try:
                self._producer.produce(topic, value, partition=partition, on_delivery=self._delivered)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        """Wait for the broker.

        Raises:
            RuntimeError: it did not take everything.
        """
        left = self._producer.flush(FLUSH_SECONDS)
        if left or self._failed:
            raise RuntimeError(f"the broker did not take {left + self._failed} records")

    def _delivered(self, error: object, _: object) -> None:
        self._failed += error is not None
