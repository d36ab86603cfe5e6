"""Parquet contact files: every column as text, a row group's batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.contact_files import BATCH, Batch, ContactFileError


class ParquetContacts:
    """A Parquet file; see `contact_files.ContactFile`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ContactFileError(f"{path} is not a readable Parquet file: {error}") from error
        self.header: tuple[str, ...] = tuple(self._file.schema_arrow.names)
        self.total: int = self._file.metadata.num_rows

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """See `ContactFile.batches`."""
        done = 0
        try:
            for part in self._file.iter_batches(batch_size=size):
                columns = [self._texts(name, part.column(i)) for i, name in enumerate(self.header)]
                first, done = done + 1, done + part.num_rows
                yield Batch(
                    rows=list(zip(*columns, strict=True)), lines=list(range(first, done + 1)), raws=None, done=done
                )
        except (pa.ArrowException, OSError) as error:
            raise ContactFileError(f"{self._path}: damaged after row {done}: {error}") from error

    def _texts(self, name: str, column: Any) -> list[str]:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            return ["" if v is None else orjson.dumps(v, default=str).decode() for v in column.to_pylist()]
        try:
            texts: Any = pc.fill_null(_whole(column).cast(pa.string()), "")
        except pa.ArrowException as error:
            raise ContactFileError(f"{self._path}: column {name!r} ({column.type}) is not text: {error}") from error
        return list(texts.to_pylist())


def _whole(column: Any) -> Any:
    """Floats that are all whole numbers as integers: a number column with gaps is stored as floats by pandas."""
    if not pa.types.is_floating(column.type):
        return column
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
