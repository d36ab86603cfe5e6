"""Freezing: dense ordinals in order, once forever; pages; the survey for the review."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from adapters.clickhouse import Store
from adapters.clickhouse.audience import AudienceStore
from adapters.clickhouse.review import survey, unknown_lists
from adapters.errors import StoreRefused
from schemas.audience import VALUE_LIMIT, TypedNumbers
from schemas.ids import bucket, bucket_sql
from tests.adapters.clickhouse_store import NOW, add_contacts, migrated, typed
from tests.stack import Server

CAMPAIGN = "audience"
MANY = 200_000


@pytest.fixture
def store(clickhouse: Server) -> Iterator[Store]:
    with migrated(clickhouse) as store:
        yield store


def numbers(audience: AudienceStore, revision: int, count: int, campaign: str = CAMPAIGN) -> list[int]:
    return [int(number) for number in audience.page(campaign, revision, 0, count).numbers]


def in_order(wanted: set[int]) -> list[int]:
    return sorted(wanted, key=lambda item: (bucket(item), item))


def test_lists_and_typed_numbers_are_one_audience_in_order(store: Store) -> None:
    first, second = range(15550000001, 15550000041), range(15550000021, 15550000061)
    add_contacts(store, first, ["a"], {"first_name": "Ada"}, zone="America/New_York")
    add_contacts(store, second, ["b"], {"first_name": "Bo"}, zone="Europe/Paris", at=NOW + 1)
    add_contacts(store, [15550000099], ["c"], {"first_name": "Cy"})
    people = typed(447700900001, 15550000001, 15550000099, 447700900001)
    audience = AudienceStore(store)
    count = audience.freeze(CAMPAIGN, 1, ["a", "b"], people, ["first_name", "city"])
    expected = in_order({*first, *second, *people.numbers})
    assert count == len(expected)
    page = audience.page(CAMPAIGN, 1, 0, count + 100)
    assert [int(number) for number in page.numbers] == expected
    names = dict(zip(expected, page.fields["first_name"], strict=True))
    assert [names[item] for item in (15550000001, 15550000030, 15550000099, 447700900001)] == ["Ada", "Bo", "Cy", ""]
    assert set(page.fields["city"]) == {""}
    zones = {item: page.zones[page.zone[place]] for place, item in enumerate(expected)}
    assert [zones[item] for item in (15550000001, 15550000060, 447700900001)] == [
        "America/New_York",
        "Europe/Paris",
        "",
    ]
    places = {
        item: (page.countries[page.country[i]], page.regions[page.region[i]]) for i, item in enumerate(expected)
    }
    assert [places[item] for item in (447700900001, 15550000099)] == [("GB", ""), ("US", "NY")], (
        "the contact's own wins"
    )


@pytest.mark.parametrize("people", [typed(), typed(447700900001)])
def test_ordinals_are_dense_and_in_order_whatever_the_threads(store: Store, people: TypedNumbers) -> None:
    for part in range(4):
        store.command(
            f"""INSERT INTO contacts SELECT 15550000000 + number * 4 + {part} AS number, {bucket_sql("number")},
            'US', '', '', map(), now64(3) FROM (SELECT number FROM numbers({MANY // 4}))"""
        )
    store.command("INSERT INTO list_members SELECT 'a', bucket, number, now64(3) FROM contacts")
    audience = AudienceStore(store)
    count = audience.freeze(CAMPAIGN, 1, ["a"], people, [])
    assert count == MANY + len(people)
    rows = store.rows("SELECT number FROM audience ORDER BY ordinal")
    actual = [row[0] for row in rows]
    assert actual == in_order(set(actual))
    assert store.rows("SELECT max(ordinal), uniqExact(ordinal), uniqExact(number) FROM audience")[0] == (
        count - 1,
        count,
        count,
    )
    middle = audience.page(CAMPAIGN, 1, 50_000, 100_000)
    assert np.array_equal(middle.numbers, actual[50_000:100_000])
    assert len(audience.page(CAMPAIGN, 1, count - 10, count + 10)) == 10


def test_a_repeated_freeze_is_the_same_audience(store: Store) -> None:
    add_contacts(store, [15550000001, 15550000002], ["a"], {})
    assert AudienceStore(store).freeze(CAMPAIGN, 1, ["a"], typed(), []) == 2
    add_contacts(store, [15550000003], ["a"], {})
    assert AudienceStore(store).freeze(CAMPAIGN, 1, ["a"], typed(), []) == 2
    assert AudienceStore(store).freeze(CAMPAIGN, 2, ["a"], typed(), []) == 3
    assert len(numbers(AudienceStore(store), 1, 9)) == 2


def test_a_torn_freeze_leaves_no_trace_in_the_next(store: Store) -> None:
    add_contacts(store, [15550000001, 15550000002], ["a"], {})
    store.command(
        "INSERT INTO audience (campaign, revision, attempt, ordinal, number) "
        f"SELECT '{CAMPAIGN}', 1, 77, number, 19990000000 + number FROM numbers(5)"
    )
    audience = AudienceStore(store)
    assert audience.freeze(CAMPAIGN, 1, ["a"], typed(), []) == 2
    assert numbers(audience, 1, 9) == in_order({15550000001, 15550000002})


def test_two_freezes_at_once_agree(store: Store) -> None:
    add_contacts(store, range(15550000001, 15550000501), ["a"], {})
    with ThreadPoolExecutor(4) as pool:
        stores = [AudienceStore(store) for _ in range(4)]
        counts = list(pool.map(lambda item: item.freeze(CAMPAIGN, 1, ["a"], typed(), []), stores))
    assert counts == [500] * 4
    pages = [numbers(item, 1, 500) for item in (*stores, AudienceStore(store))]
    assert all(page == pages[0] for page in pages)


def test_an_empty_audience_has_no_ordinals(store: Store) -> None:
    audience = AudienceStore(store)
    assert audience.freeze(CAMPAIGN, 1, ["nobody"], typed(), ["first_name"]) == 0
    assert len(audience.page(CAMPAIGN, 1, 0, 10)) == 0


def test_what_is_not_frozen_or_lost_is_refused(store: Store) -> None:
    audience = AudienceStore(store)
    with pytest.raises(StoreRefused, match="no frozen audience of revision 1"):
        audience.page(CAMPAIGN, 1, 0, 10)
    add_contacts(store, range(15550000001, 15550000011), ["a"], {})
    audience.freeze(CAMPAIGN, 1, ["a"], typed(), [])
    store.command("DELETE FROM audience WHERE ordinal = 4")
    with pytest.raises(StoreRefused, match=r"9 rows in .* expected 10"):
        audience.page(CAMPAIGN, 1, 0, 10)


def test_odd_field_names_and_values_are_data(store: Store) -> None:
    name = "it's] {x} \\ `é`"
    add_contacts(store, [15550000001], ["a"], {name: "O'Neil \\ \n \u2603"})
    audience = AudienceStore(store)
    audience.freeze(CAMPAIGN, 1, ["a"], typed(), [name])
    assert audience.page(CAMPAIGN, 1, 0, 1).fields == {name: ["O'Neil \\ \n \u2603"]}


def test_of_a_value_no_more_is_kept_than_any_text_may_take(store: Store) -> None:
    add_contacts(store, [15550000001], ["a"], {"name": "é" * 5000})
    audience = AudienceStore(store)
    audience.freeze(CAMPAIGN, 1, ["a"], typed(), ["name"])
    assert audience.page(CAMPAIGN, 1, 0, 1).fields == {"name": ["é" * VALUE_LIMIT]}


def test_the_survey_counts_what_a_freeze_would_take(store: Store) -> None:
    add_contacts(store, range(15550000001, 15550000011), ["a", "b"], {"first_name": "Ada"})
    add_contacts(store, [15550000099], ["b"], {"city": "Rome"})
    numbers = [15550000001, 447700900001, 447700900001]
    actual = survey(store, ["a", "b", "nope"], numbers, ["first_name", "city", "pet"])
    assert actual.unknown_lists == ["nope"]
    assert actual.recipients == 12 == AudienceStore(store).freeze(CAMPAIGN, 1, ["a", "b"], typed(*numbers), [])
    assert actual.with_value == {"first_name": 10, "city": 1, "pet": 0}
    assert actual.attributes == ["city", "first_name"]
    assert unknown_lists(store, []) == []
    assert survey(store, [], [], []).recipients == 0
