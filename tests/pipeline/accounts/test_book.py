"""The book of accounts."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.accounts.book import Accounts
from pipeline.accounts.changes import apply
from pipeline.accounts.prices import built_in
from schemas.accounts import PriceListDocument
from tests.pipeline.accounts.making import AT, WORLD, change, command, held, kept, records, removal

SHOP = held(command(change(site_name="Shop", caps={"day": 2}), change("main"), change("second")))


def book() -> Accounts:
    accounts = Accounts()
    for record in records(SHOP):
        assert accounts.take(record) == ""
    return accounts


def test_it_knows_accounts_and_senders() -> None:
    accounts = book()
    account = accounts.account("demo")
    assert account is not None
    assert account.spec.site_name == "Shop"
    assert sorted(accounts.senders("demo")) == ["main", "second"]
    assert accounts.sender("demo", "third") is None
    assert accounts.sender("other", "main") is None


def test_what_was_removed_is_not_there() -> None:
    accounts = book()
    assert SHOP.account is not None
    gone = kept(SHOP, apply(SHOP, command(removal("", SHOP.account.revision), id="x", at=AT + 1), WORLD))
    for record in records(gone):
        accounts.take(record)
    assert accounts.all() == []
    assert not accounts.senders("demo")
    assert accounts.holding("demo") == gone
    assert accounts.holding("other").account is None


def test_a_record_of_a_newer_version_leaves_what_was_known() -> None:
    accounts = book()
    assert SHOP.account is not None
    newer = replace(SHOP.account, spec={**SHOP.account.spec, "color": "red"})
    assert "color" in accounts.take(newer)
    known = accounts.account("demo")
    assert known is not None
    assert known.spec.site_name == "Shop"


def test_without_a_list_of_its_own_the_built_in_prices_hold() -> None:
    accounts = book()
    assert accounts.prices_of("demo") is built_in()
    assert accounts.prices("other") is None
    form = {"prices": [{"from": "2020-01-01", "country": "US", "price": "1"}]}
    accounts.take(PriceListDocument(name="default", spec=form, revision=1, created=AT, updated=AT, by="", command=""))
    assert accounts.prices_of("demo").of("US", AT) == 1_000_000
    assert accounts.using_prices("default") == ["demo"]


def test_the_world_of_a_change_has_a_number_that_no_account_has() -> None:
    accounts = book()
    known = accounts.account("demo")
    assert known is not None
    assert accounts.world(8, WORLD.aggregators).number == known.document.number + 1
