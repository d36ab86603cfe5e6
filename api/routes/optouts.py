"""Routes of opt-outs and holds, and of our replies to inbound texts."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from adapters.clickhouse.consents import COLUMNS, Change, current_changes, export, history, reply_figures
from adapters.clock import now_ms
from adapters.kafka.consents import emit_consent
from api.csv_answer import csv_answer
from api.services import Services, services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.numbers import number_of, refusal
from pipeline.eligibility.optouts import reason_of
from pipeline.numbers.numbering import Accepted, read
from schemas.feedback import Consent
from schemas.json import JsonObject
from schemas.reasons import Reason
from schemas.times import iso_of

router = APIRouter(prefix="/v1", tags=["opt-outs"])
Shared = Annotated[Services, Depends(services)]
MOST_NUMBERS = 10_000
"""Most numbers in one request; for more use `longwave optouts import`."""


Account = Annotated[str, Field(max_length=64, pattern="^([a-z0-9][a-z0-9_-]*)?$")]
"""Name of an account; "" = every account."""


class OptOutsBody(BaseModel):
    """Numbers to opt out, with the evidence."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    numbers: Annotated[list[str], Field(min_length=1, max_length=MOST_NUMBERS)]
    """With + and country code."""
    evidence: Annotated[str, Field(max_length=2000)] = ""
    """What the person said or did; kept forever."""
    account: Account = ""
    """The account whose messages they do not want; "" = every account."""


class OptInBody(BaseModel):
    """Why a number may get messages again."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    """What the person agreed to, when and how: without it a number is not taken off."""
    account: Account = ""
    """By whom; "" = by every account."""


class HoldBody(BaseModel):
    """What an operator decided about texts that only look like an opt-out."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    decision: Literal["out", "clear"]
    """It is an opt-out, or it is none."""
    hold: Annotated[str, Field(max_length=32, pattern="^[0-9a-f]*$")] = ""
    """Of this text only; "" = of every text of the number that waits."""
    who: Annotated[str, Field(max_length=100)] = ""
    """Who decided: kept with the change."""
    evidence: Annotated[str, Field(max_length=2000)] = ""
    """Why."""


@router.post("/optouts")
async def add(body: OptOutsBody, shared: Shared) -> JsonObject:
    """Record opt-outs, one by one: what cannot be read is in `refused`, and keeps nobody else's opt-out from being
    recorded; 422 if none can be read. The answer comes when Kafka has acknowledged them; within a second no lane
    submits to these numbers any more, waiting messages included."""
    numbers, wrong = _numbers(body.numbers)
    if not numbers:
        raise ApiError(422, f"nothing recorded: {wrong[0]['field']}: {wrong[0]['error']}", fields=wrong)
    _check_account(shared, body.account)
    now = now_ms()
    await _write(shared, [
        Consent(account=body.account, number=number, state="out", at=now, source="api", evidence=body.evidence)
        for number in dict.fromkeys(numbers)
    ])  # fmt: skip
    return {"recorded": len(set(numbers)), "refused": wrong}


@router.delete("/optouts/{number}")
async def remove(number: str, body: OptInBody, shared: Shared) -> JsonObject:
    """Record that a number may be written to again, by one account or by all. A text of theirs that waits for an
    operator still holds them: `POST /v1/optouts/{number}/holds` decides about that."""
    digits = number_of(number)
    _check_account(shared, body.account)
    whose = {body.account}
    changes = await asyncio.to_thread(history, shared.figures.store, digits)
    if not body.account:
        closed = {
            account for (account, hold), last in current_changes(changes).items() if not hold and last.state != "in"
        }
        whose = closed or whose
    now = now_ms()
    await _write(shared, [
        Consent(account=account, number=digits, state="in", at=now, source="api", evidence=body.evidence)
        for account in sorted(whose)
    ])  # fmt: skip
    held = any(hold and last.state == "held" for (_, hold), last in current_changes(changes).items())
    return {"recorded": 1, "held": held}


