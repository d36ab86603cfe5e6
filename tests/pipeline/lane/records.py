"""Records of a lane's log, short to write in a test."""

from __future__ import annotations

from typing import Any

from pipeline.lane.fold import Effect, apply
from pipeline.lane.state import LaneState
from schemas.lane import (
    LANES,
    AccountTerms,
    Control,
    DomainLimit,
    DomainTerms,
    FlightResult,
    Intent,
    LaneMessage,
    LaneRecord,
    LaneSettings,
    Owner,
    Pick,
    Result,
    SenderTerms,
    Work,
    flight_id,
)
from schemas.lane import ResultGroup as Group
from schemas.status import StatusChunk
from schemas.wire import encode

A, B, C, D, E, F = (letter * 8 for letter in "abcdef")
DEMO = ("demo", "main")
"""The account and sender of a test that has one."""


def settings(
    unknown: Any = "skip",
    priority: Any = "normal",
    weight: int = 1,
    deadline: int | None = None,
    transactional: bool = False,
    resend_attempts: int = 2,
    resolved: bool = False,
    lateness: int | None = None,
    text: str = "hi",
) -> Any:
    return LaneSettings(
        messages=[LaneMessage(text=text, links=["default"] if "{link}" in text else [])],
        priority=priority,
        weight=weight,
        deadline=deadline,
        unknown=unknown,
        resend_attempts=resend_attempts,
        transactional=transactional,
        resolved=resolved,
        lateness=lateness,
    )


def control(campaign: str = A, state: Any = "running", revision: int = 1, at: int = 0, **more: Any) -> Control:
    return Control(campaign=campaign, revision=revision, state=state, settings=settings(**more), at=at)


def work(
    ordinals: list[int],
    campaign: str = A,
    dues: list[tuple[int, int]] | None = None,
    at: int = 0,
    segments: list[int] | None = None,
    sender: tuple[str, str] = DEMO,
) -> Work:
    n = len(ordinals)
    return Work(
        campaign=campaign,
        message=0,
        account=sender[0],
        sender=sender[1],
        at=at,
        ordinals=ordinals,
        numbers=[12125550000 + ordinal for ordinal in ordinals],
        segments=segments or [1] * n,
        prices=[7500] * n,
        dues=dues or [(n, at)],
        zones=["America/New_York"],
        zone=[0] * n,
        fields={"name": ["Ann"] * n},
    )


def owner(nonce: str = "n", at: int = 0) -> Owner:
    return Owner(worker="w", nonce=nonce, at=at)


def intent(epoch: int, slices: list[tuple[int, int, int]], campaign: str = A, at: int = 0) -> Intent:
    return intent_of(epoch, (campaign, slices), at=at)


def domain_terms(
    *domains: tuple[str, Any, int | None], account: str = "demo", revision: int = 1, **more: Any
) -> DomainTerms:
    """With (name, kind, messages) of each domain; both kinds are required."""
    limits = [DomainLimit(name=name, use=use, messages=messages) for name, use, messages in domains]
    required = more.pop("required", ["short", "opt-out"])
    return DomainTerms(account=account, revision=revision, domains=limits, required=required, at=more.pop("at", 0))


def intent_of(epoch: int, *picks: tuple[str, list[tuple[int, int, int]]], at: int = 0) -> Intent:
    """An INTENT with a pick for each (campaign, slices)."""
    chosen = [Pick(campaign=campaign, message=0, slices=slices) for campaign, slices in picks]
    return Intent(epoch=epoch, picks=chosen, at=at)


def flight_of(of: int, pick: int = 0) -> int:
    """Names a pick of the INTENT at an offset."""
    return flight_id(of, pick)


def result(of: int, *groups: Group, at: int = 0, pick: int = 0, asked: bool = False) -> Result:
    landed = FlightResult(flight=flight_id(of, pick), groups=list(groups))
    return Result(flights=[landed], at=at, asked=asked)


def account_terms(account: str = "demo", rate: float = 10_000.0, revision: int = 1, **more: Any) -> AccountTerms:
    return AccountTerms(account=account, revision=revision, rate=rate, at=more.pop("at", 0), **more)


def sender_terms(
    sender: tuple[str, str] = DEMO, rate: float = 1000.0, revision: int = 1, aggregator: str = "any", **more: Any
) -> SenderTerms:
    account, name = sender
    return SenderTerms(
        account=account,
        sender=name,
        revision=revision,
        number="+18005550100",
        aggregator=aggregator,
        rate=rate,
        at=more.pop("at", 0),
        **more,
    )


class Log:
    """A log that is folded as it is written, through the bytes that Kafka would carry."""

    def __init__(self) -> None:
        self.state = LaneState()
        self.raws: list[bytes] = []
        self.effects: list[list[Effect]] = []

    def add(self, record: LaneRecord) -> list[Effect]:
        raw = encode(record)
        self.raws.append(raw)
        effects = apply(self.state, len(self.raws) - 1, LANES.decode(raw), raw)
        self.effects.append(effects)
        return effects

    @property
    def end(self) -> int:
        return len(self.raws)


def said(effects: list[Effect]) -> list[tuple[str, list[int], str, int]]:
    """(state, ordinals, reason, attempt) of each status group."""
    return [
        (group.state, group.ordinals, group.reason, group.attempt)
        for effect in effects
        if isinstance(effect, StatusChunk)
        for group in effect.groups
    ]
