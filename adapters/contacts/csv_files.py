"""CSV contact files: which delimiter and line ends they have, and their rows."""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from adapters.contacts.encoding import Encoding, encoding_of
from adapters.contacts.files import (
    BATCH,
    LONGEST_CELL,
    LONGEST_LINE,
    Batch,
    BrokenLine,
    ContactFileError,
    Dialect,
    Reading,
)

DELIMITERS: Final = ",;\t|"
_RECORDS: Final = 50
"""Records by which a delimiter is judged."""
_WORDS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar", " ": "blank"}


class _Lines:
    """Lines of a file for `csv.reader`, remembering those of the record that is being read.

    `taken` are the lines of that record, `before` how many lines came before it.
    """

    def __init__(self, path: Path, file: TextIOWrapper) -> None:
        self._path = path
        self._file = file
        self._again: deque[str] = deque()
        self.before = 0
        self.taken: list[str] = []

    def texts(self) -> Iterator[str]:
        """Lines, until the end of the file."""
        read = self._file.readline
        while line := self._again.popleft() if self._again else read(LONGEST_LINE):
            self.taken.append(line)
            if len(line) == LONGEST_LINE and line[-1:] not in ("\n", "\r"):
                number = self.before + len(self.taken)
                raise ContactFileError(f"{self._path}: line {number} is longer than {LONGEST_LINE:,} characters")
            yield line

    def complete(self) -> list[str]:
        """End the record; returns its lines."""
        taken = self.taken
        self.before += len(taken)
        self.taken = []
        return taken

    def give_back_all_but_first(self) -> str:
        """The record was none: its first line, and the others are read again."""
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.taken = [first]
        return self.complete()[0]


