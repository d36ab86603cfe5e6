"""Numbers at the door of files: CSV, Parquet and our own exports, judged as a whole, without writing anything."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.contacts.files import BATCH, ContactFileError
from api import exporting
from cli.contacts.plan import Plan, plan_import, reading_of
from pipeline.audience.columns import CAMPAIGN_EXPORT, Choices
from pipeline.audience.contact_lines import normalize
from pipeline.numbers.judging import Choice
from pipeline.numbers.numbering import Accepted, read


def planned(file: Path, region: str = "", numbers: Choice = "") -> Plan:
    return plan_import(file, reading_of("", "", region, has_header=True), Choices(), numbers)


def people(plan: Plan, region: str = "") -> tuple[list[int], list[str]]:
    """The numbers of a file, and the reasons of what is rejected."""
    numbers: list[int] = []
    reasons: list[str] = []
    for batch in plan.file.batches(BATCH):
        contacts = normalize(batch.rows, plan.columns, region, plan.numbers.bare)
        numbers += contacts.numbers
        reasons += [reason for _, reason in contacts.rejects]
    return numbers, reasons


def csv(folder: Path, *cells: str) -> Path:
    file = folder / "people.csv"
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    file.write_text("phone,name\n" + "".join(f"{cell},Ann\n" for cell in quoted))
    return file


def parquet(folder: Path, values: Any) -> Path:
    file = folder / "people.parquet"
    pq.write_table(pa.table({"phone": values, "name": ["Ann"] * len(values)}), file)
    return file


BOTH_WAYS = ("33612345678", "4915123456789")
ABROAD = ("12125550123", "31612345678", "905321234567")
"""Numbers that Germany does not have."""


def test_numbers_that_are_two_people_are_rejected_with_the_option_to_give(tmp_path: Path) -> None:
    plan = planned(csv(tmp_path, *BOTH_WAYS), "DE")
    assert people(plan, "DE") == ([], ["ambiguous", "ambiguous"])
    assert "--numbers" in plan.numbers.why
    assert [sample.written for sample in plan.numbers.samples] == list(BOTH_WAYS)


@pytest.mark.parametrize("kind", ["csv", "integers"])
@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("international", [33612345678, 4915123456789]),
        ("national", [4933612345678, 494915123456789]),
    ],
)
def test_the_operator_decides(tmp_path: Path, kind: str, numbers: Choice, expected: list[int]) -> None:
    cells = [int(cell) for cell in BOTH_WAYS]
    file = csv(tmp_path, *BOTH_WAYS) if kind == "csv" else parquet(tmp_path, pa.array(cells, pa.int64()))
    assert people(planned(file, "DE", numbers), "DE") == (expected, [])


def test_the_rest_of_the_file_decides(tmp_path: Path) -> None:
    abroad = [
        cell for cell in ABROAD if not isinstance(read(cell, "DE"), Accepted) and read(cell, "DE") != "ambiguous"
    ]
    assert abroad
    plan = planned(csv(tmp_path, *BOTH_WAYS, *abroad), "DE")
    assert plan.numbers.bare == "international"
    assert people(plan, "DE") == ([int(cell) for cell in (*BOTH_WAYS, *abroad)], [])


def test_what_contradicts_its_file_is_rejected(tmp_path: Path) -> None:
    national = [f"212736{n:04d}" for n in range(5000, 5040)]
    plan = planned(csv(tmp_path, *national, "447400123456"), "US")
    numbers, reasons = people(plan, "US")
    assert numbers == [int(f"1{cell}") for cell in national]
    assert reasons == ["ambiguous"]


@pytest.mark.parametrize("kind", ["csv", "float64", "decimal"])
def test_decimals_that_say_something_are_no_digits_of_a_number(tmp_path: Path, kind: str) -> None:
    cells = ["43664123456.125", "43664123456.5", "43664123456.0625", "43664123457.0"]
    if kind == "csv":
        file = csv(tmp_path, *cells)
    elif kind == "float64":
        file = parquet(tmp_path, pa.array([float(cell) for cell in cells] + [43664123456.0001], pa.float64()))
    else:
        file = parquet(tmp_path, pa.array([Decimal(cell) for cell in cells], pa.decimal128(20, 4)))
    numbers, reasons = people(planned(file, "AT", "international"), "AT")
    assert (numbers, set(reasons)) == ([43664123457], {"not_a_number"})


@pytest.mark.parametrize("kind", ["csv", "integers"])
def test_numbers_that_a_database_has_capped_are_nobody(tmp_path: Path, kind: str) -> None:
    cells = [2147483647, 4294967295, 2147483647, 2127365000]
    file = csv(tmp_path, *map(str, cells)) if kind == "csv" else parquet(tmp_path, pa.array(cells, pa.int64()))
    assert people(planned(file, "US"), "US") == ([12127365000], ["digits_lost"] * 3)


def test_what_a_spreadsheet_did_is_undone_in_every_cell(tmp_path: Path) -> None:
    file = csv(tmp_path, "'+43664123456.0", '="+43664123457"', "43664123458.00", "43664123459,00", "4.3664E+11")
    assert people(planned(file, "AT", "international"), "AT") == (
        [43664123456, 43664123457, 43664123458, 43664123459],
        ["digits_lost"],
    )


def test_floats_of_parquet_are_judged_row_by_row(tmp_path: Path) -> None:
    doubles = pa.array([43664123456.0, None, float("nan"), 2.0**53 + 2, 43664123457.5], pa.float64())
    assert people(planned(parquet(tmp_path, doubles), "AT", "international"), "AT") == (
        [43664123456],
        ["missing_number", "missing_number", "digits_lost", "not_a_number"],
    )
    singles = pa.array(np.array([43664123456, 43664123457], np.float32))
    assert people(planned(parquet(tmp_path, singles), "AT", "international"), "AT") == ([], ["digits_lost"] * 2)


def test_a_file_whose_numbers_were_rounded_elsewhere_is_refused_whole(tmp_path: Path) -> None:
    rounded = [f"+{int(np.float32(43664123456 + 7777 * n))}" for n in range(20)]
    with pytest.raises(ContactFileError, match=r"float32.*Nothing was imported"):
        planned(csv(tmp_path, *rounded))


def test_what_is_beside_a_number_is_no_part_of_it(tmp_path: Path) -> None:
    cells = ("0664 1234567/8", "0664 123456 App 12", "0800 FLOWERS1", "0664 1234567; 0664 7654321", "0664 123456")
    assert people(planned(csv(tmp_path, *cells), "AT"), "AT") == (
        [43664123456],
        ["several_numbers", "extension", "letters", "several_numbers"],
    )


def test_the_columns_that_tell_an_export_are_in_it() -> None:
    assert set(exporting.SCHEMA.names) >= CAMPAIGN_EXPORT


@pytest.mark.parametrize("region", ["", "DE", "AT", "US"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_imports_as_the_same_people(tmp_path: Path, kind: exporting.Format, region: str) -> None:
    expected = []
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
        outcome = read(phonenumbers.format_number(example, 0), "") if example is not None else "not_valid"
        expected += [outcome.number] if isinstance(outcome, Accepted) else []
    empty = {
        name: pa.nulls(len(expected), type_)
        for name, type_ in zip(exporting.SCHEMA.names, exporting.SCHEMA.types, strict=True)
    }
    table = pa.table({**empty, "number": pa.array(expected, pa.uint64())}, schema=exporting.SCHEMA)
    file = tmp_path / f"export.{kind}"
    file.write_bytes(b"".join(exporting.PAGES[kind](table, iter([]), exporting.as_written)))
    plan = planned(file, region)
    assert plan.numbers.bare == "alone"
    assert people(plan, region) == (expected, [])
    assert (plan.columns.region, plan.columns.consents, plan.columns.attributes) == (None, (), ())
