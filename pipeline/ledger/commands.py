"""What each command changes in an account's book, who is answered, and what is said of a low balance.

All that a command changes are facts of their own, and none of them is a difference: a command that comes again, after
all of it was carried out or only a part, adds what is missing and gives its answers again. The available balance
never goes below zero: a reservation must fit into it, a correction too, and what was spent beyond every reservation
is charged only as far as there is something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from pipeline.ledger.book import AccountBook
from pipeline.ledger.sums import charged, held, held_segments, joined, segments_of, total
from schemas.ledger import (
    MOST_MICRO,
    Charge,
    LedgerCommand,
    LedgerRecord,
    Release,
    Reserve,
    Spent,
    TopUp,
    TopUpCommand,
    Watch,
)

Result = Literal["done", "repeated", "refused", "short"]
RESULTS: Final[tuple[Result, ...]] = ("done", "repeated", "refused", "short")


@dataclass(frozen=True, slots=True)
class LowBalance:
    """The available balance is below the account's threshold, for the `crossing`th time."""

    account: str
    crossing: int
    available: int
    threshold: int
    at: int


@dataclass(slots=True)
class Decision:
    """`writes`: the facts that follow, in order. `answers`: charges whose campaign is told how they stand."""

    result: Result = "done"
    writes: list[LedgerRecord] = field(default_factory=list)
    answers: list[Charge] = field(default_factory=list)
    low: LowBalance | None = None


def apply(book: AccountBook, command: LedgerCommand, threshold: int | None = None) -> Decision:
    """Carry out a command about the account of `book`, which has what follows afterwards. `threshold`: below which
    available balance its people are told; None: they are not."""
    decision = Decision()
    change = _Change(book, decision)
    match command:
        case TopUpCommand():
            _top_up(change, command)
        case Reserve():
            _reserve(change, command)
        case Spent():
            _spend(change, command)
        case Release():
            _release(change, command)
    _serve_waiting(change, command.at)
    if not decision.writes:
        _answer_again(change)
    _watch(change, command, threshold)
    return decision


@dataclass(slots=True)
class _Change:
    book: AccountBook
    decision: Decision

    def write(self, record: LedgerRecord) -> None:
        self.book.take(record)
        self.decision.writes.append(record)

    def answer(self, charge: Charge) -> None:
        self.decision.answers.append(charge)


def _top_up(change: _Change, command: TopUpCommand) -> None:
    book = change.book
    if command.id in book.top_ups:
        change.decision.result = "repeated"
        return
    refused = _why_not(book, command.amount)
    top_up = TopUp(
        id=command.id,
        account=command.account,
        amount=command.amount,
        note=command.note,
        at=command.at,
        by=command.by,
        refused=refused,
        available=book.available + (0 if refused else command.amount),
    )
    change.write(top_up)
    if refused:
        change.decision.result = "refused"


def _why_not(book: AccountBook, amount: int) -> str:
    if book.available + amount < 0:
        return "below_zero"
    return "too_much" if book.credited + amount > MOST_MICRO else ""


def _reserve(change: _Change, command: Reserve) -> None:
    book, known = change.book, change.book.charges.get(command.campaign)
    if known is not None and known.launch >= command.revision:
        change.decision.result = "repeated"
        if known.launch == command.revision:
            change.answer(known)
        return
    charge = Charge(
        account=command.account,
        campaign=command.campaign,
        number=1 if known is None else known.number + 1,
        launch=command.revision,
        # What was spent stays paid as it was.
        billing=known.billing if known is not None and known.lines else command.billing,
        state="reserved",
        asked=command.amount,
        asked_at=command.at,
        limit=command.amount,
        asked_segments=command.segments,
        limit_segments=command.segments,
        trial=command.trial,
        lines=[] if known is None else known.lines,
        uncovered=0 if known is None else known.uncovered,
        at=command.at if known is None else max(known.at, command.at),
    )
    # What an earlier launch reserved is free: the coordinator has gone on from it.
    given_back = 0 if known is None else held(known)
    result: Result
    if _exceeds_trial(book, charge, 0 if known is None else held_segments(known)):
        charge, result = _with(charge, state="refused", limit=0, limit_segments=0), "refused"
    else:
        missing = _missing(book, command.amount, given_back)
        charge, result = _judged(charge, missing, command.waits, book.next_turn)
    change.write(charge)
    change.answer(charge)
    change.decision.result = result


def _judged(charge: Charge, missing: int, waits: bool, turn: int) -> tuple[Charge, Result]:
    if missing <= 0:
        return charge, "done"
    held_off = {"limit": 0, "limit_segments": 0, "missing": min(missing, MOST_MICRO)}
    if waits:
        return _with(charge, state="waiting", turn=turn, **held_off), "short"
    return _with(charge, state="refused", **held_off), "refused"


