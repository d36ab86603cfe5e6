"""Keys of the API as text: `lw_ID_SECRET`, both parts in Crockford's base 32. The id is no secret and names the key
in lists and logs.

A secret has 200 random bits, so a plain hash is enough: there is no list of likely ones to try, which is what slow
hashes (Argon2, bcrypt) are against (NIST SP 800-63B, 5.1.2, look-up secrets of at least 112 bits).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.identity.crockford import CAMPAIGN_OCTETS, campaign_from_octets
from schemas.keys import ApiKey, Scope

SECRET_OCTETS: Final = 25
KEY_OCTETS: Final = CAMPAIGN_OCTETS + SECRET_OCTETS
"""Random octets that a key is made of."""
_KEY: Final = re.compile(r"lw_([0-9a-hjkmnp-tv-z]{8})_([0-9a-hjkmnp-tv-z]{40})")
_INCLUDED: Final[dict[Scope, frozenset[Scope]]] = {
    "read": frozenset({"read"}),
    "operate": frozenset({"read", "operate"}),
    "admin": frozenset({"read", "operate", "admin"}),
    "numbers": frozenset({"numbers"}),
}


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key as its owner has it."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"lw_{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"lw_{self.id}_…"


def made(octets: bytes) -> KeyText:
    """The key of `KEY_OCTETS` random octets."""
    parts = [octets[start : start + CAMPAIGN_OCTETS] for start in range(0, KEY_OCTETS, CAMPAIGN_OCTETS)]
    key_id, *secret = [campaign_from_octets(part) for part in parts]
    return KeyText(key_id, "".join(secret))


def parsed(text: str) -> KeyText | None:
    """The key in `text`, None if it is none."""
    match = _KEY.fullmatch(text.strip())
    return None if match is None else KeyText(match[1], match[2])


def hash_of(key: KeyText) -> str:
    """What is kept of a key: SHA-256 of its secret in hexadecimal."""
    return hashlib.sha256(key.secret.encode()).hexdigest()


def fits(known: ApiKey, given: KeyText) -> bool:
    """Whether `given` is the key `known`, in a time that says nothing about the secret."""
    return known.id == given.id and hmac.compare_digest(known.hash, hash_of(given))


def state(key: ApiKey, now: int) -> Literal["active", "expired", "revoked"]:
    """What a key is at `now` (ms)."""
    if key.revoked:
        return "revoked"
    return "expired" if key.expires and key.expires <= now else "active"


def has_scope(key: ApiKey, wanted: Scope) -> bool:
    """Whether a key has a scope, by itself or in another one."""
    return any(wanted in _INCLUDED[scope] for scope in key.scopes)


def is_for(key: ApiKey, account: str) -> bool:
    """Whether a key is for an account. "" is what concerns every account: only a key for every account is for it."""
    return not key.accounts or account in key.accounts


def covers(key: ApiKey, other: ApiKey) -> bool:
    """Whether a key may make or revoke another: it is for every account that the other is for, and has its scopes."""
    accounts = not key.accounts or (bool(other.accounts) and set(other.accounts) <= set(key.accounts))
    return accounts and all(has_scope(key, scope) for scope in other.scopes)
