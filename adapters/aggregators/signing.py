"""Signatures of the generic HTTP batch protocol: of our requests and of the aggregator's callbacks.

`X-Longwave-Timestamp`: seconds since the epoch, decimal. `X-Longwave-Signature`: hex HMAC-SHA256 with the shared
secret over timestamp + "." + body. The timestamp bounds how long a copied request can be replayed.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, Literal

TIMESTAMP_HEADER: Final = "X-Longwave-Timestamp"
SIGNATURE_HEADER: Final = "X-Longwave-Signature"
TOLERANCE_SECONDS: Final = 300
"""How far the two clocks may be apart, either way, transit included."""

Verdict = Literal["ok", "missing", "wrong", "old"]

_SECONDS = re.compile(r"[0-9]{1,12}")


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature (64 hex digits) of a body sent at `timestamp`."""
    return hmac.digest(secret, timestamp.encode("ascii") + b"." + body, "sha256").hex()


def signed(secret: bytes, now_ms: int, body: bytes) -> dict[str, str]:
    """The headers of a signed request."""
    timestamp = str(now_ms // 1000)
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: sign(secret, timestamp, body)}


def check(secret: bytes, timestamp: str | None, signature: str | None, body: bytes, now_ms: int) -> Verdict:
    """Whether a request is genuine and recent; compares in constant time, never raises over what came in.

    The signature is checked before the age, so that "old" is said only to who knows the secret.
    """
    if not timestamp or not signature:
        return "missing"
    if not _SECONDS.fullmatch(timestamp):
        return "wrong"
    expected = sign(secret, timestamp, body).encode("ascii")
    if not hmac.compare_digest(expected, signature.encode("utf-8", "replace")):
        return "wrong"
    return "ok" if abs(now_ms // 1000 - int(timestamp)) <= TOLERANCE_SECONDS else "old"
