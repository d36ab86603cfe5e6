"""Contact files, read in bounded batches: CSV in any encoding and delimiter, and Parquet.

A file is never held in memory: at most one batch of rows and, for CSV, one megabyte of a line that does not end.
What is wrong with the file as a whole (its encoding, a header, a damaged page) shows before its first row is used:
importers read a file twice, and the first time nothing is written. A broken line costs that line alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapters.errors import LongwaveError

BATCH = 50_000
LONGEST_LINE = 1_000_000
LONGEST_CELL = 32_768
_HEAD = 65_536
_FOREIGN_FORMATS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip-compressed",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"%PDF": "a PDF",
    b"{\\rtf": "a text document (RTF)",
}
_MARKUP = (b"<!doctype", b"<html", b"<?xml")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


class ContactFileError(LongwaveError):
    """The file as a whole cannot be read; the text is for the user."""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no row: where it starts, and its text."""

    line: int
    raw: str


@dataclass(slots=True)
class Batch:
    """Rows in file order. `lines[i]` is the line (CSV) or row (Parquet), from 1, where `rows[i]` starts.

    `done` is how much of the file's `total` has been read at the end of this batch.
    """

    rows: list[Sequence[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    raws: list[list[str]] | None = None
    broken: list[BrokenLine] = field(default_factory=list)
    done: int = 0

    def raw(self, index: int) -> str:
        """The text of row `index` as it stands in the file, without its line end (Parquet: written as CSV)."""
        if self.raws is not None:
            return "".join(self.raws[index]).rstrip("\r\n")
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(self.rows[index])
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written, so that rejected lines can be written in the same way.

    `codec` and `delimiter` as Python has them; `line_end` "" where any end counts; `header` is the header's own text
    ("" where the file has none), `before` what stands before it.
    """

    codec: str = "utf-8"
    errors: str = "strict"
    delimiter: str = ","
    line_end: str = "\n"
    header: str = ""
    before: str = ""
    described: str = "Parquet"
    """Encoding and delimiter in words."""
    guess: tuple[str, ...] = ()
    """Texts by which a guessed encoding can be judged; empty where nothing was guessed."""


def _knows_nothing(_: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is to be read: `encoding` and `delimiter` "" decide by themselves, `country` (ISO) is a hint.

    `lenient` reads on where text cannot be decoded: for what must not be lost.
    """

    encoding: str = ""
    delimiter: str = ""
    country: str = ""
    has_header: bool = True
    lenient: bool = False
    is_known: Callable[[str], bool] = _knows_nothing
    """Whether a header is a known word: by that a delimiter and an encoding are judged."""
    is_contact: Callable[[Sequence[str]], bool] = _knows_nothing
    """Whether the first record is no header but a contact already."""


class ContactFile(Protocol):
    """An opened contact file."""

    header: tuple[str, ...]
    total: int
    """Bytes (CSV) or rows (Parquet): what `Batch.done` counts up to."""
    dialect: Dialect
    unusable: dict[str, str]
    """Columns that hold no text, numbers or dates, and what they hold: their cells read as empty."""

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """All rows, at most `size` (and as many broken lines) a batch.

        Raises:
            ContactFileError: the file cannot be read on (a line without end, a damaged Parquet page), or was changed
                since it was opened.
        """
        ...


def open_contacts(path: Path, reading: Reading | None = None) -> ContactFile:
    """Look at the whole file and read its header.

    Raises:
        ContactFileError: missing, a directory, not readable, empty, of another format, without a header, or of an
            encoding that cannot be told.
    """
    if not path.exists():
        raise ContactFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise ContactFileError(f"{path} is not a file: name one CSV or Parquet file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        return _opened(path, head, reading or Reading())
    except OSError as error:
        raise ContactFileError(f"{path} cannot be read: {error.strerror}") from error


def _opened(path: Path, head: bytes, reading: Reading) -> ContactFile:
    if not head.strip(b" \t\r\n\xef\xbb\xbf\xff\xfe\0"):
        raise ContactFileError(f"{path} is empty: a contact file starts with a header line")
    if head[:4] == b"PAR1" or path.suffix.lower() == ".parquet":
        from adapters.contacts.parquet_files import ParquetContacts

        return ParquetContacts(path)
    for magic, kind in _FOREIGN_FORMATS.items():
        if head.startswith(magic):
            raise ContactFileError(f"{path} is {kind}: save it as CSV or Parquet")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise ContactFileError(f"{path} is HTML or XML, not a table of text: save it as CSV or Parquet")
    wide = head.startswith(_WIDE_MARKS) or reading.encoding
    if not wide and head.count(0) > len(head) // 100 + 1:
        raise ContactFileError(
            f"{path} is binary, or UTF-16 without its mark: give a CSV or Parquet file, or name its encoding with "
            "--encoding (for instance utf-16-le)"
        )
    from adapters.contacts.csv_files import CsvContacts

    return CsvContacts(path, reading)
