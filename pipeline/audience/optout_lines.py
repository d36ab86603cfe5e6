"""Lines of an opt-out file → changes of consent. Whatever else is wrong with a line, a number that can be read is
opted out: a date, a country or a cell count that cannot be read is noted, and never drops an opt-out.

A file says with a column `out` or `opted_out` (or any column about consent) what a line means; without one each line
is an opt-out. `longwave optouts export` writes such a file, and importing it gives the same state again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from pipeline.audience.column_words import country_named, fold, names_number
from pipeline.audience.columns import (
    Choices,
    ColumnsError,
    first_named,
    is_answered,
    named_width,
    position_of,
    quoted,
)
from pipeline.audience.consent_columns import ConsentColumn, is_understood, kind_of
from pipeline.audience.rejections import is_rejection
from pipeline.audience.survey import Profile
from pipeline.numbers.mentions import possible_numbers
from pipeline.numbers.numbering import Accepted, Bare, read
from schemas.feedback import Consent
from schemas.reasons import Reason

Note = Literal[
    "time_replaced",
    "country_not_known",
    "cells_do_not_fit",
    "text_not_readable",
    "state_not_clear",
    "two_readings",
    "opted_out_later",
    "decided_before",
]
NOTES: Final[dict[str, str]] = {
    "time_replaced": "the time cannot be read or is not plausible: the time of this import counts instead",
    "country_not_known": "the country is not known: the number was read without it",
    "cells_do_not_fit": "the line has another number of cells than the header: every number in it is opted out",
    "text_not_readable": "some characters cannot be read: they are kept as question marks",
    "two_readings": "the digits are a number in the country and another one abroad: both are opted out",
    "opted_out_later": "the line opts in, but the number opted out after that: it stays opted out",
    "decided_before": "the line holds its number, but somebody has decided about the same hold: that stands",
    "state_not_clear": "what the line says about consent is not clear: the number is held until somebody has looked",
}
EVIDENCE_LIMIT: Final = 2000
_EXPORT: Final = ("number", "at", "out", "source", "evidence")
_EXPORTED: Final = ("account", "hold", "source", "word", "rule", "who")
_SOURCES: Final = frozenset({"inbound", "link", "import", "api", "review", "erasure"})
_ACCOUNT: Final = re.compile(r"[a-z0-9_-]{0,64}")
_NEUTRALIZED: Final = re.compile("'[=+\\-@\t\r\n＝＋－＠]")
_HOLD: Final = re.compile(r"[0-9a-f]{1,32}")
_WORDS_OF_TEXT: Final = frozenset({"text", "texte", "message", "nachricht"})
_EARLIEST: Final = 946_684_800_000
"""Earliest plausible time of an opt-out: the year 2000."""
_SHORTEST: Final = 9
"""Digits, at least, of a number in a line whose cells do not fit: shorter ones may be anything."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each part stands in a row of `width` cells; None where the file has no such column.

    `is_export`: the file is what `longwave optouts export` wrote, and `exported` are its own columns.
    """

    header: tuple[str, ...]
    phones: tuple[int, ...]
    country: int | None
    at: int | None
    evidence: int | None
    consents: tuple[ConsentColumn, ...]
    account: int | None = None
    is_export: bool = False
    exported: dict[str, int] = field(default_factory=dict)
    has_reason: bool = False
    """The last column has the reasons of an earlier rejection."""

    @property
    def width(self) -> int:
        return len(self.header)

    def role_of(self, position: int) -> str:
        """What a column is taken for, in a word or two."""
        if position in self.phones:
            return "phone"
        for role in ("country", "at", "evidence", "account"):
            if getattr(self, role) == position:
                return role
        if any(consent.position == position for consent in self.consents):
            return "consent"
        return "kept" if position in self.exported.values() else "ignored"


class Where(NamedTuple):
    """Where a line stands (`people.csv line 7`), what is assumed for it, and the accounts that there are.

    `country` (ISO or "") is that of numbers without + and country, `bare` how the file means digits that could be
    national or international, `account` ("" = every one) whose opt-outs these are, `now` in ms.
    """

    place: str
    country: str
    account: str
    accounts: frozenset[str]
    now: int
    bare: Bare = "alone"


class Outcome(NamedTuple):
    """What a line changes, what is noted, and why it, or one of its numbers, was not taken (`detail`: where)."""

    changes: list[Consent]
    notes: list[Note]
    rejection: Reason | None = None
    detail: str = ""


def columns_of(
    header: Sequence[str], profiles: Sequence[Profile] | None = None, choices: Choices | None = None
) -> Columns:
    """What each column is: every column of numbers counts, by its header, or by a + before most of its cells.

    Raises:
        ColumnsError: no column is a number.
    """
    choices = choices or Choices()
    chosen = [(role, position_of(header, name)) for role, name in choices.roles]
    ignored = {position_of(header, name) for name in choices.ignored}
    free = [i for i in range(len(header)) if i not in ignored and i not in {place for _, place in chosen}]
    phones = [place for role, place in chosen if role == "phone"]
    phones += [
        i for i in free if names_number(header[i]) and not (profiles and len(free) > 1 and is_answered(profiles[i]))
    ]
    phones += [i for i in free if i not in phones and profiles and profiles[i].is_international]
    if not phones and profiles:
        # Half of the cells will do: here a column that is missed loses opt-outs.
        likely = [i for i in free if profiles[i].like_numbers >= max(1, 0.5 * profiles[i].looked_at)]
        phones = sorted(likely, key=lambda i: -profiles[i].like_numbers)[:1]
    if not phones:
        raise ColumnsError(f"no column is a phone number; found: {quoted(header)}. Name it with --column phone=NAME")

    def place(role: str) -> int | None:
        own = next((position for taken, position in chosen if taken == role), None)
        if own is not None:
            return own
        return first_named(role, header, [i for i in free if i not in phones and not _says_why(i, profiles)])

    at = place("at")
    folded = [fold(name) for name in header]
    is_export = set(_EXPORT) <= set(folded)
    last = len(header) - 1
    return Columns(
        header=tuple(header),
        phones=tuple(phones),
        country=place("country"),
        at=at,
        evidence=folded.index("evidence") if is_export else place("evidence"),
        consents=_consents(
            header,
            chosen,
            [i for i in free if i not in phones and i != at and not _is_remark(i, header, profiles)],
            is_export=is_export,
        ),
        account=folded.index("account") if "account" in folded else None,
        is_export=is_export,
        exported={name: folded.index(name) for name in _EXPORTED if is_export and name in folded},
        has_reason=folded[last] == "reason" and _says_why(last, profiles),
    )


def _says_why(position: int, profiles: Sequence[Profile] | None) -> bool:
    """Whether a column has the reasons of an earlier rejection."""
    values = profiles[position].values if profiles is not None else ()
    return bool(values) and all(map(is_rejection, values))


def _is_remark(position: int, header: Sequence[str], profiles: Sequence[Profile] | None) -> bool:
    """Whether a column whose header is about opt-outs has no answer at all: `Opt-out text` has what people wrote."""
    values = profiles[position].values if profiles is not None else ()
    is_text = not _WORDS_OF_TEXT.isdisjoint(fold(header[position]).split("_"))
    is_about = is_text and kind_of(header[position]) == "out"
    return is_about and bool(values) and not any(is_understood(value, "out") for value in values)


def _consents(
    header: Sequence[str], chosen: Sequence[tuple[str, int]], free: Sequence[int], *, is_export: bool
) -> tuple[ConsentColumn, ...]:
    if is_export:
        place = [fold(name) for name in header].index("out")
        return (ConsentColumn(place, header[place], "out"),)
    taken = [
        ConsentColumn(position, header[position], "in" if role == "consent" else "out")
        for role, position in chosen
        if role in ("consent", "opted_out")
    ]
    for position in free:
        kind = kind_of(header[position])
        if kind in ("out", "in"):
            taken.append(ConsentColumn(position, header[position], "out" if kind == "out" else "in"))
    return tuple(taken)


def changes_of(row: Sequence[str], columns: Columns, where: Where) -> Outcome:
    """What a line changes."""
    if len(row) != columns.width and (len(row) < named_width(columns.header) or any(row[columns.width :])):
        return changes_of_broken(row, columns, where)
    notes: list[Note] = []
    country = where.country
    if columns.country is not None and row[columns.country].strip():
        named = country_named(row[columns.country])
        country = named or country
        if not named:
            notes.append("country_not_known")
    numbers: list[int] = []
    rejection, detail = None, ""
    for position in columns.phones:
        if not row[position].strip():
            continue
        meant = possible_numbers(row[position], country, where.bare)
        numbers += meant
        if len(meant) > 1:
            notes.append("two_readings")
        elif not meant and rejection is None:
            rejection, detail = _refusal(row[position], country, where.bare), f"column {columns.header[position]!r}"
    if not numbers:
        return Outcome([], notes, rejection or Reason.MISSING_NUMBER, detail)
    at = _time_of(row, columns, where.now)
    if at is None:
        notes.append("time_replaced")
    changes = _exported if columns.is_export else _changes
    return Outcome(
        changes(list(dict.fromkeys(numbers)), row, columns, where, where.now if at is None else at, notes),
        notes,
        rejection,
        detail,
    )


def _refusal(text: str, country: str, bare: Bare) -> Reason:
    outcome = read(text, country, bare)
    return Reason.NOT_A_NUMBER if isinstance(outcome, Accepted) else outcome


def changes_of_broken(cells: Sequence[str], columns: Columns, where: Where) -> Outcome:
    """What a line changes of which nobody knows which cell is which: every number in it is opted out."""
    likely = (cell.strip(' "') for cell in cells if sum(c.isdigit() for c in cell) >= _SHORTEST)
    numbers = list(dict.fromkeys(n for cell in likely for n in possible_numbers(cell, where.country, where.bare)))
    if not numbers:
        return Outcome([], [], Reason.WRONG_COLUMNS)
    changes = [_change(n, "out", where.now, where, _printable(" ".join(cells).strip())) for n in numbers]
    return Outcome(changes, ["cells_do_not_fit"])


def _changes(
    numbers: list[int], row: Sequence[str], columns: Columns, where: Where, at: int, notes: list[Note]
) -> list[Consent]:
    said = row[columns.evidence].strip() if columns.evidence is not None else ""
    if _printable(said) != said:
        notes.append("text_not_readable")
    state, detail = _state(row, columns)
    if state == "no":
        return []
    if state == "held":
        notes.append("state_not_clear")
    if columns.account is not None and row[columns.account].strip() in where.accounts:
        where = where._replace(account=row[columns.account].strip())
    text = "; ".join(part for part in (detail, said) if part)
    return [_change(number, state, at, where, _printable(text)) for number in numbers]


def _state(row: Sequence[str], columns: Columns) -> tuple[Literal["out", "in", "held", "no"], str]:
    """What a line means, and the cell that says so. Only who is said to be in, and not just "no", is opted in."""
    said = [(consent, row[consent.position].strip()) for consent in columns.consents]
    said = [(consent, cell) for consent, cell in said if cell]
    verdicts = [(consent.verdict(cell), f"{consent.name}: {cell}"[:200], cell) for consent, cell in said]
    for wanted in ("out", "held"):
        for verdict, detail, _ in verdicts:
            if verdict == wanted:
                return ("out" if wanted == "out" else "held"), detail
    if not verdicts or all(verdict is None for verdict, _, _ in verdicts):
        return "out", ""
    is_plain = all(fold(cell) in ("in", "opted_in", "opt_in") for _, _, cell in verdicts)
    return ("in", verdicts[0][1]) if is_plain else ("no", "")


def _exported(
    numbers: list[int], row: Sequence[str], columns: Columns, where: Where, at: int, notes: list[Note]
) -> list[Consent]:
    """The change that a line of an export tells of, as it was."""

    def cell(name: str) -> str:
        return row[columns.exported[name]].strip() if name in columns.exported else ""

    word = fold(row[columns.consents[0].position])
    hold = cell("hold") if _HOLD.fullmatch(cell("hold")) else ""
    state: Literal["out", "in", "held"]
    if word in ("out", ""):
        state, hold = "out", ""
    elif word == "in" or (word == "cleared" and hold):
        state, hold = "in", hold if word == "cleared" else ""
    else:
        state = "held"
        if word != "held":
            notes.append("state_not_clear")
    evidence = row[columns.evidence] if columns.evidence is not None else ""
    # What begins like a formula is written with an apostrophe in front.
    evidence = evidence[1:] if _NEUTRALIZED.match(evidence) else evidence
    return [
        Consent(
            account=cell("account") if _ACCOUNT.fullmatch(cell("account")) else "",
            number=number,
            state=state,
            at=at,
            source=cell("source") if cell("source") in _SOURCES else "import",
            evidence=_printable(evidence)[:EVIDENCE_LIMIT],
            word=_printable(cell("word")),
            rule=_printable(cell("rule")),
            who=_printable(cell("who")),
            hold=hold,
        )
        for number in numbers
    ]


def _change(number: int, state: Literal["out", "in", "held"], at: int, where: Where, said: str) -> Consent:
    evidence = f"{where.place}: {said}" if said else where.place
    return Consent(
        account=where.account,
        number=number,
        state=state,
        at=at,
        source="import",
        evidence=evidence[:EVIDENCE_LIMIT],
    )


def _printable(text: str) -> str:
    """A text without what could not be decoded."""
    return text.encode("utf-8", "replace").decode()


def _time_of(row: Sequence[str], columns: Columns, now: int) -> int | None:
    """The time of a line in ms: now where it has none, None where it has one that cannot be read or is none."""
    text = row[columns.at].strip() if columns.at is not None else ""
    if not text:
        return now
    moment = _instant(text)
    return moment if moment is not None and _EARLIEST <= moment <= now else None


def _instant(text: str) -> int | None:
    """Milliseconds of ISO 8601 (UTC where it names no offset), or of seconds or milliseconds since 1970."""
    if text.isascii() and text.isdigit():
        return int(text) * (1000 if len(text) <= 10 else 1) if len(text) <= 13 and len(text) != 8 else None
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
