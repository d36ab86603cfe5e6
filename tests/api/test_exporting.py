"""What the export writes is read back as the same people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import exporting
from pipeline.numbers.numbering import Accepted, read

TYPES = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)


def people() -> dict[int, str]:
    """Numbers of every country, as an import keeps them, and their countries."""
    actual = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in TYPES:
            example = phonenumbers.example_number_for_type(region, kind)
            outcome = read(phonenumbers.format_number(example, 0), "") if example is not None else "not_valid"
            if isinstance(outcome, Accepted):
                actual[outcome.number] = outcome.country
    return actual


def exported(numbers: list[int]) -> pa.Table:
    empty = {
        name: pa.nulls(len(numbers), kind)
        for name, kind in zip(exporting.SCHEMA.names, exporting.SCHEMA.types, strict=True)
    }
    return pa.table({**empty, "number": pa.array(numbers, pa.uint64())}, schema=exporting.SCHEMA)


@pytest.mark.parametrize("region", ["", "DE", "US", "RU", "IT"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_an_export_names_the_same_people_whatever_the_region(
    tmp_path: Path, kind: exporting.Format, region: str
) -> None:
    expected = people()
    assert len(expected) > 400
    tables = [exported(list(expected)[:100]), exported(list(expected)[100:])]
    file = tmp_path / f"all.{kind}"
    file.write_bytes(b"".join(exporting.PAGES[kind](tables[0], iter(tables[1:]), exporting.as_written)))
    if kind == "ndjson":
        written = [orjson.loads(line)["number"] for line in file.read_bytes().splitlines()]
    elif kind == "csv":
        written = [row["number"] for row in csv.DictReader(io.StringIO(file.read_text()))]
    else:
        written = pq.read_table(file)["number"].to_pylist()
    assert all(number.startswith("+") for number in written)
    outcomes = [read(number, region) for number in written]
    assert outcomes == [Accepted(number, country) for number, country in expected.items()]


ROW = {
    "ordinal": 3,
    "number": "+12125550123",
    "state": "rejected",
    "reason": 'code:"30\\003"',
    "segments": 2,
    "price": Decimal("0.007900"),
    "aggregator_id": "=1+1",
    "rejected_at": datetime(2026, 11, 28, 9, 30, 1, 50_000, UTC),
}


def table_of(row: dict[str, Any]) -> pa.Table:
    """A row of a file, as ClickHouse gives it."""
    stored = {**row, "number": int(row["number"]), "price": int(row["price"] * 1_000_000)}
    return pa.Table.from_pylist([stored], schema=exporting.SCHEMA)


def test_each_format_has_numbers_as_texts_exact_prices_and_times_in_utc() -> None:
    def written(kind: exporting.Format) -> bytes:
        return b"".join(exporting.PAGES[kind](table_of(ROW), iter([]), exporting.as_written))

    [parquet] = pq.read_table(io.BytesIO(written("parquet"))).to_pylist()
    assert {name: value for name, value in parquet.items() if value is not None} == ROW
    [line] = written("ndjson").splitlines()
    actual = orjson.loads(line)
    assert list(actual) == exporting.WRITTEN.names
    assert {name: value for name, value in actual.items() if value is not None} == {
        **ROW,
        "price": "0.007900",
        "rejected_at": "2026-11-28T09:30:01.050Z",
    }
    [cells] = csv.DictReader(io.StringIO(written("csv").decode()))
    assert {name: value for name, value in cells.items() if value} == {
        **{name: str(value) for name, value in ROW.items()},
        "aggregator_id": "'=1+1",
        "rejected_at": "2026-11-28 09:30:01.050Z",
    }


@pytest.mark.parametrize("price", [0, 1, 7900, 2**64 - 1])
def test_a_price_is_exact(price: int) -> None:
    table = exporting.as_written(table_of({**ROW, "price": Decimal(price) / 1_000_000}))
    assert int(table["price"][0].as_py().scaleb(6)) == price


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_table_is_written_before_the_next_is_read(kind: exporting.Format) -> None:
    read = []

    def rest() -> Iterator[pa.Table]:
        for place in range(9):
            read.append(place)
            yield exported([12125550123])

    pages = exporting.PAGES[kind](exported([12125550124]), rest(), exporting.as_written)
    for most in range(3):
        next(pages)
        assert len(read) <= most


def test_nobody_in_ndjson_is_an_empty_file() -> None:
    assert b"".join(exporting._ndjson(None, iter([]), exporting.as_written)) == b""


def test_an_empty_export_has_its_header() -> None:
    page = b"".join(exporting._csv(None, iter([]), exporting.as_written)).decode()
    assert page.startswith('"ordinal","number","state"')
