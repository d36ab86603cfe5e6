"""The step of accounts: the same documents after every replay, and what it tells lanes and campaigns."""

from __future__ import annotations

import random
from typing import Any

import pytest

from adapters.settings import Settings
from pipeline.accounts.diff import Author, commands
from pipeline.accounts.file import read_accounts
from schemas import topics
from schemas.accounts import ACCOUNT_COMMANDS, ACCOUNTS, AccountCommand, Answers, Change
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
    assert [key for key, _ in step.table.changelog] == [b"demo/main", b"demo", b"answers:demo"]


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
