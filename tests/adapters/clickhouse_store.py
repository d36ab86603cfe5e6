"""A migrated database of its own on the test run's ClickHouse."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa

from adapters.clickhouse import Store, migrate
from adapters.settings import Settings
from schemas.audience import TypedNumbers
from schemas.ids import bucket
from tests.stack import Server

_NUMBERS = itertools.count(1)
NOW = 1_760_000_000_000


def settings_of(server: Server) -> Settings:
    """Settings with a database that nobody has used."""
    name = f"test_{next(_NUMBERS)}"
    return Settings(clickhouse=server.clickhouse.model_copy(update={"database": name}))


@contextmanager
def migrated(server: Server) -> Iterator[Store]:
    """A store over empty tables; the database is dropped at the end."""
    settings = settings_of(server)
    migrate(settings)
    store = Store(settings.clickhouse)
    try:
        yield store
    finally:
        store.command(f"DROP DATABASE {settings.clickhouse.database}")
        store.close()


def typed(*numbers: int) -> TypedNumbers:
    """Numbers as if somebody had typed them; those of twelve digits and more are British."""
    countries = ["GB" if number >= 10**11 else "CA" for number in numbers]
    return TypedNumbers(numbers, countries, [""] * len(numbers))


def add_contacts(
    store: Store,
    numbers: Sequence[int],
    lists: Sequence[str],
    attributes: Mapping[str, str],
    zone: str = "",
    at: int = NOW,
) -> None:
    """Contacts with the same attributes, on all of `lists`."""
    count = len(numbers)
    key = {"number": pa.array(numbers, pa.uint64()), "bucket": pa.array(map(bucket, numbers), pa.uint16())}
    times = pa.array([at] * count, pa.timestamp("ms", "UTC"))
    pairs = pa.array([list(attributes.items())] * count, pa.map_(pa.string(), pa.string()))
    places = {name: [value] * count for name, value in (("country", "US"), ("region", "NY"), ("zone", zone))}
    store.insert_arrow("contacts", pa.table({**key, **places, "attributes": pairs, "updated": times}))
    for name in lists:
        store.insert_arrow("list_members", pa.table({"list": [name] * count, **key, "added": times}))
