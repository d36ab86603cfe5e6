"""Lines of a contacts file → contacts: which column is what, and each line's outcome, with closed reasons.

A contact has an E.164 number, the country that the number belongs to, a region (US state, CA province, FR
department), an IANA zone (or ""), and attributes: every other column, as text, empty values left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args

from pipeline.area_codes import CA_NAMES, US_NAMES, state_of_number
from pipeline.numbering import Refusal, read
from schemas.ids import zone_names

Reason = Literal[
    Refusal, "unknown_country", "unknown_zone", "unclear_consent", "wrong_columns", "malformed", "not_utf8"
]
REASONS: tuple[Reason, ...] = get_args(Reason)

PHONE_NAMES = ("phone", "number", "mobile", "msisdn", "phone_number")
_ROLES = ("country", "region", "zone", "opted_out", "consent")
_ALIASES = {"region": ("state", "province"), "zone": ("timezone", "time_zone")}
"""Names that are read for a role where the file has no column of the role's own; they stay attributes too."""
_COUNTRIES = {"USA": "US", "UK": "GB", "CAN": "CA", "FRA": "FR", "GBR": "GB", "IND": "IN"}
_DEPARTMENT = re.compile(r"0[1-9]|[1-8]\d|9[0-5]|2[AB]")
_YES = frozenset({"true", "t", "yes", "y", "1"})
_NO = frozenset({"false", "f", "no", "n", "0", ""})


class ColumnsError(ValueError):
    """The header cannot be used; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each part of a contact stands in a row of `width` cells; None where the file has no such column."""

    width: int
    phone: int
    country: int | None
    region: int | None
    zone: int | None
    opted_out: int | None
    consent: int | None
    attributes: tuple[tuple[str, int], ...]
    """(name, position) of every other named column."""


@dataclass(slots=True)
class Contacts:
    """Contacts in columns, all of one length, in file order; `rejects` is (row, reason), rows counted from 0."""

    rows: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    opted_out: list[int] = field(default_factory=list)
    """Numbers of `numbers` whose line says that they must not be written to."""
    rejects: list[tuple[int, Reason]] = field(default_factory=list)


def columns_of(header: Sequence[str]) -> Columns:
    """What each column is. Names are matched in any case, with spaces or hyphens for `_`; unnamed ones are ignored.

    Raises:
        ColumnsError: no column with the number, or a name twice.
    """
    names = [re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_") for name in header]
    found = ", ".join(repr(name) for name in header)
    placed: dict[str, int] = {}
    for position, name in enumerate(names):
        if name in placed:
            raise ColumnsError(f"two columns named {name!r}: rename one of them; found: {found}")
        if name:
            placed[name] = position
    phone = next((name for name in PHONE_NAMES if name in placed), None)
    if phone is None:
        raise ColumnsError(f"no column named {', '.join(PHONE_NAMES[:-1])} or {PHONE_NAMES[-1]}; found: {found}")
    used = {phone, *_ROLES}
    return Columns(
        width=len(names),
        phone=placed[phone],
        country=placed.get("country"),
        region=_place(placed, "region"),
        zone=_place(placed, "zone"),
        opted_out=placed.get("opted_out"),
        consent=placed.get("consent"),
        attributes=tuple((name, position) for name, position in placed.items() if name not in used),
    )


def _place(placed: dict[str, int], role: str) -> int | None:
    return next((placed[name] for name in (role, *_ALIASES[role]) if name in placed), None)


def normalise(rows: Sequence[Sequence[str]], columns: Columns, country: str) -> Contacts:
    """Read the rows of a batch; `country` (ISO or "") is assumed for numbers without `+` and without a country."""
    out = Contacts()
    for index, row in enumerate(rows):
        reason = _read_row(out, index, row, columns, country)
        if reason is not None:
            out.rejects.append((index, reason))
    return out


def _read_row(out: Contacts, index: int, row: Sequence[str], columns: Columns, country: str) -> Reason | None:
    if len(row) != columns.width:
        return "wrong_columns"
    home = country
    if columns.country is not None and row[columns.country]:
        home = country_code(row[columns.country])
        if not home:
            return "unknown_country"
    outcome = read(row[columns.phone], home)
    if isinstance(outcome, str):
        return outcome
    zone = row[columns.zone].strip() if columns.zone is not None else ""
    if zone and zone not in zone_names():
        return "unknown_zone"
    refuses = _refuses(row, columns)
    if refuses is None:
        return "unclear_consent"
    number, region = outcome.number, row[columns.region] if columns.region is not None else ""
    out.rows.append(index)
    out.numbers.append(number)
    out.countries.append(outcome.country)
    out.regions.append(region_code(region, outcome.country, number))
    out.zones.append(zone)
    if refuses:
        out.opted_out.append(number)
    return None


def _refuses(row: Sequence[str], columns: Columns) -> bool | None:
    """Whether the line forbids writing to the person; None where it says something else than yes or no.

    An empty `consent` says nothing: lists without a consent mark are common.
    """
    out = row[columns.opted_out].strip().lower() if columns.opted_out is not None else ""
    consent = row[columns.consent].strip().lower() if columns.consent is not None else ""
    if (out not in _YES and out not in _NO) or (consent not in _YES and consent not in _NO):
        return None
    return out in _YES or (consent != "" and consent in _NO)


@cache
def country_code(text: str) -> str:
    """ISO code of a country column's value, "" if it is none that phonenumbers knows."""
    from phonenumbers import SUPPORTED_REGIONS

    code = text.strip().upper()
    code = _COUNTRIES.get(code, code)
    return code if code in SUPPORTED_REGIONS else ""


def region_code(text: str, country: str, number: int) -> str:
    """The region that quiet hours are looked up by: from the column, else for US and CA from the area code.

    US and CA take a code or a name, France a department; what is neither counts as not given, since no rule
    would know it.
    """
    code = _written_region(text, country) if text else ""
    if code or country not in ("US", "CA"):
        return code
    return state_of_number(number)


@cache
def _written_region(text: str, country: str) -> str:
    code = text.strip().upper().removeprefix(f"{country}-")
    if country in ("US", "CA"):
        names = US_NAMES if country == "US" else CA_NAMES
        if code in names:
            return code
        return next((known for known, name in names.items() if name.upper() == code), "")
    if country == "FR":
        return code.zfill(2) if _DEPARTMENT.fullmatch(code.zfill(2)) else ""
    return code
