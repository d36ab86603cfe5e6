"""Any commands, twice, late, in any order, with deaths between the facts of one command: the sums hold."""

from __future__ import annotations

import random

from hypothesis import event, given, note
from hypothesis import strategies as st

from pipeline.ledger.book import AccountBook
from pipeline.ledger.sums import charged, held, total
from schemas.ledger import LEDGER, LedgerCommand, Reserve, Spent
from tests.pipeline.ledger.making import Step, campaign, release, reserve, spent, top_up

CAMPAIGNS = st.integers(0, 4)
AMOUNTS = st.integers(0, 120)

top_ups = st.builds(top_up, st.integers(-150, 200).filter(bool), st.integers(0, 6))
reservations = st.builds(
    lambda index, amount, revision, waits, trial: reserve(
        index, amount, revision=revision, waits=waits, trial=trial
    ),
    CAMPAIGNS, AMOUNTS, st.integers(1, 4), st.booleans(), st.none() | st.integers(0, 300),
)  # fmt: skip
spendings = st.builds(
    lambda index, segments, price, rest, billing: spent(index, segments, price, rest, billing=billing),
    CAMPAIGNS, st.integers(0, 60), st.integers(0, 3), st.none() | AMOUNTS, st.sampled_from(["prepaid", "invoice"]),
)  # fmt: skip
releases = st.builds(release, CAMPAIGNS, st.integers(1, 4))
commands = st.lists(top_ups | reservations | spendings | releases, max_size=25)


def causal(story: list[LedgerCommand]) -> list[LedgerCommand]:
    """What can happen: a campaign is launched no more once it has spent anything, and spends only while it has a
    reservation, or has never asked for one."""
    step, spending, possible = Step(), set[str](), list[LedgerCommand]()
    for command in story:
        if isinstance(command, Reserve) and command.campaign in spending:
            continue
        if isinstance(command, Spent):
            charge = step.book.charges.get(command.campaign)
            needs_none = command.rest is None and (charge is None or charge.state == "open")
            if not needs_none and (charge is None or charge.state != "reserved"):
                continue
            spending.add(command.campaign)
        step.take(command)
        possible.append(command)
    return possible


def check(book: AccountBook) -> None:
    """Never below zero, and nothing comes from nowhere or goes there."""
    charges = book.charges.values()
    assert book.available >= 0
    assert book.reserved >= 0
    assert book.balance == book.available + book.reserved
    credited = sum(item.amount for item in book.top_ups.values() if not item.refused)
    assert credited == book.available + sum(map(held, charges)) + sum(map(charged, charges))
    for charge in charges:
        assert 0 <= charge.uncovered <= total(charge.lines)
        assert charge.limit <= charge.asked or charge.state == "released"


def same(book: AccountBook, facts: dict[str, bytes]) -> None:
    """What is in memory is what the facts sum up to."""
    again = AccountBook(LEDGER.decode(value) for value in facts.values())
    names = ("credited", "charged", "reserved", "spent", "uncovered", "segments", "reserved_segments")
    assert [getattr(book, name) for name in names] == [getattr(again, name) for name in names]


@given(commands)
def test_the_balance_never_goes_below_zero_and_nothing_is_lost(story: list[LedgerCommand]) -> None:
    step = Step()
    for command in story:
        step.take(command)
        check(step.book)
    same(step.book, step.facts)
    event(f"ended with {len(step.book.charges)} campaigns")


@given(commands.map(causal), st.integers(0, 2**32))
def test_a_worker_that_dies_again_and_again_leaves_the_same(story: list[LedgerCommand], seed: int) -> None:
    straight = Step()
    for command in story:
        straight.take(command)
    chance, facts, place = random.Random(seed), dict[str, bytes](), 0
    step = Step(facts)
    told = set()
    while place < len(story):
        if chance.random() < 0.3:
            # It dies after some of the facts of a command were stored, none of the answers given, and nothing
            # committed; whoever is next reads from what was committed.
            step.take(story[place], written=chance.randrange(3))
            step, place = Step(facts), max(0, place - chance.randrange(4))
            note(f"died at {place}")
        else:
            step.take(story[place])
            told |= {(charge.campaign, charge.launch, charge.state) for charge in step.answers}
            step.answers.clear()
            place += 1
        check(step.book)
    assert _kept(step.book) == _kept(straight.book)
    same(step.book, facts)
    for charge in step.book.charges.values():
        if charge.state == "reserved" and held(charge) and not charge.lines:
            assert (charge.campaign, charge.launch, "reserved") in told, "who may begin hears of it"


@given(commands.map(causal))
def test_a_replay_from_the_start_changes_nothing(story: list[LedgerCommand]) -> None:
    step = Step()
    for command in story:
        step.take(command)
    before = dict(step.facts)
    again = Step(step.facts)
    for command in story:
        again.take(command)
        check(again.book)
    assert step.facts == before


@given(st.lists(spendings, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_words_of_what_was_spent_may_come_in_any_order(story: list[LedgerCommand], chance: random.Random) -> None:
    story = [command for command in story if command.campaign == campaign(0)]  # type: ignore[union-attr]
    sums = []
    for _ in range(3):
        step = Step()
        step.take(top_up(10_000))
        step.take(reserve(0, 5_000))
        for command in story:
            step.take(command)
        sums.append((step.book.balance, step.book.reserved, step.book.spent))
        chance.shuffle(story)
    assert len(set(sums)) == 1


def _kept(book: AccountBook) -> dict[str, object]:
    return {
        **{name: (item.amount, item.refused) for name, item in book.top_ups.items()},
        **{
            charge.campaign: (charge.state, charge.launch, charge.lines, held(charge), charged(charge))
            for charge in book.charges.values()
        },
    }
