"""Signatures of the POSTs of alerts, by Standard Webhooks 1.0: whoever gets one can tell that it is ours and recent.

An account's secret follows from the installation's key, the account and a number that its administrator raises to
replace it, so none is stored.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final

PREFIX: Final = "whsec_"


def secret_of(key: bytes, account: str, number: int) -> str:
    """The secret as libraries of Standard Webhooks take it: `whsec_` and 32 octets in base64."""
    octets = hmac.digest(key, f"longwave alert webhooks\0{account}\0{number}".encode(), "sha256")
    return PREFIX + base64.b64encode(octets).decode()


def signed(secret: str, message: str, now: int, body: bytes) -> dict[str, str]:
    """The headers of a POST sent at `now` (ms); `message` names it, the same at every attempt."""
    seconds = str(now // 1000)
    content = b".".join((message.encode(), seconds.encode(), body))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return {"webhook-id": message, "webhook-timestamp": seconds, "webhook-signature": f"v1,{signature}"}
