"""What somebody did, or tried to do, through the API."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from schemas.wire import Codec, Millis, Record


class AuditEntry(Record, tag="audit", kw_only=True):
    """Topic `audit`, keyed by the key's id: a request that changed something, gave phone numbers away, or was refused
    for its key."""

    id: str
    """Names the request; a batch that is written twice is one entry."""
    at: Millis
    key: str
    """The key's id; "" where none was recognized."""
    name: str
    """The key's name."""
    who: str
    """Who used it, as they say themselves; "" if they do not."""
    address: str
    """Where the request came from."""
    method: str
    path: str
    """With phone numbers masked."""
    account: str = ""
    """The account that it was about; "" for none or several."""
    campaign: str = ""
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    """The HTTP status of the answer."""
    before: str = ""
    """Of a changed account, sender or price list, what was there, as JSON under its key; "" if nothing was."""
    after: str = ""
    """What was there then; "" if nothing was."""


AUDIT: Final = Codec[AuditEntry](AuditEntry)
