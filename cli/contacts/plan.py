"""The first pass over a contacts file: encoding, columns and numbers, before anything is written."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from adapters.contacts.files import ContactFile, ContactFileError, Reading, open_contacts
from adapters.contacts.rejects import Rejects
from adapters.terminal import UserError
from pipeline.audience.column_words import country_named, names_known_column, names_number
from pipeline.audience.columns import Choices, Columns, ColumnsError, columns_of, is_like_a_number
from pipeline.audience.rejections import RejectedLines
from pipeline.audience.survey import Profile, Survey
from pipeline.numbers.judging import Choice, NumberJudge, Verdict
from schemas.json import JsonObject

Places = tuple[tuple[int, ...], int | None]
"""The columns with numbers, and the one with their country."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that was read once to its end: the roles of its columns, and a survey of their values."""

    file: ContactFile
    columns: Columns
    survey: Survey
    numbers: Verdict

    @property
    def notes(self) -> list[str]:
        """Sentences that the operator should read before the import."""
        return [*reading_notes(self.file), *self.columns.notes]


def plan_import(path: Path, reading: Reading, choices: Choices, numbers: Choice) -> Plan:
    """Read the whole file; `numbers` is the operator's choice for digits without +.

    Raises:
        ContactFileError: the file cannot be read to its end, or has no rows.
        ColumnsError: its columns cannot be used.
    """
    file = open_contacts(path, reading)
    watch = NumberWatch(lambda seen: _places(columns_of(file.header, seen, choices)), reading.country)
    survey = survey_of(file, watch)
    if not survey.rows:
        raise ContactFileError(f"{path} has a header but no contacts")
    columns = columns_of(file.header, survey.profiles, choices)
    needed = {columns.phone: "the number", **{consent.position: "consent" for consent in columns.consents}}
    for position, what in needed.items():
        if file.header[position] in file.unusable:
            kind = file.unusable[file.header[position]]
            raise ContactFileError(
                f"{path}: column {file.header[position]!r} is {what} but holds {kind}: store it as text. Nothing was "
                "imported"
            )
    return Plan(file, columns, survey, judge_numbers(file, _places(columns), watch, numbers))


def _places(columns: Columns) -> Places:
    return (columns.phone,), columns.country


@dataclass(slots=True)
class NumberWatch:
    """Judges a file's numbers during the first pass, in the columns that its first rows suggest.

    `suggest(profiles)` gives these; `country` (ISO or "") is that of numbers without + and country.
    """

    suggest: Callable[[Sequence[Profile]], Places]
    country: str
    judge: NumberJudge = field(default_factory=NumberJudge)
    places: Places | None = None

    def begin(self, profiles: Sequence[Profile]) -> None:
        """Find the columns of numbers; without them nothing is judged."""
        with suppress(ColumnsError):
            self.places = self.suggest(profiles)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Judge the numbers of some rows."""
        if self.places is None:
            return
        (phones, of_country), look, country = self.places, self.judge.look, self.country
        least = max(*phones, of_country or 0)
        for row in rows:
            if len(row) > least:
                named = country_named(row[of_country]) if of_country is not None else ""
                for phone in phones:
                    look(row[phone], named or country)


def judge_numbers(file: ContactFile, places: Places, watch: NumberWatch, choice: Choice) -> Verdict:
    """How the file means digits without +, judged from all its numbers: those already watched, if they are in
    the columns that it turned out to have.

    Raises:
        ContactFileError: it cannot be read to its end, or its numbers were rounded before they came into it.
    """
    if watch.places != places:
        watch = NumberWatch(watch.suggest, watch.country, places=places)
        for batch in file.batches():
            watch.add(batch.rows)
    rounding = watch.judge.rounding()
    if rounding:
        raise ContactFileError(
            f"{rounding}. Nothing was imported: export the numbers from their source again, as text"
        )
    return watch.judge.verdict(choice)


def described_verdict(verdict: Verdict) -> JsonObject:
    """The judgement for a summary."""
    return {"read_as": verdict.bare, "why": verdict.why, "samples": [asdict(sample) for sample in verdict.samples]}


@contextmanager
def no_cyclic_collection() -> Iterator[None]:
    """Rows are many small lists without cycles: looking through them again and again takes a third of the time.

    phonenumbers' exceptions do make cycles, which hold on to their batch: so collect once after each.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def survey_of(file: ContactFile, watch: NumberWatch) -> Survey:
    """What is in the columns of a file; its numbers are watched.

    Raises:
        ContactFileError: it cannot be read to its end.
    """
    survey = Survey.of(file.header)
    broken = 0
    with no_cyclic_collection():
        for index, batch in enumerate(file.batches()):
            survey.add(batch.rows)
            if not index:
                watch.begin(survey.profiles)
            watch.add(batch.rows)
            broken += len(batch.broken)
            gc.collect()
    survey.rows += broken
    return survey


def reading_of(encoding: str, delimiter: str, country: str, *, has_header: bool, lenient: bool = False) -> Reading:
    """How a file is to be read. A lenient reading also detects that a file has no header."""
    return Reading(
        encoding=encoding,
        delimiter=delimiter,
        country=country,
        has_header=has_header,
        lenient=lenient,
        is_known=lambda name: names_number(name) or names_known_column(name),
        is_contact=_is_contact if lenient else lambda _: False,
    )


def _is_contact(record: Sequence[str]) -> bool:
    return any(map(is_like_a_number, record)) and not any(map(names_number, record))


def reading_notes(file: ContactFile) -> list[str]:
    """Notes on how the file was read: what was guessed, and what could not be read."""
    notes = []
    if file.dialect.guess:
        shown = "  ·  ".join(file.dialect.guess)
        notes.append(
            f"the file is not Unicode. It was read as {file.dialect.described.split(',')[0]}, which is a guess: "
            f"{shown}. If that is wrong, name the encoding with --encoding"
        )
    notes += [
        f"column {name!r} holds {kind}, which is not text: the column is ignored"
        for name, kind in file.unusable.items()
    ]
    return notes


class FileColumns(Protocol):
    """What the columns of a file are for: those of contacts, or those of opt-outs."""

    @property
    def has_reason(self) -> bool: ...
    def role_of(self, position: int) -> str: ...


def summary_of(
    file: ContactFile, columns: FileColumns, survey: Survey, verdict: Verdict, rejected: RejectedLines
) -> JsonObject:
    """The part of a summary that describes the file; all imports have it."""
    return {
        "read_as": file.dialect.described,
        "columns": described_columns(file, columns, survey),
        "numbers": described_verdict(verdict),
        "rejected": dict(rejected.counts.most_common()),
        "rejected_examples": rejected.examples,
        "rejects": None,
    }


def open_rejects(path: Path, file: ContactFile, columns: FileColumns) -> Rejects:
    """The writer of a file's rejected lines.

    Raises:
        UserError: it cannot be written.
    """
    try:
        return Rejects(path, file.dialect, file.header, drops_last=columns.has_reason)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another file with --rejects") from error


def _encodable(text: str) -> str:
    """A text without the marks that a lenient reading leaves for undecodable bytes."""
    return text.encode("utf-8", "replace").decode()


def described_columns(file: ContactFile, columns: FileColumns, survey: Survey) -> list[JsonObject]:
    """Each column's name, role and samples."""
    return [
        {
            "column": _encodable(name),
            "taken_for": "left out" if name in file.unusable else columns.role_of(position),
            "samples": [_encodable(sample) for sample in survey.profiles[position].samples],
        }
        for position, name in enumerate(file.header)
    ]
