"""Lines of a contacts file → contacts, and what the lines say about consent; each reason is of a closed list.

A contact has an E.164 number, the country that the number belongs to, a region (US state, CA province, FR
department), an IANA zone (or ""), and attributes: every other column, as text, empty values left out.

What a line says about consent counts even where the line is rejected: whoever can be read as having opted out has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple

from pipeline.audience.column_words import country_named
from pipeline.audience.columns import Columns
from pipeline.audience.consent_columns import ConsentColumn, mention
from pipeline.numbers.area_codes import CA_NAMES, US_NAMES, state_of_number
from pipeline.numbers.mentions import possible_numbers
from pipeline.numbers.numbering import Bare, read
from schemas.ids import zone_names
from schemas.reasons import Reason

_DEPARTMENT = re.compile(r"0[1-9]|[1-8]\d|9[0-5]|2[AB]")


class Statement(NamedTuple):
    """What a line says about consent: that the number is opted out, or something doubtful (`held`)."""

    number: int
    state: Literal["out", "held"]
    row: int
    column: str
    value: str


@dataclass(slots=True)
class Contacts:
    """Contacts in columns, all of one length, in file order; `rejects` is (row, reason), rows counted from 0.

    `regions` are those that the file gives ("" = it gives none).
    """

    rows: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    rejects: list[tuple[int, Reason]] = field(default_factory=list)


def normalize(rows: Sequence[Sequence[str]], columns: Columns, country: str, bare: Bare = "alone") -> Contacts:
    """Read the rows of a batch; `country` (ISO or "") is assumed for numbers without `+` and without a country, and
    `bare` is how the file means digits that could be national or international."""
    out = Contacts()
    for index, row in enumerate(rows):
        reason = _read_row(out, index, row, columns, country, bare)
        if reason is not None:
            out.rejects.append((index, reason))
    return out


def _read_row(
    out: Contacts, index: int, row: Sequence[str], columns: Columns, country: str, bare: Bare
) -> Reason | None:
    if not columns.fits(row):
        out.statements += statements_of_broken(row, columns, country, index)
        return Reason.WRONG_COLUMNS
    home = country
    if columns.country is not None and row[columns.country].strip():
        home = country_named(row[columns.country])
        if not home:
            out.statements += _statements(row, columns, country, index)
            return Reason.UNKNOWN_COUNTRY
    outcome = read(row[columns.phone], home, bare)
    if columns.consents:
        out.statements += _statements(row, columns, home, index)
    if isinstance(outcome, str):
        return outcome
    zone = row[columns.zone].strip() if columns.zone is not None else ""
    if zone and zone not in zone_names():
        return Reason.NO_SUCH_ZONE
    number, region = outcome.number, row[columns.region] if columns.region is not None else ""
    out.rows.append(index)
    out.numbers.append(number)
    out.countries.append(outcome.country)
    out.regions.append(written_region(region, outcome.country) if region else "")
    out.zones.append(zone)
    return None


def _statements(row: Sequence[str], columns: Columns, country: str, index: int) -> Iterable[Statement]:
    """What the line says about all of its numbers: an opt-out before what is doubtful."""
    doubtful = None
    for consent in columns.consents:
        said = consent.verdict(row[consent.position])
        if said == "out":
            return _of_all_numbers(row, columns, country, index, "out", consent)
        if said == "held" and doubtful is None:
            doubtful = consent
    if doubtful is None:
        return ()
    return _of_all_numbers(row, columns, country, index, "held", doubtful)


def _of_all_numbers(
    row: Sequence[str],
    columns: Columns,
    country: str,
    index: int,
    state: Literal["out", "held"],
    consent: ConsentColumn,
) -> list[Statement]:
    cells = (row[position] for position in columns.phones)
    numbers = dict.fromkeys(number for cell in cells for number in possible_numbers(cell, country))
    return [Statement(number, state, index, consent.name, row[consent.position]) for number in numbers]


def country_of_line(row: Sequence[str], columns: Columns, country: str) -> str:
    """The country that a line names, else `country`."""
    if columns.country is None:
        return country
    return country_named(row[columns.country]) or country


def statements_of_broken(
    cells: Sequence[str], columns: Columns, country: str, index: int = -1
) -> Iterable[Statement]:
    """What a line whose cells do not fit the header may say about consent: nobody knows which cell is which.

    Whoever is named in it is held if any cell of it could be read as an opt-out.
    """
    said = _opt_out_in(cells, columns)
    if said is None:
        return ()
    column, value = said
    numbers = dict.fromkeys(number for cell in cells for number in possible_numbers(cell.strip(' "'), country))
    return [Statement(number, "held", index, column, value) for number in numbers]


def _opt_out_in(cells: Sequence[str], columns: Columns) -> tuple[str, str] | None:
    """(column, cell) of the first cell that could be an opt-out in a column about consent, or anywhere ("")."""
    for consent in columns.consents:
        for cell in cells:
            if cell.strip() and consent.verdict(cell) == "out":
                return consent.name, cell
    return next((("", cell) for cell in cells if mention(cell.strip().strip("'\"")) is not None), None)


def region_code(text: str, country: str, number: int) -> str:
    """The region that quiet hours are looked up by: from the column, else for US and CA from the area code.

    US and CA take a code or a name, France a department; what is neither counts as not given, since no rule
    would know it.
    """
    code = written_region(text, country) if text else ""
    return code or derived_region(country, number)


def derived_region(country: str, number: int) -> str:
    """The region that the area code of a US or CA number tells; "" elsewhere."""
    return state_of_number(number) if country in ("US", "CA") else ""


@cache
def written_region(text: str, country: str) -> str:
    """The region's code as a file gives it; "" where no rule would know it."""
    code = text.strip().upper().removeprefix(f"{country}-")
    if country in ("US", "CA"):
        names = US_NAMES if country == "US" else CA_NAMES
        if code in names:
            return code
        return next((known for known, name in names.items() if name.upper() == code), "")
    if country == "FR":
        return code.zfill(2) if _DEPARTMENT.fullmatch(code.zfill(2)) else ""
    return code
