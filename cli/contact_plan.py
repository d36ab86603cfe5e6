"""The first pass over a contacts file: what it is, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapters.contact_files import ContactFile, ContactFileError, Reading, open_contacts
from pipeline.column_words import country_named, names_known_column, names_number
from pipeline.columns import Choices, Columns, columns_of, is_like_a_number
from pipeline.number_judging import Choice, NumberJudge, Verdict
from pipeline.survey import Survey


@dataclass(frozen=True, slots=True)
class Plan:
    """A file that was read to its end once, what its columns are taken for, and what was seen in them."""

    file: ContactFile
    columns: Columns
    survey: Survey
    numbers: Verdict

    @property
    def notes(self) -> list[str]:
        """What an operator should know, a sentence each."""
        return [*reading_notes(self.file), *self.columns.notes]


def plan_import(path: Path, reading: Reading, choices: Choices, numbers: Choice) -> Plan:
    """Read the whole file; `numbers` is how the operator says that digits without + are meant.

    Raises:
        ContactFileError: it cannot be read to its end, or has no rows.
        ColumnsError: its columns cannot be used.
    """
    file = open_contacts(path, reading)
    survey = survey_of(file)
    if not survey.rows:
        raise ContactFileError(f"{path} has a header but no contacts")
    columns = columns_of(file.header, survey.profiles, choices)
    needed = {columns.phone: "the number", **{one.position: "consent" for one in columns.consents}}
    for position, what in needed.items():
        if file.header[position] in file.unusable:
            kind = file.unusable[file.header[position]]
            raise ContactFileError(
                f"{path}: column {file.header[position]!r} is {what} but holds {kind}: store it as text. Nothing was "
                "imported"
            )
    verdict = judge_numbers(file, (columns.phone,), columns.country, reading.country, numbers)
    return Plan(file, columns, survey, verdict)


def judge_numbers(
    file: ContactFile, phones: Sequence[int], of_country: int | None, country: str, choice: Choice
) -> Verdict:
    """How the file means digits without +, judged from all of its numbers.

    Raises:
        ContactFileError: it cannot be read to its end, or its numbers were rounded before they came into it.
    """
    judge, least = NumberJudge(), max(*phones, of_country or 0)
    for batch in file.batches():
        for row in batch.rows:
            if len(row) > least:
                named = country_named(row[of_country]) if of_country is not None else ""
                for phone in phones:
                    judge.look(row[phone], named or country)
        if of_country is None and not country and judge.knows_rounding:
            break
    rounding = judge.rounding()
    if rounding:
        raise ContactFileError(f"{rounding}. Nothing was imported: take the numbers from their source again, as text")
    return judge.verdict(choice)


def described_verdict(verdict: Verdict) -> dict[str, Any]:
    """The judgement for a summary."""
    return {"read_as": verdict.bare, "why": verdict.why, "samples": [asdict(sample) for sample in verdict.samples]}


def survey_of(file: ContactFile) -> Survey:
    """What is in the columns of a file.

    Raises:
        ContactFileError: it cannot be read to its end.
    """
    survey = Survey.of(file.header)
    broken = 0
    for batch in file.batches():
        survey.add(batch.rows)
        broken += len(batch.broken)
    survey.rows += broken
    return survey


def reading_of(encoding: str, delimiter: str, country: str, *, has_header: bool, lenient: bool = False) -> Reading:
    """How a file is to be read; a lenient one also sees by itself that a file has no header."""
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
    """How the file was read, where that was a guess, and what could not be."""
    notes = []
    if file.dialect.guess:
        shown = "  ·  ".join(file.dialect.guess)
        notes.append(
            f"the file is not Unicode; it was read as {file.dialect.described.split(',')[0]}, which is a guess: "
            f"{shown}. If that is wrong, name the encoding with --encoding"
        )
    notes += [
        f"column {name!r} holds {kind}, which is no text: it is left out" for name, kind in file.unusable.items()
    ]
    return notes


def described_columns(file: ContactFile, columns: Any, survey: Survey) -> list[dict[str, Any]]:
    """Each column: its name, what it is taken for, and samples."""
    return [
        {
            "column": name,
            "taken_for": "left out" if name in file.unusable else columns.role_of(position),
            "samples": survey.profiles[position].samples,
        }
        for position, name in enumerate(file.header)
    ]
