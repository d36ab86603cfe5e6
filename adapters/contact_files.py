"""Contact files, read in bounded batches: CSV (UTF-8, delimiter found by itself) and Parquet.

A file is never held in memory: at most one batch of rows and, for CSV, one megabyte of a line that does not end.
A broken line costs that line alone: reading goes on with the next one.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from adapters.errors import LongwaveError

BATCH = 50_000
LONGEST_LINE = 1_000_000
LONGEST_CELL = 32_768
DELIMITERS = ",;\t|"
_HEAD = 65_536
_FOREIGN_FORMATS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip-compressed",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"%PDF": "a PDF",
}


class ContactFileError(LongwaveError):
    """The file as a whole cannot be read; the text is for the user."""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is no row: where it starts, why, and the line itself as far as it is text."""

    line: int
    reason: Literal["not_utf8", "malformed"]
    raw: str


@dataclass(slots=True)
class Batch:
    """Rows in file order. `lines[i]` is the line (CSV) or row (Parquet), from 1, where `rows[i]` starts.

    `done` is how much of the file's `total` has been read at the end of this batch.
    """

    rows: list[Sequence[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    raws: list[list[bytes]] | None = None
    broken: list[BrokenLine] = field(default_factory=list)
    done: int = 0

    def raw(self, index: int) -> str:
        """The line of row `index` as it stands in the file, without its line end (Parquet: written as CSV)."""
        if self.raws is not None:
            return _text(self.raws[index])
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(self.rows[index])
        return out.getvalue()


class ContactFile(Protocol):
    """An opened contact file."""

    header: tuple[str, ...]
    total: int
    """Bytes (CSV) or rows (Parquet): what `Batch.done` counts up to."""

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """All rows, at most `size` (and as many broken lines) a batch.

        Raises:
            ContactFileError: the file cannot be read on (a line without end, a damaged Parquet page).
        """
        ...


def open_contacts(path: Path) -> ContactFile:
    """Look at the file and read its header.

    Raises:
        ContactFileError: missing, a directory, not readable, empty, of another format, or without a header.
    """
    if not path.exists():
        raise ContactFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise ContactFileError(f"{path} is not a file: name one CSV or Parquet file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ContactFileError(f"{path} cannot be read: {error.strerror}") from error
    if not head.strip():
        raise ContactFileError(f"{path} is empty: a contact file starts with a header line")
    if head[:4] == b"PAR1" or path.suffix.lower() == ".parquet":
        from adapters.contact_parquet import ParquetContacts

        return ParquetContacts(path)
    for magic, kind in _FOREIGN_FORMATS.items():
        if head.startswith(magic):
            raise ContactFileError(f"{path} is {kind}: save it as CSV (UTF-8) or Parquet")
    if b"\0" in head.split(b"\n", 1)[0] or head.count(0) > len(head) // 100 + 1:
        raise ContactFileError(f"{path} is binary, not text: give a CSV (UTF-8) or Parquet file")
    return CsvContacts(path)


class _Lines:
    """Lines of a file for `csv.reader`, remembering those of the record that is being read.

    `taken` are the lines of that record, `before` how many lines came before it.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._again: deque[bytes] = deque()
        self.before = 0
        self.taken: list[bytes] = []
        self.foreign = False

    def texts(self) -> Iterator[str]:
        """Lines as text, until the end of the file."""
        while line := self._again.popleft() if self._again else self._file.readline(LONGEST_LINE):
            self.taken.append(line)
            if len(line) == LONGEST_LINE and line[-1:] != b"\n":
                number = self.before + len(self.taken)
                raise ContactFileError(f"{self._path}: line {number} is longer than {LONGEST_LINE:,} bytes")
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode(errors="replace")
                self.foreign = True
            if "\0" in text:
                self.foreign = True
            yield text

    def complete(self) -> list[bytes]:
        """The record is complete: its lines."""
        taken = self.taken
        self.before += len(taken)
        self.taken = []
        self.foreign = False
        return taken

    def give_back_all_but_first(self) -> bytes:
        """The record was none: its first line, and the others are read again."""
        first, *rest = self.taken
        self._again.extendleft(reversed(rest))
        self.taken = [first]
        return self.complete()[0]


class CsvContacts:
    """A CSV file whose first record is the header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = path.stat().st_size
        with self._open() as file:
            lines = _Lines(path, file)
            start = file.tell()
            named = next(lines.texts()).strip()
            self._skip_first = len(named) == 5 and named.startswith("sep=")
            if self._skip_first:
                self._delimiter = named[4]
            else:
                file.seek(start)
                self._delimiter = self._most_columns(file, start)
                file.seek(start)
            self.header = self._read_header(file)

    def _open(self) -> BinaryIO:
        file = self._path.open("rb")
        if file.read(3) != b"\xef\xbb\xbf":
            file.seek(0)
        return file

    def _most_columns(self, file: BinaryIO, start: int) -> str:
        return max(DELIMITERS, key=lambda delimiter: self._width(file, start, delimiter))

    def _width(self, file: BinaryIO, start: int, delimiter: str) -> int:
        file.seek(start)
        lines = _Lines(self._path, file)
        try:
            return len(next(self._reader(lines, delimiter)))
        except csv.Error:
            # A header with a broken quote: still the delimiter that it seems to have, so that the error shows.
            return lines.taken[0].count(delimiter.encode()) + 1

    def _read_header(self, file: BinaryIO) -> tuple[str, ...]:
        lines = _Lines(self._path, file)
        try:
            header = next(self._reader(lines, self._delimiter), [])
        except csv.Error as error:
            raise ContactFileError(
                f"{self._path}: the header cannot be read as CSV ({error}): check its quotes and that lines end "
                "with LF or CRLF"
            ) from error
        if lines.foreign:
            raise ContactFileError(f"{self._path}: the header is not UTF-8 text: save the file as CSV (UTF-8)")
        return tuple(header)

    @staticmethod
    def _reader(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
        csv.field_size_limit(LONGEST_CELL)
        return csv.reader(lines.texts(), delimiter=delimiter, strict=True)

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """See `ContactFile.batches`."""
        with self._open() as file:
            lines = _Lines(self._path, file)
            if self._skip_first:
                next(lines.texts())
            next(self._reader(lines, self._delimiter))
            lines.complete()
            while True:
                batch = self._batch(lines, size)
                batch.done = file.tell()
                if batch.rows or batch.broken:
                    yield batch
                if len(batch.rows) < size and len(batch.broken) < size:
                    return

    def _batch(self, lines: _Lines, size: int) -> Batch:
        raws: list[list[bytes]] = []
        batch = Batch(raws=raws)
        rows, starts, broken = batch.rows, batch.lines, batch.broken
        reader = self._reader(lines, self._delimiter)
        while len(rows) < size and len(broken) < size:
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error:
                # A quote that never closes swallows lines: only the line that opened it is at fault.
                start = lines.before + 1
                broken.append(BrokenLine(start, "malformed", _text([lines.give_back_all_but_first()])))
                reader = self._reader(lines, self._delimiter)
                continue
            start, foreign = lines.before + 1, lines.foreign
            raw = lines.complete()
            if foreign:
                broken.append(BrokenLine(start, "not_utf8", _text(raw)))
            elif row:
                rows.append(row)
                starts.append(start)
                raws.append(raw)
        return batch


def _text(lines: list[bytes]) -> str:
    return b"".join(lines).decode(errors="replace").rstrip("\r\n")
