"""Which policies for unknown outcomes an aggregator can keep (rule L4)."""

from __future__ import annotations

from schemas.campaign import UnknownPolicy


def unsupported(policy: UnknownPolicy, aggregator: str, *, idempotency_keys: bool, query_url: str) -> str:
    """Why a campaign with this policy cannot go to this aggregator, and what to do; "" if it can."""
    where = f"aggregators.{aggregator}"
    if policy == "resend-with-key" and not idempotency_keys:
        return (
            f'unknown: "resend-with-key" needs an aggregator that refuses a message id twice, and {where}.'
            'idempotency_keys is false; choose "skip", "resend" or "query", or another sender'
        )
    if policy == "query" and not query_url:
        return (
            f'unknown: "query" needs an aggregator that can be asked what became of a message, and {where}.query_url '
            'is not set; set it, or choose "skip", "resend" or "resend-with-key", or another sender'
        )
    return ""
