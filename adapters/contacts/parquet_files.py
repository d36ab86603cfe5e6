"""Parquet contact files: every column as text, a row group's batch at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.contacts.files import BATCH, Batch, ContactFileError, Dialect

_EXACT_FLOAT32: Final = 2**24
_EXACT_FLOAT64: Final = 2**53


class ParquetContacts:
    """A Parquet file; see `contact_files.ContactFile`.

    Columns of lists, structures and bytes are no text: their cells read as empty, and `unusable` names them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ContactFileError(f"{path} is not a readable Parquet file: {error}") from error
        schema = self._file.schema_arrow
        self.header: tuple[str, ...] = tuple(schema.names)
        self.total: int = self._file.metadata.num_rows
        self.dialect = Dialect()
        self.unusable: dict[str, str] = {
            field.name: str(field.type) for field in schema if not _holds_text(_decoded_type(field.type))
        }
        if not self.header:
            raise ContactFileError(f"{path} has no columns")

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
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ContactFileError(f"{self._path}: damaged after row {done}: {error}") from error

    def _texts(self, name: str, column: Any) -> list[str]:
        if name in self.unusable:
            return [""] * len(column)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        try:
            texts: Any = pc.fill_null(_as_text(column), "")
        except (pa.ArrowException, UnicodeError) as error:
            raise ContactFileError(f"{self._path}: column {name!r} ({column.type}) is not text: {error}") from error
        return list(texts.to_pylist())


def _decoded_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _holds_text(kind: Any) -> bool:
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (pa.types.is_nested(kind) or is_bytes or pa.types.is_duration(kind) or pa.types.is_interval(kind))


def _as_text(column: Any) -> Any:
    kind = column.type
    if pa.types.is_floating(kind):
        return _floats_as_text(column)
    if pa.types.is_decimal(kind):
        text: Any = column.cast(pa.string())
        return pc.replace_substring_regex(text, r"\.0+$", "") if kind.scale > 0 else text
    return column.cast(pa.string())


def _floats_as_text(column: Any) -> Any:
    """Whole numbers without a decimal point: pandas stores a column of integers with gaps as floats, and the gaps as
    NaN. Numbers that are too large to be exact are written with an exponent: digits of them may be lost."""
    exact = _EXACT_FLOAT64 if pa.types.is_float64(column.type) else _EXACT_FLOAT32
    wide = column.cast(pa.float64())
    values = [None if value is None or math.isnan(value) else value for value in wide.to_pylist()]
    return pa.array([_float_as_text(value, exact) for value in values], pa.string())


def _float_as_text(value: float | None, exact: int) -> str | None:
    if value is None:
        return None
    if abs(value) >= exact:
        return f"{value:.6e}"
    return str(int(value)) if value.is_integer() else repr(value)
