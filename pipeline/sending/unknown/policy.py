"""Which policies for unknown outcomes an aggregator supports (rule L4)."""

from __future__ import annotations

from schemas.campaign import UnknownPolicy


def unsupported(policy: UnknownPolicy, aggregator: str, *, refuses_repeats: bool, answers_queries: bool) -> str:
    """Why a campaign with this policy cannot use this aggregator, and what to do; "" if it can."""
    where = f"aggregators.{aggregator}"
    if policy == "resend-with-key" and not refuses_repeats:
        return (
            f'unknown: "resend-with-key" needs an aggregator that refuses a message id twice, and {where} '
            'does not (http-batch: idempotency_keys); choose "skip", "resend" or "query", or another sender'
        )
    if policy == "query" and not answers_queries:
        return (
            f'unknown: "query" needs an aggregator that can be asked what became of a message, and {where} '
            'cannot (http-batch: query_url); choose "skip", "resend" or "resend-with-key", or another sender'
        )
    return ""
