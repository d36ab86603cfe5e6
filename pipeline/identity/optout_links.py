"""Tokens of opt-out links: the number that opts out, and the campaign whose text had the link. They cannot be forged.

A token must name the number itself, since the ingress has no audience to look an ordinal up in; and it must not show
it, since links are logged and forwarded. So it is 18 octets in base64url, 24 characters: the content (number 7
octets, campaign 5) under a key stream drawn from its MAC, then that MAC (first 6 octets of keyed BLAKE2b). The same
recipient of the same campaign always has the same token.

A phone that makes a link of what looks like one leaves a `-` at its end out. So one bit of the MAC is always 0, which
makes the last character a letter. What a phone takes along (a full stop, a bracket, a word that was glued to it) is
cut off before a token is read (`pipeline.identity.tokens.without_tail`).

47 bits of MAC: a guess succeeds once in 1.4e14, and what it would gain is one false opt-out.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Final, NamedTuple

from pipeline.identity.crockford import CAMPAIGN_OCTETS, campaign_from_octets, campaign_to_octets

TOKEN_LENGTH: Final = 24
LIKE_A_TOKEN: Final = "0" * TOKEN_LENGTH
"""Placeholder for a token where only its length matters."""

_MAC: Final = 6
_NUMBER: Final = 7
_CONTENT: Final = _NUMBER + CAMPAIGN_OCTETS
_LARGEST: Final = 999_999_999_999_999
_TOKEN = re.compile(r"[A-Za-z0-9_-]{24}")
_LAST_IS_A_LETTER: Final = 0b1101_1111
"""Of the last octet the top one of the six bits that the last character stands for: without it that is A to f."""


class OptOutToken(NamedTuple):
    """The content of a genuine token: E.164 digits, and the campaign."""

    number: int
    campaign: str


def optout_tokens(key: bytes, campaign: str, numbers: Sequence[int]) -> list[str]:
    """The token of each number. `key`: 16 to 64 secret octets. Raises ValueError for a bad key or number."""
    signer, streamer = _keyed(key)
    tail = campaign_to_octets(campaign)
    tokens: list[str] = []
    for number in numbers:
        if not 0 < number <= _LARGEST:
            raise ValueError(f"{number} is no E.164 number")
        content = number.to_bytes(_NUMBER, "big") + tail
        mac = _mac(signer, content)
        tokens.append(urlsafe_b64encode(_xored(content, _digest(streamer, mac)) + mac).decode("ascii"))
    return tokens


def parse_optout_token(key: bytes, token: str) -> OptOutToken | None:
    """The content of a token, None if it is malformed or was not made with `key`; no token makes it raise."""
    signer, streamer = _keyed(key)
    if not _TOKEN.fullmatch(token):
        return None
    octets = urlsafe_b64decode(token)
    mac = octets[_CONTENT:]
    content = _xored(octets[:_CONTENT], _digest(streamer, mac))
    if not compare_digest(_mac(signer, content), mac):
        return None
    return OptOutToken(int.from_bytes(content[:_NUMBER], "big"), campaign_from_octets(content[_NUMBER:]))


def _keyed(key: bytes) -> tuple[blake2b, blake2b]:
    """The MAC's and the key stream's hash: persons of their own, so that one key gives unrelated values."""
    if not 16 <= len(key) <= 64:
        raise ValueError(f"the key of tokens has 16 to 64 octets, not {len(key)}")
    return (
        blake2b(digest_size=_CONTENT, key=key, person=b"longwave-optout"),
        blake2b(digest_size=_CONTENT, key=key, person=b"longwave-outkey"),
    )


def _mac(signer: blake2b, content: bytes) -> bytes:
    mac = bytearray(_digest(signer, content)[:_MAC])
    mac[-1] &= _LAST_IS_A_LETTER
    return bytes(mac)


def _digest(keyed: blake2b, content: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(content)
    return mac.digest()


def _xored(content: bytes, stream: bytes) -> bytes:
    return (int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")).to_bytes(_CONTENT, "big")
