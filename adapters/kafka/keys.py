"""The keys of the API as topic `keys` has them."""

from __future__ import annotations

import contextlib
from typing import Final

from adapters.kafka.views import RecordView
from adapters.ports import Emitter
from adapters.settings import Kafka
from schemas import topics
from schemas.keys import KEYS, ApiKey
from schemas.wire import encode

HERE_SECONDS: Final = 5.0
"""How long a change waits to hold in this process."""


class KeyView(RecordView[ApiKey]):
    """Every key's newest record, revoked and expired ones too."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__(kafka, topics.KEYS.name, KEYS)

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

    def _misread(self, key: str) -> None:
        # It may have been revoked: when in doubt nobody gets in with it.
        self._records.pop(key, None)
