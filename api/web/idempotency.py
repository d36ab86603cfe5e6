"""`Idempotency-Key` on every POST: the same request sent again is carried out once and answered alike.

| same key and path, and | answer |
|---|---|
| the same body, done | the first answer again, with `Idempotent-Replayed: true` |
| the same body, still under way | 409 with Retry-After |
| another body | 422 |

Answers are kept for 24 hours, the last 10,000, in this process. A 5xx is not kept, nor is a 202 (nobody has carried
the command out yet), so that it can be tried again.
After a restart, or at another API process, ids do the same: a campaign's id follows from the key, a command's from
key and body, and the coordinator carries a command out once.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.web.caller import caller

HEADER: Final = "Idempotency-Key"
KEPT_SECONDS: Final = 24 * 3600.0
KEPT: Final = 10_000
KEPT_BYTES: Final = 262_144
"""Of one answer; those of POSTs are far smaller."""
ANOTHER_REQUEST: Final = f"{HEADER}: this key came with another request before; take a new key for a new request"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(slots=True)
class _Request:
    """A request that carries a key; `answer` is empty while it is under way."""

    content: bytes
    since: float
    answer: list[Message] = field(default_factory=list)


class _Keyed:
    """The key of the request that is being answered: what follows from it."""

    def __init__(self, place: tuple[str, str, str], content: bytes) -> None:
        self._named = "\n".join(place).encode()
        self._content = content
        self._commands = 0

    def campaign(self) -> bytes:
        """Five bytes for the id of a campaign to make."""
        return hashlib.blake2b(self._named, digest_size=5, person=b"campaign").digest()

    def top_up(self) -> str:
        """The id of a top-up: whatever the body says, one key adds to a balance once."""
        return hashlib.blake2b(self._named, digest_size=16, person=b"top-up").hexdigest()

    def command(self) -> str:
        """The id of the next command of this request."""
        self._commands += 1
        text = self._named + b"\n" + self._content + str(self._commands).encode()
        return hashlib.blake2b(text, digest_size=16, person=b"command").hexdigest()


_keyed: ContextVar[_Keyed | None] = ContextVar("keyed", default=None)


def keyed() -> _Keyed | None:
    """The key of the request that this task answers, None without one."""
    return _keyed.get()


class Idempotency:
    """ASGI middleware behind `gate.Gate`, which has read the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._known: OrderedDict[tuple[str, str, str], _Request] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        key = headers.get(HEADER)
        if scope["type"] != "http" or scope["method"] != "POST" or key is None:
            await self._app(scope, receive, send)
        elif not _KEY.fullmatch(key):
            await _refused(422, f"{HEADER}: 1 to 200 visible ASCII characters, for instance a UUID")(
                scope, receive, send
            )
        else:
            await self._once(key, scope, receive, send, headers)

    async def _once(self, key: str, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        message = await receive()
        content = _digest(scope, headers, message.get("body", b""))
        self._forget()
        # Another key's holder must not get this one's answer.
        place = (caller().key.id, scope["path"], key)
        known = self._known.get(place)
        if known is not None:
            await self._again(known, content, scope, receive, send)
            return
        request = self._known[place] = _Request(content, monotonic())
        whole = [message]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        token = _keyed.set(_Keyed(place, content))
        recorder = _Recorder(send)
        try:
            await self._app(scope, replay, recorder)
        finally:
            _keyed.reset(token)
            if recorder.is_final():
                request.answer = recorder.messages
            else:
                del self._known[place]

    async def _again(self, known: _Request, content: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        if known.content != content:
            await _refused(422, ANOTHER_REQUEST)(scope, receive, send)
        elif not known.answer:
            answer = _refused(409, f"{HEADER}: the first request with this key is still under way; ask again")
            answer.headers["Retry-After"] = "1"
            await answer(scope, receive, send)
        else:
            for message in known.answer:
                copy = dict(message)
                if copy["type"] == "http.response.start":
                    copy["headers"] = list(message["headers"])
                    MutableHeaders(scope=copy)["Idempotent-Replayed"] = "true"
                await send(copy)

    def _forget(self) -> None:
        """Drop what is too old or too many, never what is under way."""
        old = monotonic() - KEPT_SECONDS
        for place, request in list(self._known.items())[:100]:
            if request.answer and (request.since < old or len(self._known) >= KEPT):
                del self._known[place]


class _Recorder:
    """Sends an answer on and keeps a copy."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._size = 0
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._size += len(message.get("body", b""))
        if self._size <= KEPT_BYTES:
            copy = dict(message)
            if "headers" in copy:
                copy["headers"] = list(copy["headers"])
            self.messages.append(copy)
        await self._send(message)

    def is_final(self) -> bool:
        """Whether the answer is whole, small, no failure of ours, and says what became of the request."""
        if not self.messages or self._size > KEPT_BYTES:
            return False
        whole = not self.messages[-1].get("more_body", False) and self.messages[-1]["type"] == "http.response.body"
        status = self.messages[0]["status"]
        return whole and status < 500 and status != 202


def _digest(scope: Scope, headers: Headers, body: bytes) -> bytes:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    text = b"\n".join((scope["query_string"], kind.encode(), body))
    return hashlib.blake2b(text, digest_size=32).digest()


def _refused(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text, "fields": []}, status)
