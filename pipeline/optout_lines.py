"""Lines of an opt-out file → opt-outs: which column is what, and each line's outcome, with closed reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from pipeline.contacts import PHONE_NAMES, ColumnsError, country_code
from pipeline.numbering import Accepted, Refusal, read
from schemas.feedback import Consent

Reason = Literal[Refusal, "unknown_country", "unclear_time", "future_time", "wrong_columns", "malformed", "not_utf8"]
REASONS: tuple[Reason, ...] = get_args(Reason)
EVIDENCE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each part stands in a row of `width` cells; None where the file has no such column."""

    width: int
    phone: int
    country: int | None
    at: int | None
    evidence: int | None


def columns_of(header: Sequence[str]) -> Columns:
    """What each column is; names are matched in any case, with spaces or hyphens for `_`.

    Raises:
        ColumnsError: no column, or more than one, is a number.
    """
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in header]
    phones = [names.index(name) for name in PHONE_NAMES if name in names]
    if not phones:
        raise ColumnsError(f"no column is a number: name one of them {', '.join(PHONE_NAMES)}; there are {names}")

    def place(name: str) -> int | None:
        return names.index(name) if name in names else None

    return Columns(len(names), phones[0], place("country"), place("at"), place("evidence"))


def optout_of(row: Sequence[str], columns: Columns, country: str, where: str, now: int) -> Consent | Reason:
    """The opt-out of a line, or why there is none. `country` is assumed for numbers written without `+` and country;
    `where` (file and line) is the evidence of a line that has none of its own. Times in ms."""
    if len(row) != columns.width:
        return "wrong_columns"
    if columns.country is not None and row[columns.country].strip():
        country = country_code(row[columns.country])
        if not country:
            return "unknown_country"
    found = read(row[columns.phone], country)
    if not isinstance(found, Accepted):
        return found
    at = now
    if columns.at is not None and row[columns.at].strip():
        moment = _instant(row[columns.at].strip())
        if moment is None:
            return "unclear_time"
        if moment > now:
            return "future_time"
        at = moment
    said = row[columns.evidence].strip()[:EVIDENCE_LIMIT] if columns.evidence is not None else ""
    return Consent(
        number=found.number, state="out", at=at, source="import", evidence=f"{where}: {said}" if said else where
    )


def _instant(text: str) -> int | None:
    """Milliseconds of ISO 8601 with an offset, or a date alone (its beginning in UTC); None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        if len(text) > len("2026-11-22"):
            return None
        moment = moment.replace(tzinfo=UTC)
    at = int(moment.timestamp() * 1000)
    return at if at >= 0 else None
