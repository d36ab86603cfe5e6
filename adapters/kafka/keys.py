"""The keys of the API as topic `keys` has them."""

from __future__ import annotations

import logging

from adapters.kafka.views import View
from adapters.ports import Emitter
from adapters.settings import Kafka
from schemas import topics
from schemas.keys import KEYS, ApiKey
from schemas.wire import DecodeError, encode

log = logging.getLogger(__name__)


class KeyView:
    """Every key's newest record, revoked and expired ones too."""

    def __init__(self, kafka: Kafka) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._view = View(kafka, topics.KEYS.name, self._apply)

    async def start(self) -> None:
        await self._view.start()

    async def ready(self) -> None:
        """Wait until the past has been read."""
        await self._view.ready.wait()

    async def stop(self) -> None:
        await self._view.stop()

    def get(self, key_id: str) -> ApiKey | None:
        return self._keys.get(key_id)

    def all(self) -> list[ApiKey]:
        """Every key, the newest first."""
        return sorted(self._keys.values(), key=lambda key: (-key.created, key.id))

    async def change(self, emitter: Emitter, key: ApiKey) -> None:
        """Write a key, and wait a moment for it to hold in this process.

        Raises:
            EmitError: Kafka did not acknowledge it.
        """
        await emitter.emit(topics.KEYS.name, encode(key), key=key.id.encode())
        for _ in range(50):
            if self._keys.get(key.id) == key:
                return
            await self._view.changed(timeout=0.1)

    def _apply(self, key: bytes, value: bytes | None) -> None:
        key_id = key.decode("ascii", "replace")
        if value is None:
            self._keys.pop(key_id, None)
            return
        try:
            self._keys[key_id] = KEYS.decode(value)
        except DecodeError as error:
            # Of a newer version: when in doubt nobody gets in with it, as it was known before neither.
            self._keys.pop(key_id, None)
            log.error("key %s not understood, it does not hold here: %s", key_id, error)