def _missing(book: AccountBook, amount: int, given_back: int = 0) -> int:
    """What is short for another reservation; those that wait come first, so that a large one gets its turn."""
    if not amount:
        return 0
    return amount + sum(charge.asked for charge in book.waiting) - book.available - given_back


def _exceeds_trial(book: AccountBook, charge: Charge, given_back: int = 0) -> bool:
    if charge.trial is None:
        return False
    return book.segments + book.reserved_segments - given_back + charge.asked_segments > charge.trial


def _spend(change: _Change, command: Spent) -> None:
    book, known = change.book, change.book.charges.get(command.campaign)
    before = known or Charge(
        account=command.account,
        campaign=command.campaign,
        number=1,
        billing=command.billing,
        state="open",
        at=command.at,
    )
    lines = joined(before.lines, command.lines)
    spent = total(lines) - total(before.lines)
    covered = spent
    if before.billing == "prepaid":
        covered = min(spent, held(before) + book.available)
    after = _with(
        before,
        lines=lines,
        uncovered=before.uncovered + spent - covered,
        limit=_lowered(before.limit, total(command.lines), command.rest),
        limit_segments=_lowered(before.limit_segments, segments_of(command.lines), command.rest_segments),
        at=max(before.at, command.at),
    )
    if (after.lines, after.limit, after.limit_segments) == (before.lines, before.limit, before.limit_segments):
        change.decision.result = "repeated"
        return
    if known is not None:
        after.number += 1
    change.write(after)


def _lowered(limit: int, spent: int, rest: int | None) -> int:
    """The most that a campaign may cost in all. Each account of it is right, so the lowest is, in whatever order they
    come."""
    return limit if rest is None else min(limit, spent + rest)


def _release(change: _Change, command: Release) -> None:
    known = change.book.charges.get(command.campaign)
    if known is not None and (known.launch > command.revision or _is_released(known, command)):
        change.decision.result = "repeated"
        return
    if known is None:  # the reservation comes later, and must not be made then
        known = Charge(
            account=command.account,
            campaign=command.campaign,
            number=0,
            billing="prepaid",
            state="released",
            at=command.at,
        )
    change.write(
        _with(
            known,
            number=known.number + 1,
            launch=command.revision,
            state="released",
            limit=min(known.limit, charged(known)),
            limit_segments=min(known.limit_segments, segments_of(known.lines)),
            missing=0,
            at=max(known.at, command.at),
        )
    )


def _is_released(known: Charge, command: Release) -> bool:
    return known.launch == command.revision and known.state in ("released", "refused")


def _serve_waiting(change: _Change, at: int) -> None:
    """Reserve for those that wait, the first first, as long as it fits; tell the others what is missing now."""
    book, ahead = change.book, 0
    for charge in book.waiting:
        missing = ahead + charge.asked - book.available
        if missing <= 0:
            refused = _exceeds_trial(book, charge)
            limits = (0, 0) if refused else (charge.asked, charge.asked_segments)
            served = _with(
                charge,
                number=charge.number + 1,
                state="refused" if refused else "reserved",
                limit=limits[0],
                limit_segments=limits[1],
                missing=0,
                at=max(charge.at, at),
            )
        else:
            ahead += charge.asked
            missing = min(missing, MOST_MICRO)
            if missing == charge.missing:
                continue
            served = _with(charge, number=charge.number + 1, missing=missing, at=max(charge.at, at))
        change.write(served)
        change.answer(served)


def _answer_again(change: _Change) -> None:
    """Nothing has changed: the command came before, and what it led to may not have been said. A campaign that has
    spent nothing may not know how it stands."""
    for charge in change.book.charges.values():
        if _may_not_know(charge) and charge not in change.decision.answers:
            change.answer(charge)


def _may_not_know(charge: Charge) -> bool:
    if charge.lines:
        return False
    has_waited = charge.turn > 0
    return (
        charge.state == "waiting"
        or (charge.state == "reserved" and held(charge) > 0)
        or (charge.state == "refused" and has_waited)
    )


def _watch(change: _Change, command: LedgerCommand, threshold: int | None) -> None:
    book = change.book
    known, is_low = book.watch, threshold is not None and book.available < threshold
    was_low = known is not None and known.is_low
    if is_low != was_low:
        crossings = (0 if known is None else known.crossings) + (1 if is_low else 0)
        change.write(Watch(account=command.account, is_low=is_low, crossings=crossings, at=command.at))
    elif not is_low or change.decision.writes:
        return
    if is_low and threshold is not None and book.watch is not None:
        watch = book.watch
        change.decision.low = LowBalance(watch.account, watch.crossings, book.available, threshold, watch.at)


def _with(charge: Charge, **changes: object) -> Charge:
    return msgspec.structs.replace(charge, **changes)
