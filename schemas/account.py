"""Account tags: two-byte names of accounts, for the compact reservations of smart sending."""

from __future__ import annotations

from hashlib import blake2b

TAGS = 65_535
"""1 … 65,535; 0 is an account that is not known."""


def account_tag(account: str) -> int:
    """The tag of an account's name. Two names may have one tag: settings refuse that where either has caps."""
    return 1 + int.from_bytes(blake2b(account.encode(), digest_size=8).digest(), "big") % TAGS
