"""Reads a file of numbers: one number per line, or a CSV file with a column `number` as the export writes it."""

from __future__ import annotations

import csv
import getpass
from pathlib import Path

from adapters.terminal import UserError
from pipeline.numbers.cleaning import has_plus


def read_numbers(file: Path) -> list[str]:
    """The numbers of a file as they are written there, each with its `+`: without it, a number may be someone else's.

    Raises:
        UserError: it cannot be read, is empty, is a CSV without that column, or has a number without `+`.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not a text file: use one number per line, or an export as CSV") from error
    lines = text.splitlines()
    numbers = [number for number in (_column(file, lines) if _is_csv(lines) else lines) if number.strip()]
    if not numbers:
        raise UserError(f"{file} has no numbers: use one number per line, or an export as CSV")
    bare = [number for number in numbers if not has_plus(number)]
    if bare:
        raise UserError(
            f"{file}: {len(bare):,} of {len(numbers):,} numbers have no +, as {bare[0].strip()!r}: without it "
            "a number may be another person's; write each with + and country code, as the export does"
        )
    return [number.strip() for number in numbers]


def user() -> str:
    """The name of the user who runs this command; it is kept with the decision."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "cli"


def _is_csv(lines: list[str]) -> bool:
    return bool(lines) and any(letter.isalpha() for letter in lines[0])


def _column(file: Path, lines: list[str]) -> list[str]:
    rows = csv.DictReader(lines)
    if "number" not in (rows.fieldnames or ()):
        raise UserError(f"{file}: its first line has no column `number`; use an export, or one number per line")
    return [row["number"] or "" for row in rows]
