"""The list of a retry: exactly those recipients, as their texts were, once, and gone when nobody needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.clickhouse import Store
from adapters.clickhouse import export as exporting
from adapters.clickhouse.audience import AudienceStore, preview
from adapters.clickhouse.person import erase, person
from adapters.clickhouse.retry_lists import RetryLists
from adapters.clickhouse.review import survey, unknown_lists
from adapters.clickhouse.statuses import StatusSink
from adapters.errors import StoreUnavailable
from schemas.ids import bucket, retry_list
from schemas.selection import Selection
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated, typed
from tests.adapters.test_clickhouse_statuses import CAMPAIGN, chunk
from tests.stack import Server

LIST = retry_list(CAMPAIGN, "00000002")
N = 60
CONTACTS = range(15550100000, 15550100000 + N - 2)
STRANGERS = (447700900001, 447700900002)
FAILED = Selection(("rejected", "undelivered"))


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    """Ordinals 0 to 9 are rejected, by two reasons; 10 to 19 undelivered; the others delivered."""
    with migrated(clickhouse) as store:
        add_contacts(store, CONTACTS, ["a"], {"first_name": "Ada", "city": "Rome"}, zone="Europe/Rome")
        AudienceStore(store).freeze(CAMPAIGN, 1, ["a"], typed(*STRANGERS), ["first_name"])
        StatusSink(store).insert(
            [
                chunk("accepted", range(N), segments=1, price=7900),
                chunk("rejected", range(5), reason="code:30003"),
                chunk("rejected", range(5, 10), reason="code:30004"),
                chunk("undelivered", range(10, 20), reason="absent_subscriber"),
                chunk("delivered", range(20, N)),
            ]
        )
        yield store


def numbers_of(store: Store, first: int, last: int) -> list[int]:
    return [int(number) for number in AudienceStore(store).page(CAMPAIGN, 1, first, last).numbers]


def on_list(store: Store, *lists: str, fields: tuple[str, ...] = ()) -> dict[int, tuple[Any, ...]]:
    page = preview(store, lists or [LIST], typed(), fields)
    values = zip(*(page.fields[name] for name in fields), strict=True) if fields else [()] * len(page)
    return dict(zip((int(number) for number in page.numbers), values, strict=True))


@pytest.mark.parametrize("window", [7, 200_000])
def test_exactly_the_selected_are_on_the_list(store: Store, monkeypatch: pytest.MonkeyPatch, window: int) -> None:
    monkeypatch.setattr(exporting, "WINDOW", window)
    assert RetryLists(store).make(LIST, CAMPAIGN, FAILED) == 20
    assert list(on_list(store)) == numbers_of(store, 0, 20)
    other = retry_list(CAMPAIGN, "00000003")
    assert RetryLists(store).make(other, CAMPAIGN, Selection(reasons=("code:30004",))) == 5
    assert list(on_list(store, other)) == numbers_of(store, 5, 10)


def test_they_are_as_their_texts_were_and_else_as_the_contact_is_now(store: Store) -> None:
    add_contacts(store, CONTACTS, [], {"first_name": "Bo", "city": "Reno"}, zone="America/Reno", at=NOW + 1)
    RetryLists(store).make(LIST, CAMPAIGN, Selection())
    rows = on_list(store, fields=("first_name", "city"))
    assert {rows[number] for number in CONTACTS} == {("Ada", "Reno")}
    assert {rows[number] for number in STRANGERS} == {("", "")}
    audience = AudienceStore(store)
    assert audience.freeze("00000002", 1, [LIST], typed(), ["first_name"]) == N
    first, again = (audience.page(name, 1, 0, N) for name in (CAMPAIGN, "00000002"))
    assert list(again.numbers) == list(first.numbers)
    for page in (first, again):
        assert (page.zones[page.zone[0]], page.fields["first_name"]) == (
            first.zones[first.zone[0]],
            first.fields["first_name"],
        )
    places = [[page.countries[code] for code in page.country] for page in (first, again)]
    assert places[0] == places[1]


def test_who_is_on_several_lists_gets_it_once_as_they_were(store: Store) -> None:
    RetryLists(store).make(LIST, CAMPAIGN, FAILED)
    add_contacts(store, [*CONTACTS, 15550999999], ["b"], {"first_name": "Bo"}, at=NOW + 1)
    audience = AudienceStore(store)
    expected = sorted({*CONTACTS, *numbers_of(store, 0, 20), 15550999999}, key=lambda n: (bucket(n), n))
    assert audience.freeze("00000002", 1, [LIST, "b"], typed(15550999999), ["first_name"]) == len(expected)
    page = audience.page("00000002", 1, 0, 100)
    assert [int(number) for number in page.numbers] == expected
    names = dict(zip(expected, page.fields["first_name"], strict=True))
    retried = set(numbers_of(store, 0, 20))
    assert {names[number] for number in retried & {*CONTACTS}} == {"Ada"}
    assert {names[number] for number in {*CONTACTS} - retried} == {"Bo"}


def test_the_review_counts_as_the_freeze_does(store: Store) -> None:
    assert unknown_lists(store, [LIST, "a"]) == [LIST]
    RetryLists(store).make(LIST, CAMPAIGN, FAILED)
    for lists, numbers in (([LIST], ()), ([LIST, "a"], ()), ([LIST], (15550999999,)), ([LIST, "a"], STRANGERS)):
        surveyed = survey(store, lists, numbers, ("first_name", "shoe_size"))
        page = preview(store, lists, typed(*numbers), ("first_name",))
        assert surveyed.recipients == len(page)
        assert surveyed.with_value == {"first_name": sum(map(bool, page.fields["first_name"])), "shoe_size": 0}
        assert surveyed.unknown_lists == []
        assert {"first_name", "city"} <= set(surveyed.attributes)


def test_a_repeated_list_is_the_same_whatever_became_of_them_since(store: Store) -> None:
    lists = RetryLists(store)
    assert lists.make(LIST, CAMPAIGN, FAILED) == 20
    StatusSink(store).insert([chunk("delivered", range(20))])
    assert lists.make(LIST, CAMPAIGN, FAILED) == RetryLists(store).make(LIST, CAMPAIGN, FAILED) == 20
    assert list(on_list(store)) == numbers_of(store, 0, 20)


class Dying(Store):
    """Dies at the n-th INSERT."""

    left = 0

    def command(self, *given: Any, **named: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("killed")
        super().command(*given, **named)


def test_half_a_list_is_never_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "WINDOW", 7)
    dying = Dying(store.settings)
    for done in range(3):
        dying.left = done
        with pytest.raises(StoreUnavailable):
            RetryLists(dying).make(LIST, CAMPAIGN, FAILED)
        assert on_list(store) == {}
        assert unknown_lists(store, [LIST]) == [LIST]
    assert store.rows("SELECT uniqExact(attempt) FROM retry_recipients")[0][0] > 1, "torn attempts left rows"
    assert RetryLists(store).make(LIST, CAMPAIGN, FAILED) == 20
    assert list(on_list(store)) == numbers_of(store, 0, 20)
    dying.close()


def test_a_list_gives_no_consent_and_goes_away(store: Store) -> None:
    before = [store.rows(f"SELECT count() FROM {table}")[0][0] for table in ("contacts", "list_members", "consents")]
    lists, number = RetryLists(store), numbers_of(store, 0, 1)[0]
    lists.make(LIST, CAMPAIGN, FAILED)
    after = [store.rows(f"SELECT count() FROM {table}")[0][0] for table in ("contacts", "list_members", "consents")]
    assert after == before
    assert LIST in [entry["list"] for entry in person(store, number)["lists"]]
    erase(store, number, NOW * 2)
    assert number not in on_list(store)
    lists.drop(LIST)
    lists.drop(LIST)
    assert on_list(store) == {}
    assert store.rows("SELECT count() FROM retry_recipients")[0][0] == 0