class CsvContacts:
    """A CSV file whose first record is the header, unless it is a contact; see `contact_files.ContactFile`."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path = path
        self._is_known = reading.is_known
        self._state = _state(path)
        self.total = path.stat().st_size
        self.unusable: dict[str, str] = {}
        self._encoding = encoding_of(path, reading)
        self._line_end = self._find_line_end()
        self._skip_first, self._delimiter = self._declared_delimiter()
        if reading.delimiter:
            self._delimiter = reading.delimiter
        elif not self._skip_first:
            self._delimiter = max(DELIMITERS, key=self._fitness)
        first, raw = self._first_record()
        self._has_header = reading.has_header and not reading.is_contact(first)
        self.header: tuple[str, ...] = (
            tuple(first) if self._has_header else tuple(f"column {i + 1}" for i in range(len(first)))
        )
        self.dialect = _dialect(self._encoding, self._delimiter, self._line_end, raw if self._has_header else "")
        if self._skip_first:
            self.dialect = replace(self.dialect, before=f"sep={self._delimiter}")

    def _open(self) -> TextIOWrapper:
        encoding = self._encoding
        return self._path.open(encoding=encoding.codec, errors=encoding.errors, newline=self._line_end)

    def _find_line_end(self) -> str:
        """LF (CRLF is one too); CR for files that have no LF at all."""
        encoding = self._encoding
        with self._path.open(encoding=encoding.codec, errors=encoding.errors, newline="\n") as file:
            first = file.readline(LONGEST_LINE)
            if first.endswith("\n"):
                # A header that ends with a lone CR above lines that end with LF: then any end counts.
                bare = first.rstrip("\r\n")
                return "" if "\r" in bare and '"' not in bare else "\n"
            return "\r" if "\r" in first else "\n"

    def _declared_delimiter(self) -> tuple[bool, str]:
        """Whether the first line is Excel's `sep=;`, and the delimiter that it declares."""
        with self._open() as file:
            named = file.readline(LONGEST_LINE).strip("\r\n \ufeff")
        declared = len(named) == 5 and named.lower().startswith("sep=")
        return declared, named[4] if declared else ","

    def _fitness(self, delimiter: str) -> tuple[float, float, int]:
        """How well a delimiter fits: known headers, records as wide as the first, and how wide."""
        widths: list[int] = []
        header: list[str] = []
        with self._open() as file:
            lines = _Lines(self._path, file)
            reader = self._reader(lines, delimiter)
            while len(widths) < _RECORDS:
                try:
                    record = next(reader)
                except StopIteration:
                    break
                except csv.Error:
                    if not widths:
                        # A header with a broken quote: still the delimiter that it seems to have.
                        return 0.0, 0.0, lines.taken[0].count(delimiter) + 1 if lines.taken else 0
                    break
                header = header or record
                widths.append(len(record))
                lines.complete()
        if not widths or widths[0] == 1:
            return 0.0, 0.0, len(widths and widths[:1])
        known = sum(map(self._is_known, header))
        same = sum(width == widths[0] for width in widths) / len(widths)
        return (1.0 if known else 0.0) + same, same, widths[0]

    def _first_record(self) -> tuple[list[str], str]:
        with self._open() as file:
            lines = _Lines(self._path, file)
            if self._skip_first:
                next(lines.texts(), "")
                lines.complete()
            try:
                record = next((row for row in self._reader(lines, self._delimiter) if row), [])
            except csv.Error as error:
                raise ContactFileError(
                    f"{self._path}: the header cannot be read as CSV ({error}): check its quotation marks"
                ) from error
            raw = "".join(lines.taken).strip("\r\n")
        if not any(cell.strip() for cell in record):
            raise ContactFileError(f"{self._path} has no header: its first line names no column")
        return record, raw

    @staticmethod
    def _reader(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
        csv.field_size_limit(LONGEST_CELL)
        return csv.reader(lines.texts(), delimiter=delimiter, skipinitialspace=True, strict=True)

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """See `ContactFile.batches`."""
        try:
            with self._open() as file:
                yield from self._batches(file, size)
        except UnicodeError as error:
            raise ContactFileError(f"{self._path} was changed while it was read: import it again") from error
        self._check_unchanged()

    def _batches(self, file: TextIOWrapper, size: int) -> Iterator[Batch]:
        self._check_unchanged()
        lines = _Lines(self._path, file)
        if self._skip_first:
            next(lines.texts(), "")
            lines.complete()
        if self._has_header:
            next((row for row in self._reader(lines, self._delimiter) if row), None)
            lines.complete()
        while True:
            batch = self._batch(lines, size)
            batch.done = min(os.lseek(file.fileno(), 0, os.SEEK_CUR), self.total)
            if batch.rows or batch.broken:
                yield batch
            if len(batch.rows) < size and len(batch.broken) < size:
                return

    def _batch(self, lines: _Lines, size: int) -> Batch:
        raws: list[list[str]] = []
        batch = Batch(raws=raws)
        rows, starts, broken = batch.rows, batch.lines, batch.broken
        reader = self._reader(lines, self._delimiter)
        has_nul = self._encoding.has_nul
        while len(rows) < size and len(broken) < size:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error:
                # A quote that never closes swallows lines: only the line that opened it is at fault.
                start = lines.before + 1
                broken.append(BrokenLine(start, lines.give_back_all_but_first().rstrip("\r\n")))
                reader = self._reader(lines, self._delimiter)
                continue
            # As `lines.complete()`, without the call: this runs once a row.
            start, raw = lines.before + 1, lines.taken
            lines.before += len(raw)
            lines.taken = []
            if has_nul and any("\0" in line for line in raw):
                broken.append(BrokenLine(start, "".join(raw).rstrip("\r\n")))
            elif row and (row[0] or any(row)):
                rows.append(row)
                starts.append(start)
                raws.append(raw)
        return batch

    def _check_unchanged(self) -> None:
        if _state(self._path) != self._state:
            raise ContactFileError(f"{self._path} was changed while it was read: import it again")


def _state(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _dialect(encoding: Encoding, delimiter: str, line_end: str, header: str) -> Dialect:
    return Dialect(
        codec=encoding.codec,
        errors=encoding.errors,
        delimiter=delimiter,
        line_end=line_end or "\n",
        header=header,
        described=f"{encoding.name}, {_WORDS.get(delimiter, repr(delimiter))}",
        guess=encoding.samples if encoding.guessed else (),
    )
