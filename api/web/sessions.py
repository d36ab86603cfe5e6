"""Sessions of the page: a signed cookie that names a key. It holds for as long as the key does.

The cookie is signed with the installation's token key and the hash of the API key, so it ends with the key, on every
process, and nothing is stored. JavaScript cannot read it; what changes something must also carry the session's CSRF
token in a header, which a page of others cannot know (OWASP, Cross-Site Request Forgery Prevention Cheat Sheet).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer

from adapters.settings import Settings
from api.keys import Keys
from schemas.keys import ApiKey

COOKIE: Final = "longwave_session"
CSRF_HEADER: Final = "longwave-csrf"
LINK_SECONDS: Final = 600
"""How long a sign-in link can be used, once."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in with a key."""

    key: ApiKey
    csrf: str


class Sessions:
    """Makes and reads cookies and sign-in links."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self._token_key = settings.token_key.get_secret_value()
        self._keys = keys
        self._used: dict[str, float] = {}
        """Links that were used, and when each is too old anyway (monotonic seconds), the oldest first."""
        self.seconds = round(settings.api.session_hours * 3600)
        self.secure = settings.api.url.startswith("https:")

    def begin(self, key: ApiKey) -> tuple[str, Session]:
        """The cookie's value, and the session."""
        session = Session(key, secrets.token_urlsafe(16))
        return self._signer(key, "session").dumps({"key": key.id, "csrf": session.csrf}), session

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it is forged or over, or its key does not hold any more."""
        opened = self._opened(cookie, "session", self.seconds)
        return None if opened is None else Session(opened[0], opened[1]["csrf"])

    def link(self, key: ApiKey) -> str:
        """A token that signs a browser in with this key, once, within `LINK_SECONDS`."""
        return self._signer(key, "link").dumps({"key": key.id, "once": secrets.token_urlsafe(16)})

    def use_link(self, token: str) -> ApiKey | None:
        """The key of a link; None if it is forged, too old or used, or its key does not hold any more."""
        opened = self._opened(token, "link", LINK_SECONDS)
        self._forget_old(monotonic())
        if opened is None or opened[1]["once"] in self._used:
            return None
        # The signer counts whole seconds.
        self._used[opened[1]["once"]] = monotonic() + LINK_SECONDS + 2
        return opened[0]

    def _forget_old(self, now: float) -> None:
        for once, until in list(self._used.items()):
            if until > now:
                return
            del self._used[once]

    def _opened(self, text: str, what: str, seconds: int) -> tuple[ApiKey, dict[str, Any]] | None:
        try:
            # Which key signed it must be known first; nothing is believed before the signature is checked.
            claimed = self._signer(None, what).loads_unsafe(text)[1]
            key = self._keys.active(str(claimed["key"]))
            if key is None:
                return None
            content: dict[str, Any] = self._signer(key, what).loads(text, max_age=seconds)
        except (BadData, TypeError, KeyError):
            return None
        return key, content

    def _signer(self, key: ApiKey | None, what: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(f"{self._token_key}{key.hash if key else ''}", salt=f"longwave-{what}")
