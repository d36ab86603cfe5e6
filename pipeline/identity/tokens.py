"""Names of messages that travel outside of Longwave: message ids and click tokens.

A message is (campaign, message, ordinal). Its id, "CAMPAIGN-MESSAGE-ORDINAL", is the idempotency key at the
aggregator and comes back in receipts. A click token carries the same and the index of a link, and a MAC, so
that nobody can make one: 11 octets (campaign 40 bits, message u8, ordinal u32, link u8, big endian) and the
first 6 octets of keyed BLAKE2b over them, in base64url without padding: 23 characters.

48 bits of MAC: a guess succeeds once in 2.8e14, and what it would gain is one false click. The last character stands
for four bits and two zeros, so it is a letter or a digit: phones leave a `-` at the end of a link out. What a
phone takes along (a full stop, a bracket, a word that was glued to it) is cut off before a token is read
(`without_tail`).
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.identity.crockford import CAMPAIGN_OCTETS, campaign_from_octets, campaign_to_octets

TOKEN_LENGTH: Final = 23
MAX_MESSAGE: Final = 0xFF
MAX_LINK: Final = 0xFF
MAX_ORDINAL: Final = 0xFFFF_FFFF

_MAC_OCTETS: Final = 6
_FIELDS = Struct(f">{CAMPAIGN_OCTETS}sBIB")
_PERSON: Final = b"longwave-click"  # a key that also signs something else gives other MACs there
_TOKEN = re.compile(r"[A-Za-z0-9_-]{23}")
_TOKEN_CHARACTERS = re.compile(r"[A-Za-z0-9_-]+")
_MESSAGE_ID = re.compile(r"([0-9a-hjkmnp-tv-z]{8})-(0|[1-9][0-9]{0,2})-(0|[1-9][0-9]{0,9})")

Ordinals = Sequence[int] | NDArray[np.integer]


class MessageId(NamedTuple):
    """One message to one recipient."""

    campaign: str
    message: int
    ordinal: int


class ClickToken(NamedTuple):
    """The content of a genuine click token."""

    campaign: str
    message: int
    ordinal: int
    link: int


def new_campaign_id(random_bytes: bytes) -> str:
    """The campaign id of 5 octets, which the caller draws. Raises ValueError for another length."""
    return campaign_from_octets(random_bytes)


def campaign_id_of(account: str, key: str) -> str:
    """The id of the campaign that an account's files call `key`: there can only be one."""
    named = f"{account}\n{key}".encode()
    return campaign_from_octets(blake2b(named, digest_size=CAMPAIGN_OCTETS, person=b"campaign-key").digest())


def message_id(campaign: str, message: int, ordinal: int) -> str:
    """`CAMPAIGN-MESSAGE-ORDINAL`, decimal. Raises ValueError for what is out of range."""
    return message_ids(campaign, message, [ordinal])[0]


def message_ids(campaign: str, message: int, ordinals: Ordinals) -> list[str]:
    """The message ids of a chunk, in the order of `ordinals`."""
    campaign_to_octets(campaign)
    _check("message", message, MAX_MESSAGE)
    prefix = f"{campaign}-{message}-"
    return [f"{prefix}{ordinal}" for ordinal in _column(ordinals).tolist()]


def parse_message_id(text: str) -> MessageId | None:
    """The message named by `text`, None unless it is exactly what `message_id` writes."""
    match = _MESSAGE_ID.fullmatch(text)
    if not match:
        return None
    parsed = MessageId(match[1], int(match[2]), int(match[3]))
    return parsed if parsed.message <= MAX_MESSAGE and parsed.ordinal <= MAX_ORDINAL else None


def click_tokens(key: bytes, campaign: str, message: int, link: int, ordinals: Ordinals) -> list[str]:
    """The tokens of one link for a chunk, in the order of `ordinals`. `key`: 16 to 64 secret octets."""
    signer = _signer(key)
    column = _column(ordinals)
    _check("message", message, MAX_MESSAGE)
    _check("link", link, MAX_LINK)
    octets = np.zeros((len(column), 18), np.uint8)  # 17, and one so that each row is 24 whole characters
    octets[:, :5] = np.frombuffer(campaign_to_octets(campaign), np.uint8)
    octets[:, 5] = message
    octets[:, 6:10] = column.astype(">u4").view(np.uint8).reshape(-1, 4)
    octets[:, 10] = link
    octets[:, 11:17] = _macs(signer, octets[:, :11].tobytes())
    characters = urlsafe_b64encode(octets.tobytes()).decode("ascii")
    return [characters[at : at + TOKEN_LENGTH] for at in range(0, len(characters), TOKEN_LENGTH + 1)]


def parse_click_token(key: bytes, token: str) -> ClickToken | None:
    """The content of a token, None if it is malformed or was not made with `key`; no token makes it raise.

    The comparison takes the same time wherever a forged MAC differs. Raises ValueError for a bad key.
    """
    signer = _signer(key)
    if not _TOKEN.fullmatch(token):
        return None
    octets = urlsafe_b64decode(f"{token}=")
    # The last character has two bits to spare: without this, four tokens would mean the same click.
    if urlsafe_b64encode(octets)[:TOKEN_LENGTH] != token.encode("ascii"):
        return None
    signer.update(octets[: _FIELDS.size])
    if not compare_digest(signer.digest(), octets[_FIELDS.size :]):
        return None
    campaign, message, ordinal, link = _FIELDS.unpack_from(octets)
    return ClickToken(campaign_from_octets(campaign), message, ordinal, link)


def without_tail(text: str, length: int) -> str:
    """The token of a link that a phone made of a text: up to the first character that no token has, at most `length`
    characters. What a token's MAC covers is cut off nowhere."""
    match = _TOKEN_CHARACTERS.match(text)
    return match[0][:length] if match else ""


def _signer(key: bytes) -> blake2b:
    if not 16 <= len(key) <= 64:
        raise ValueError(f"the key of click tokens has 16 to 64 octets, not {len(key)}")
    return blake2b(digest_size=_MAC_OCTETS, key=key, person=_PERSON)


def _macs(signer: blake2b, messages: bytes) -> NDArray[np.uint8]:
    """MACs (n, 6) of n messages of 11 octets; copying the keyed state is cheaper than keying it again."""
    size, copy, macs = _FIELDS.size, signer.copy, []
    for at in range(0, len(messages), size):
        mac = copy()
        mac.update(messages[at : at + size])
        macs.append(mac.digest())
    return np.frombuffer(b"".join(macs), np.uint8).reshape(-1, _MAC_OCTETS)


def _column(ordinals: Ordinals) -> NDArray[np.integer]:
    column = np.asarray(ordinals)
    if not column.size:
        return np.zeros(0, np.uint32)
    if column.dtype.kind not in "iu" or column.min() < 0 or column.max() > MAX_ORDINAL:
        raise ValueError(f"ordinals are whole numbers from 0 to {MAX_ORDINAL}")
    return column


def _check(what: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise ValueError(f"{what} {value} is not between 0 and {most}")
