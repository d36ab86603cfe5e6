"""Makes accounts, senders, commands and the world around them for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.accounts.changes import apply
from pipeline.accounts.holding import Holding, WaitingCampaign, World
from pipeline.accounts.transitions import Transition, answered
from schemas.accounts import AccountCommand, AccountDocument, AccountsRecord, Change, SenderDocument
from schemas.domains import DomainsDocument

LANES = 8
AT = 1_764_000_000_000
WORLD = World(lanes=LANES, aggregators={"local": True, "far": False}, price_lists=())


def world(*waiting: WaitingCampaign) -> World:
    return replace(WORLD, waiting=waiting)


def change(sender: str = "", expected: int = 0, **spec: Any) -> Change:
    if sender:
        spec = {"number": "+18885550100", **spec}
    return Change(sender=sender, spec=spec, expected=expected)


def removal(sender: str = "", expected: int = 0) -> Change:
    return Change(sender=sender, spec=None, expected=expected)


def command(*changes: Change, at: int = AT, id: str = "c1", account: str = "demo", **more: Any) -> AccountCommand:
    return AccountCommand(id=id, account=account, at=at, by="test", changes=list(changes), **more)


def kept(held: Holding, transition: Transition, id: str = "") -> Holding:
    """What is stored afterwards; `id` is the command's."""
    account, senders, domains = held.account, dict(held.senders), held.domains
    answers = answered(held.answers, "demo", id, transition) if id else None
    for _, record in transition.writes:
        if isinstance(record, AccountDocument):
            account = record
        elif isinstance(record, SenderDocument):
            senders[record.sender] = record
        elif isinstance(record, DomainsDocument):
            domains = record
    return Holding(account, senders, answers or held.answers, domains)


def held(*commands: AccountCommand, around: World = WORLD) -> Holding:
    """What is stored after commands that must all be carried out."""
    holding = Holding()
    for item in commands:
        transition = apply(holding, item, around)
        assert transition.verdict == "done", transition
        holding = kept(holding, transition)
    return holding


def records(holding: Holding) -> list[AccountsRecord]:
    return [*holding.senders.values(), *([holding.account] if holding.account else [])]
