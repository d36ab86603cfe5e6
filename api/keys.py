"""The keys that hold now, and the first one of an installation."""

from __future__ import annotations

import logging
import secrets

from adapters.clock import now_ms
from adapters.kafka.keys import KeyView
from adapters.kafka.producer import Producer
from adapters.private_files import FIRST_KEY, ensure_password
from adapters.settings import Settings
from pipeline.identity.api_keys import KEY_OCTETS, fits, hash_of, made, parsed, state
from schemas.keys import SCOPES, ApiKey

log = logging.getLogger(__name__)


class Keys:
    """The keys of the API, by what is known in this process."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._settings = settings
        self._producer = producer
        self.view = KeyView(settings.kafka)

    async def start(self) -> None:
        await self.view.start()

    async def stop(self) -> None:
        await self.view.stop()

    async def ready(self) -> None:
        """Wait until the keys have been read from Kafka, and make the first one where there is none.

        Raises:
            OSError: its file cannot be written. EmitError: Kafka did not acknowledge it.
        """
        await self.view.ready()
        if not self.view.all():
            await self._make_first()

    async def _make_first(self) -> None:
        path = self._settings.data / FIRST_KEY
        key = parsed(ensure_password(path, lambda: str(made(secrets.token_bytes(KEY_OCTETS)))))
        if key is None:
            raise OSError(f"{path} holds no key of Longwave; remove the file, and a new first key is made")
        made_here = ApiKey(
            id=key.id, name="first", hash=hash_of(key), scopes=list(SCOPES), created=now_ms(), by="installation"
        )
        first = await self.view.claim_first(self._producer, made_here)
        # Whoever claimed first may have ended before this: each process writes the same.
        await self.view.change(self._producer, first)
        if first.id == key.id:
            log.info("the first key is %s, which may do everything: %s", key.id, path)
            return
        # Our own key holds nowhere; in the file it would only mislead.
        path.unlink(missing_ok=True)
        log.warning(
            "another API process made the first key, %s, at the same time: it is in the file %s of that machine's "
            "data folder", first.id, FIRST_KEY,
        )  # fmt: skip

    def holder(self, text: str) -> ApiKey | None:
        """The key that `text` is, if it holds now."""
        given = parsed(text)
        known = None if given is None else self.view.get(given.id)
        if given is None or known is None or not fits(known, given) or state(known, now_ms()) != "active":
            return None
        return known

    def active(self, key_id: str) -> ApiKey | None:
        """The key of that id, if it holds now."""
        known = self.view.get(key_id)
        return known if known is not None and state(known, now_ms()) == "active" else None
