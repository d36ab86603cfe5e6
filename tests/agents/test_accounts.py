"""The step of accounts: the same documents after every replay, and what it tells lanes and campaigns."""

from __future__ import annotations

import random
from typing import Any

import pytest

from adapters.settings import Settings
from pipeline.accounts.diff import Author, commands
from pipeline.accounts.file import read_accounts
from schemas import topics
from schemas.accounts import (
    ACCOUNT_COMMANDS,
    ACCOUNTS,
    MOST_ACCOUNTS,
    AccountCommand,
    AccountDocument,
    Answers,
    Change,
    Numbers,
)
from schemas.lane import LANES, SenderTerms
from schemas.wire import DecodeError, encode
from tests.account_step import StepInMemory

NUMBER = {"number": "+18885550177"}


def story() -> list[bytes]:
    """Commands of a while, some of which are refused."""
    step = StepInMemory(Settings())
    for at in range(1, 9):
        rate = {"segments_per_second": at}
        step.apply(
            {
                "accounts": {
                    "demo": {
                        "site_name": f"v{at % 3}",
                        "senders": {"main": {**NUMBER, **rate}, f"s{at % 2}": NUMBER},
                    },
                    f"shop{at % 4}": {"active": at % 2 == 0, "senders": {"main": {**NUMBER, "lanes": [at % 3]}}},
                },
                "prices": {"eu": [{"from": "2026-01-01", "country": "FR", "price": at}]},
            },
            at=at,
        )
        removal = Change(sender="s0", spec=None, expected=at)
        step.take(encode(AccountCommand(id=f"r{at}", account="demo", at=at, by="test", changes=[removal])))
    return step.commands


def documents(step: StepInMemory) -> dict[bytes, bytes]:
    return {key: value for key, value in step.table.items() if not isinstance(ACCOUNTS.decode(value), Answers)}


def after(records: list[bytes]) -> StepInMemory:
    step = StepInMemory(Settings())
    for record in records:
        step.take(record)
    return step


def test_a_replay_from_the_start_gives_the_same_documents() -> None:
    records = story()
    first = after(records)
    assert dict(after(records).table) == dict(first.table), "into an empty table"
    before = documents(first)
    for record in records:
        first.take(record)
    assert documents(first) == before, "and over what is there"


def test_a_worker_that_dies_again_and_again_leaves_the_same() -> None:
    records, chance = story(), random.Random(5)
    wanted = documents(after(records))
    for _ in range(20):
        step, place = StepInMemory(Settings()), 0
        while place < len(records):
            step.take(records[place])
            # Whoever has the partition next reads again from what was committed.
            place = max(0, place - chance.randrange(6)) if chance.random() < 0.3 else place + 1
        assert documents(step) == wanted


def test_the_answer_is_written_after_all_that_it_is_about() -> None:
    step = StepInMemory(Settings())
    step.apply({"accounts": {"demo": {"senders": {"main": NUMBER}}}})
    assert [key for key, _ in step.table.changelog] == [b"numbers:0", b"demo/main", b"demo", b"answers:demo"]


def test_lanes_are_told_by_partition() -> None:
    step = StepInMemory(Settings())
    step.apply({"accounts": {"demo": {"senders": {"main": {**NUMBER, "lanes": [3, 5]}}}}})
    told = [(item.partition, LANES.decode(item.value)) for item in step.outputs if item.topic == topics.LANES.name]
    assert [lane for lane, record in told if isinstance(record, SenderTerms)] == [3, 5]


@pytest.mark.parametrize(
    "change",
    [
        {"account": "Demo"}, {"account": "a/b"}, {"changes": []}, {"changes": [{"sender": "x"}]}, {"at": -1},
        {"changes": [{"sender": "", "spec": {}, "expected": -1}]}, {"v": 2}, {"color": 1},
    ],
)  # fmt: skip
def test_garbage_is_no_command(change: dict[str, Any]) -> None:
    good = {
        "kind": "account-command", "v": 1, "id": "x", "account": "demo", "at": 1, "by": "me",
        "changes": [{"sender": "", "spec": {}, "expected": 0}],
    }  # fmt: skip
    import orjson

    assert ACCOUNT_COMMANDS.decode(orjson.dumps(good))
    with pytest.raises(DecodeError):
        ACCOUNT_COMMANDS.decode(orjson.dumps({**good, **change}))


def test_ten_thousand_senders_are_added_by_few_commands() -> None:
    senders = {f"s{index}": {**NUMBER, "segments_per_second": 3} for index in range(10_000)}
    step = StepInMemory(Settings())
    wanted = read_accounts({"accounts": {"big": {"senders": senders}}})
    made = list(commands(wanted, step.book, Author("test", 1, "x")))
    assert len(made) == 21
    for command in made:
        step.take(encode(command))
    assert len(step.book.senders("big")) == 10_000
    account = step.book.account("big")
    assert account is not None
    assert sum(rate for _, _, rate in account.document.shares) == 30_000 * 1_000_000


def numbers_of(step: StepInMemory) -> dict[str, int]:
    """The numbers of the accounts, with those that were removed."""
    stored = [ACCOUNTS.decode(value) for value in step.table.values()]
    return {record.account: record.number for record in stored if isinstance(record, AccountDocument)}


def test_no_two_accounts_have_one_number_in_any_partition_and_each_keeps_its_own() -> None:
    settings = Settings()
    steps = [StepInMemory(settings, partition=partition) for partition in range(settings.kafka.partitions)]
    for nth in range(400):
        steps[nth % 3 * 2].apply({"accounts": {f"shop{nth}": {"caps": {"day": 1}}}}, at=nth + 1)
    given = [number for step in steps for number in numbers_of(step).values()]
    assert len(given) == len(set(given)) == 400
    assert min(given) >= 1
    before = numbers_of(steps[0])
    removal = Change(sender="", spec=None, expected=1)
    steps[0].take(encode(AccountCommand(id="r", account="shop0", at=1000, by="test", changes=[removal])))
    steps[0].apply({"accounts": {"shop0": {"site_name": "Back"}, "shop3": {"site_name": "New"}}}, at=1001)
    assert numbers_of(steps[0]) == before, "it came back as the one that it was"


def test_a_number_whose_account_was_not_written_is_nobody_elses() -> None:
    step = StepInMemory(Settings())
    step.apply({"accounts": {"first": {}, "second": {}}})
    for key in [b"second", b"answers:second"]:  # the worker died before it wrote these
        step.table.pop(key)
    lost = step.commands[-1]
    step.apply({"accounts": {"third": {}}}, at=2)
    step.take(lost)
    numbers = numbers_of(step)
    assert len(set(numbers.values())) == 3


def test_when_no_number_is_left_a_new_account_is_refused_and_others_change() -> None:
    settings = Settings()
    step = StepInMemory(settings)
    step.apply({"accounts": {"first": {}}})
    most = -(-MOST_ACCOUNTS // settings.kafka.partitions)
    step.table[b"numbers:0"] = encode(Numbers(partition=0, given=most))
    step.apply({"accounts": {"first": {"site_name": "Still"}, "late": {}}}, at=2)
    assert numbers_of(step) == {"first": 1}
    answers = ACCOUNTS.decode(step.table[b"answers:late"])
    assert isinstance(answers, Answers)
    assert "no more fit" in answers.answers[-1].error
    account = step.book.account("first")
    assert account is not None
    assert account.spec.site_name == "Still"
