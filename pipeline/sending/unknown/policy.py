"""Which policies for unknown outcomes an aggregator supports (rule L4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from schemas.campaign import UnknownPolicy


class Abilities(Protocol):
    """What is read of an aggregator account's capabilities (`adapters.ports.Capabilities`)."""

    @property
    def refuses_repeats(self) -> bool: ...
    @property
    def answers_queries(self) -> bool: ...
    @property
    def remedies(self) -> Mapping[Literal["refuses_repeats", "answers_queries"], str]: ...


def unsupported(policy: UnknownPolicy, aggregator: str, able: Abilities) -> str:
    """Why a campaign with this policy cannot use this aggregator, and what to do; "" if it can."""
    where = f"aggregators.{aggregator}"
    if policy == "resend-with-key" and not able.refuses_repeats:
        return (
            f'unknown: "resend-with-key" needs an aggregator that refuses a message id twice, and {where} '
            f'does not{_see(able.remedies.get("refuses_repeats"))}; choose "skip", "resend" or "query", '
            "or another sender"
        )
    if policy == "query" and not able.answers_queries:
        return (
            f'unknown: "query" needs an aggregator that can be asked what became of a message, and {where} '
            f'cannot{_see(able.remedies.get("answers_queries"))}; choose "skip", "resend" or "resend-with-key", '
            "or another sender"
        )
    return ""


def _see(setting: str | None) -> str:
    return f" (its setting {setting} says so)" if setting else ""
