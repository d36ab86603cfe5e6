"""The keys of the API as topic `keys` has them."""

from __future__ import annotations

import contextlib
from typing import Final

from adapters.kafka.views import RecordView
from adapters.ports import Emitter
from adapters.settings import Kafka
from schemas import topics
from schemas.keys import FIRST, KEYS, ApiKey
from schemas.wire import encode

HERE_SECONDS: Final = 5.0
"""How long a change waits to hold in this process."""


class KeyView(RecordView[ApiKey]):
    """Every key's newest record, revoked and expired ones too."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka, topics.KEYS.name, KEYS)
        self._first: ApiKey | None = None

    def all(self) -> list[ApiKey]:
        """Every key, the newest first."""
        return sorted(self._records.values(), key=lambda key: (-key.created, key.id))

    async def change(self, emitter: Emitter, key: ApiKey) -> None:
        """Write a key, and wait a moment for it to hold in this process.

        Raises:
            EmitError: Kafka did not acknowledge it.
        """
        await emitter.emit(topics.KEYS.name, encode(key), key=key.id.encode())
        with contextlib.suppress(TimeoutError):
            await self.wait_for(key.id, lambda known: known == key, HERE_SECONDS)

    async def claim_first(self, emitter: Emitter, key: ApiKey) -> ApiKey:
        """Claim that `key` is the first one of the installation, and wait for what the log says: the first key, which
        is another one where another process was quicker. Waits for Kafka as long as it takes.

        Raises:
            EmitError: Kafka did not acknowledge it.
        """
        await emitter.emit(topics.KEYS.name, encode(key), key=FIRST.encode())
        while self._first is None:
            await self._view.changed(timeout=0.2)
        return self._first

    def _keep(self, key: str, record: ApiKey) -> None:
        if key != FIRST:
            super()._keep(key, record)
        elif self._first is None:
            # All claims are in one partition, so every process sees the same one first.
            self._first = record

    def _misread(self, key: str) -> None:
        # It may have been revoked: when in doubt nobody gets in with it.
        self._records.pop(key, None)
