"""What the export writes is read back as the same people."""

from __future__ import annotations

import csv
import io
from pathlib import Path

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
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_names_the_same_people_whatever_the_region(tmp_path: Path, kind: str, region: str) -> None:
    expected = people()
    assert len(expected) > 400
    tables = [exported(list(expected)[:100]), exported(list(expected)[100:])]
    file = tmp_path / f"all.{kind}"
    pages = exporting._csv if kind == "csv" else exporting._parquet
    file.write_bytes(b"".join(pages(tables[0], iter(tables[1:]), exporting.as_written)))
    if kind == "csv":
        written = [row["number"] for row in csv.DictReader(io.StringIO(file.read_text()))]
    else:
        written = pq.read_table(file)["number"].to_pylist()
    assert all(number.startswith("+") for number in written)
    outcomes = [read(number, region) for number in written]
    assert outcomes == [Accepted(number, country) for number, country in expected.items()]


def test_an_empty_export_has_its_header() -> None:
    page = b"".join(exporting._csv(None, iter([]), exporting.as_written)).decode()
    assert page.startswith('"ordinal","number","state"')