@router.post("/optouts/{number}/holds")
async def decide(number: str, body: HoldBody, shared: Shared) -> JsonObject:
    """Decide about texts that look like an opt-out and hold their number. Deciding ends just those holds: a STOP that
    came meanwhile stays, and so does the hold of another text."""
    digits = number_of(number)
    changes = await asyncio.to_thread(history, shared.figures.store, digits)
    waiting = [
        last
        for (_, hold), last in current_changes(changes).items()
        if hold and last.state == "held" and body.hold in ("", hold) and caller().sees(last.account)
    ]
    if not waiting:
        raise ApiError(
            404, f"+{digits}: no text of this number waits for a decision; someone may have decided already"
        )
    now = now_ms()
    released = [
        Consent(
            account=change.account, number=digits, state="in", at=now, source="review", who=body.who,
            hold=change.hold, evidence=_evidence(change, body),
        )
        for change in waiting
    ]  # fmt: skip
    if body.decision == "out":
        await _write(shared, [
            replace(decided, state="out", hold="", word=change.word, rule=change.rule)
            for decided, change in zip(released, waiting, strict=True)
        ])  # fmt: skip
    await _write(shared, released)
    return {"decided": len(waiting)}


@router.get("/optouts/export")
async def exported(
    shared: Shared, current: Annotated[bool, Query(description="Only who is opted out now.")] = False
) -> StreamingResponse:
    """Every consent change with its evidence, as CSV, in order of number and time."""
    who = caller()
    who.check_numbers("consent changes")
    pages = (
        [change for change in page if who.sees(change.account)]
        for page in export(shared.figures.store, current=current)
    )
    return await csv_answer("optouts.csv", COLUMNS, filter(None, pages), _row)


@router.get("/optouts/{number}")
async def show(number: str, shared: Shared) -> JsonObject:
    """Who may write to a number, and every change of it; as ClickHouse has it, a second behind Kafka. `accounts` says
    for each account why it may not ("" = it may), by the rule that lanes go by."""
    digits = number_of(number)
    who = caller()
    known = await asyncio.to_thread(history, shared.figures.store, digits)
    # What is for every account decides about theirs too.
    changes = [change for change in known if not change.account or who.sees(change.account)]
    states = {key: change.state for key, change in current_changes(changes).items()}
    named = {*shared.accounts.names(), *(account for account, _ in states if account)}
    names = sorted(name for name in named if who.sees(name))
    accounts = {name: reason_of(name, states) for name in names}
    return {
        "number": f"+{digits}",
        "opted_out": Reason.OPTED_OUT in accounts.values(),
        "held": any(hold and state == "held" for (_, hold), state in states.items()),
        "accounts": accounts,
        "history": [_as_json(change) for change in changes],
    }


@router.get("/replies")
async def replies(shared: Shared) -> JsonObject:
    """Our replies by sender: kinds, states, segments, and cost in millionths of a credit."""
    figures = await asyncio.to_thread(reply_figures, shared.figures.store)
    names = ("account", "sender", "targeted", "kinds", "states", "segments", "spent", "residual")
    mine = [figure for figure in figures if caller().sees(figure.account)]
    return {"senders": [{name: getattr(figure, name) for name in names} for figure in mine]}


def _evidence(held: Change, body: HoldBody) -> str:
    """What held the number comes first: by it the change finds its text."""
    return f"{held.evidence} ({body.evidence})" if body.evidence else held.evidence


def _check_account(shared: Services, account: str) -> None:
    caller().check_account(account)
    if account and shared.accounts.account(account) is None:
        known = ", ".join(name for name in shared.accounts.names() if caller().sees(name)) or "none"
        raise ApiError(422, f"there is no account {account!r}; there is {known}. Nothing was recorded")


async def _write(shared: Services, changes: list[Consent]) -> None:
    shared.check_kafka("recorded")
    writes = [emit_consent(shared.producer, change) for change in changes]
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _numbers(texts: list[str]) -> tuple[list[int], list[dict[str, str]]]:
    numbers: list[int] = []
    wrong: list[dict[str, str]] = []
    for index, text in enumerate(texts):
        figures = read(text, "")
        if isinstance(figures, Accepted):
            numbers.append(figures.number)
        else:
            wrong.append({"field": f"numbers.{index}", "error": f"{text[:40]!r}: {refusal(figures)}"})
    return numbers, wrong


def _as_json(change: Change) -> JsonObject:
    return {
        "at": iso_of(change.at),
        "recorded": iso_of(change.recorded),
        "account": change.account,
        "state": change.state,
        "hold": change.hold,
        "source": change.source,
        "evidence": change.evidence,
        "word": change.word,
        "rule": change.rule,
        "who": change.who,
    }


def _row(change: Change) -> tuple[str, ...]:
    said = {"number": f"+{change.number}", "at": iso_of(change.at), "recorded": iso_of(change.recorded)}
    # What ends a hold is no opt-in: the current consent has a row of its own.
    said["out"] = "cleared" if change.hold and change.state == "in" else change.state
    return tuple(said.get(name) or getattr(change, name) for name in COLUMNS)
