"""Keys of the API: who may do what, for which accounts. Only hashes of their secrets are kept."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from schemas.wire import Campaign, Codec, Millis, Record

Scope = Literal["read", "operate", "admin", "numbers"]
"""`read`: see campaigns and figures; `operate`: change them; `admin`: accounts, prices, keys and the audit log. Each
includes those before it. `numbers`: see phone numbers."""
SCOPES: Final[tuple[Scope, ...]] = ("read", "operate", "admin", "numbers")


class ApiKey(Record, tag="key", kw_only=True):
    """Topic `keys`, keyed by id (or `FIRST`): a key as of its newest change. A revoked one stays, so that the audit
    log can name it."""

    id: Campaign
    """Of the same form as a campaign's."""
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the secret (`pipeline.identity.api_keys`)."""
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    accounts: list[str] = msgspec.field(default_factory=list)
    """Names of the accounts that it is for; [] = every account."""
    created: Millis
    by: str = ""
    """Who made it."""
    expires: Millis = 0
    """From when on it does not hold any more; 0 for never."""
    revoked: Millis = 0
    """When it was revoked; 0 for not."""
    revoked_by: str = ""
    replaces: str = ""
    """The id of the key that was rotated into this one."""


FIRST: Final = "first"
"""The Kafka key of a claim to be an installation's first key; it is no id of a key. Several processes that start at
once may each write one: that which stands first in the log holds. The key itself is written under its id after that,
and once there is a key, nobody looks at claims."""

KEYS: Final = Codec[ApiKey](ApiKey)
