"""Writes rejected lines as they came, with a last column for the reason, to be corrected and imported again."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final

from adapters.contacts.files import Dialect

REASON: Final = "reason"


class Rejects(AbstractContextManager["Rejects"]):
    """Rejected lines in the dialect of the file they come from. The file is not left behind when there are none.

    `drops_last`: the last column is the reason of an earlier rejection and makes way for the new one.
    """

    def __init__(self, path: Path, dialect: Dialect, header: Sequence[str], *, drops_last: bool = False) -> None:
        self.path = path
        self.count = 0
        self._dialect = dialect
        self._drops_last = drops_last
        self._width = len(header) - drops_last
        self._file = path.open("w", newline="", encoding=dialect.codec, errors=dialect.errors)
        titles = header[: self._width]
        self._write(dialect.before)
        self._line(self._csv(titles) if drops_last or not dialect.header else dialect.header, REASON)

    def add(self, raw: str, cells: Sequence[str] | None, reason: str) -> None:
        """A line as it stands in the file; `cells` None where it could not be divided into cells."""
        if cells is not None and self._drops_last:
            raw = self._csv(cells[: self._width])
            cells = cells[: self._width]
        missing = max(0, self._width - len(cells)) if cells is not None else 0
        self._line(raw + self._dialect.delimiter * missing, reason)
        self.count += 1

    def _line(self, raw: str, reason: str) -> None:
        # The reason is ours and the encoding theirs: what it cannot say is left out of the reason only.
        said = reason.encode(self._dialect.codec, "replace").decode(self._dialect.codec)
        self._write(raw + self._dialect.delimiter + self._csv([said]))

    def _write(self, line: str) -> None:
        if line:
            self._file.write(line + self._dialect.line_end)

    def _csv(self, cells: Sequence[str]) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=self._dialect.delimiter, lineterminator="").writerow(cells)
        return out.getvalue()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink(missing_ok=True)
