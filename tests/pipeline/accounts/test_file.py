"""A file of accounts: what it says, what is wrong with it, and what it would change."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from pipeline.accounts.diff import Author, book_of, commands, differences, outcome_of, preview
from pipeline.accounts.file import WrongFile, read_accounts
from schemas.accounts import AccountCommand, PriceCommand
from tests.accounts import book
from tests.pipeline.accounts.making import AT, WORLD

FILE = """
[accounts.demo]
site_name = "Shop"
price_list = "eu"
caps = { day = 2, week = 5 }
[accounts.demo.senders.main]
number = "+18885550100"
segments_per_second = 10
[accounts.demo.senders.code]
number = "36180"
[[prices.eu]]
from = 2026-01-01
country = "FR"
price = "0.08"
"""
AUTHOR = Author("test", AT, "x")


def read(text: str) -> Any:
    return read_accounts(tomllib.loads(text))


def test_a_file_is_applied_once() -> None:
    wanted, accounts = read(FILE), book(FILE)
    account = accounts.account("demo")
    assert account is not None
    assert (account.spec.caps.day, account.spec.caps.week) == (2, 5)
    assert [difference.what for difference in differences(wanted, accounts)] == ["same"] * 4
    assert list(commands(wanted, accounts, AUTHOR)) == []


def test_a_change_is_shown_field_by_field_and_is_one_command() -> None:
    wanted, accounts = read(FILE.replace("= 10", "= 20").replace("day = 2", "day = 3")), book(FILE)
    changed = {item.key: item.fields for item in differences(wanted, accounts) if item.what == "changed"}
    assert changed == {
        "demo": {"caps": ({"day": 2, "week": 5}, {"day": 3, "week": 5})},
        "demo/main": {"segments_per_second": (10.0, 20.0)},
    }
    (command,) = commands(wanted, accounts, AUTHOR)
    assert isinstance(command, AccountCommand)
    assert [change.sender for change in command.changes] == ["", "main"]
    assert outcome_of(command, accounts, accounts.world(8, WORLD.aggregators)).verdict == "done"


def test_what_a_file_does_not_name_stays() -> None:
    accounts = book(FILE)
    assert list(commands(read('[accounts.other]\nsite_name = "x"'), accounts, AUTHOR))
    assert len(list(commands(read("[accounts.demo]"), accounts, AUTHOR))) == 1
    assert sorted(accounts.senders("demo")) == ["code", "main"]


def test_prices_come_before_the_accounts_that_name_them() -> None:
    made = list(commands(read(FILE), book("[accounts.x]"), AUTHOR))
    assert [type(command) for command in made] == [PriceCommand, AccountCommand]


def test_many_senders_are_few_commands() -> None:
    senders = {f"s{index}": {"number": "+18885550100"} for index in range(1200)}
    wanted = read_accounts({"accounts": {"big": {"senders": senders}}})
    made = [
        command for command in commands(wanted, book("[accounts.x]"), AUTHOR) if isinstance(command, AccountCommand)
    ]
    assert [len(command.changes) for command in made] == [500, 500, 201]
    accounts, refused = book_of(wanted, 8, {"local": True}, AT)
    assert (len(accounts.senders("big")), refused) == (1200, [])


def test_a_preview_says_what_would_be_refused_and_changes_nothing() -> None:
    accounts = book(FILE)
    wrong = read('[accounts.demo.senders.new]\nnumber = "+18885550100"\naggregator = "nobody"')
    ((key, error),) = preview(wrong, accounts, AUTHOR, WORLD)
    assert (key, "nobody" in error) == ("demo", True)
    assert "new" not in accounts.senders("demo")
    assert preview(read(FILE), book("[accounts.x]"), AUTHOR, WORLD) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[account.demo]", "account"),
        ("accounts = 1", "accounts"),
        ("[accounts]\ndemo = 1", "accounts.demo"),
        ("[accounts.Demo]", "accounts.Demo"),
        ("[accounts.demo]\ncolor = 1", "accounts.demo.color"),
        ("[accounts.demo]\ncaps = { day = 0 }", "accounts.demo.caps.day"),
        ("[accounts.demo]\nmax_segments = 0", "accounts.demo.max_segments"),
        ("[accounts.demo]\nmax_segments = 11", "accounts.demo.max_segments"),
        ('[accounts.demo]\nreplies = { help = "Hi {first_name}" }', "accounts.demo.replies.help"),
        ('[accounts.demo]\nstore_zone = "Mars"', "accounts.demo.store_zone"),
        ('[accounts.demo]\nlow_balance = "0.0000001"', "accounts.demo.low_balance"),
        ('[accounts.demo]\nalerts = { emails = ["nobody"] }', "accounts.demo.alerts.emails.0"),
        ('[accounts.demo]\nalerts = { numbers = ["911"] }', "accounts.demo.alerts.numbers.0"),
        ('[accounts.demo]\nalerts = { webhooks = ["https://a:b@x.example/"] }', "accounts.demo.alerts.webhooks.0"),
        ("[accounts.demo.senders.main]", "accounts.demo.senders.main.number"),
        ('[accounts.demo.senders.main]\nnumber = "+1"', "accounts.demo.senders.main"),
        ('[[prices.x]]\nfrom = 2026-01-01\ncountry = "Mars"\nprice = 1', "prices.x.0.country"),
        ("prices = { x = 1 }", "prices.x"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(WrongFile) as caught:
        read(text)
    assert [field for field, _ in caught.value.fields] == [place]


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(WrongFile) as caught:
        read("[accounts.a]\ncolor = 1\n[accounts.b]\ncolor = 1\n[accounts.b.senders.s]\nnumber = '1'")
    assert len(caught.value.fields) == 3
