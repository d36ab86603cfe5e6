"""Which lanes carry a sender."""

from __future__ import annotations

from hashlib import blake2b

from schemas.accounts import SenderDocument


def home_lane(account: str, lanes: int) -> int:
    """The lane of `lanes` that carries an account's senders, unless they name others: all of an account's senders in
    one place, so that its limit is exact there."""
    return int.from_bytes(blake2b(account.encode(), digest_size=8).digest(), "big") % lanes


def lanes_of(sender: SenderDocument, lanes: int) -> tuple[int, ...]:
    """The lanes that carry a sender, of `lanes` in all."""
    return tuple(sender.lanes) or (home_lane(sender.account, lanes),)
