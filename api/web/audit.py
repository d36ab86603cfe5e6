"""What is written to the audit log: changes, answers that give phone numbers away, and refusals of a key."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from msgspec.structs import replace
from starlette.datastructures import Headers
from starlette.types import Scope

from adapters.clock import now_ms
from adapters.ports import Delivered
from api.web.caller import HEADER, READING, Caller, address_of, said
from schemas import topics
from schemas.audit import AuditEntry
from schemas.wire import encode

if TYPE_CHECKING:
    from api.services import Services

log = logging.getLogger(__name__)

_NUMBERS: Final = re.compile(
    r"/v1/(contacts/.*|inbox|unreachable.*|optouts/.*|campaigns/[^/]*/export|accounts/[^/]*/alerts/secret)"
)
_CAMPAIGN: Final = re.compile(r"/v1/campaigns/([0-9a-hjkmnp-tv-z]{8})(/.*)?")
_DIGITS: Final = re.compile(r"[0-9]{5,}")
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Changed:
    """What a request changed of an account: what was there before and after, in JSON."""

    account: str
    before: str = ""
    after: str = ""


_changes: ContextVar[list[Changed] | None] = ContextVar("changes", default=None)


def changes_begin() -> list[Changed]:
    """Where the routes that answer this request note what they change."""
    noted: list[Changed] = []
    _changes.set(noted)
    return noted


def note_change(account: str, before: object, after: object) -> None:
    """What the request that is being answered has changed; None is nothing. Only what may stand in the log."""
    noted = _changes.get()
    if noted is not None:
        noted.append(Changed(account, _json(before), _json(after)))


def _json(value: object) -> str:
    return "" if value is None else orjson.dumps(value).decode()


def record(
    services: Services, scope: Scope, who: Caller | None, status: int, changes: Sequence[Changed] = ()
) -> None:
    """Write an entry for a request, if it is one to be kept, or one for each of its changes. Does not wait for Kafka,
    which says in the log if it refuses."""
    method, path = scope["method"], scope["path"]
    if not _is_kept(method, path, status, has_key="authorization" in Headers(scope=scope) or who is not None):
        return
    match = _CAMPAIGN.fullmatch(path)
    document = services.campaigns.get(match[1]) if match else None
    entry = AuditEntry(
        id="",
        at=now_ms(),
        key=who.key.id if who else "",
        name=who.key.name if who else "",
        who=who.who if who else said(Headers(scope=scope).get(HEADER, "")),
        address=address_of(scope),
        method=method,
        path=_masked(path),
        account=document.account if document else "",
        campaign=match[1] if match else "",
        status=status,
    )
    for change in changes or [Changed(entry.account)]:
        changed = replace(
            entry, id=uuid.uuid4().hex, account=change.account, before=change.before, after=change.after
        )
        services.producer.send(topics.AUDIT.name, encode(changed), key=changed.key.encode()).add_done_callback(_check)


def _is_kept(method: str, path: str, status: int, *, has_key: bool) -> bool:
    if status in (401, 403):
        return has_key
    if status in (429, 503):
        return False
    return method not in READING or bool(_NUMBERS.fullmatch(path))


def _masked(path: str) -> str:
    return _DIGITS.sub(lambda digits: f"{digits[0][:3]}…{digits[0][-2:]}", path)[:LONGEST]


def _check(sent: asyncio.Future[Delivered]) -> None:
    if not sent.cancelled() and sent.exception() is not None:
        log.error("an entry of the audit log was not written: %s", sent.exception())
