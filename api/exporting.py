"""The export as a file: one row per recipient, streamed as CSV, NDJSON or Parquet while ClickHouse is being read."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any, Final, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from starlette.responses import StreamingResponse

from adapters.clickhouse import Store
from adapters.clickhouse.export import export
from adapters.neutral import column_for_csv
from api.services import Services
from api.web.caller import caller
from api.web.errors import ApiError
from api.web.numbers import masked
from schemas.campaign import CampaignDocument
from schemas.selection import EVERYBODY, Selection
from schemas.succession import SHOWN

Format = Literal["csv", "ndjson", "parquet"]
_AT = pa.timestamp("ms", "UTC")
_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("ordinal", pa.uint32()),
    ("number", pa.uint64()),
    ("state", pa.string()),
    ("reason", pa.string()),
    ("segments", pa.uint16()),
    ("price", pa.uint64()),
    ("aggregator_id", pa.string()),
    *((f"{state}_at", _AT) for state in (*SHOWN, "clicked") if state != "pending"),
]
SCHEMA = pa.schema(_COLUMNS)
"""`price` in millionths of a credit per segment; `…_at` when the state was first reached."""
_CREDITS: Final = pa.decimal128(20, 6)
_MICRO: Final = pa.scalar(Decimal("0.000001"), pa.decimal128(7, 6))
_NUMBER, _PRICE = SCHEMA.get_field_index("number"), SCHEMA.get_field_index("price")
WRITTEN = SCHEMA.set(_NUMBER, pa.field("number", pa.string())).set(_PRICE, pa.field("price", _CREDITS))
"""What the file has: numbers with `+`, as every import takes them for the same people again; prices in credits."""

Write = Callable[[pa.Table], pa.Table]
Pages = Callable[[pa.Table | None, Iterator[pa.Table], Write], Iterator[bytes]]


async def stream(
    services: Services, document: CampaignDocument, kind: Format, selection: Selection
) -> StreamingResponse:
    """The whole export of a campaign, limited to recipients whom the selection means now.

    Raises:
        ApiError: 409 nothing to export yet.
        StoreError: ClickHouse does not answer, before the first byte.
    """
    if not document.recipients:
        raise ApiError(409, f"campaign {document.id} has no audience yet: it is {document.status}; launch it first")
    # A window of a large campaign takes longer than what a page may wait for.
    store = Store(services.settings.clickhouse.reading(), timeout=WINDOW_SECONDS)
    batches = _closing(store, tables(store, document.id, selection))
    # The first page decides the HTTP status: a later failure can only end the connection.
    first = await asyncio.to_thread(next, batches, None)
    write = as_written if caller().may("numbers") else as_masked
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(document.id, kind, selection)}"'}
    return StreamingResponse(PAGES[kind](first, batches, write), media_type=MEDIA[kind], headers=headers)


def _closing(store: Store, batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same; the store is closed at the end, whoever ends it."""
    try:
        yield from batches
    finally:
        store.close()


def _file_name(campaign: str, kind: Format, selection: Selection) -> str:
    return f"{'-'.join((campaign, *selection.states))}.{kind}"


def tables(store: Store, campaign: str, selection: Selection = EVERYBODY) -> Iterator[pa.Table]:
    """Tables of `SCHEMA` in order of ordinals.

    Raises:
        StoreError: ClickHouse does not answer or refuses.
    """
    for batch in export(store, campaign, selection=selection):
        yield pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)


WINDOW_SECONDS: Final = 60.0
"""How long ClickHouse may take for one window of ordinals."""
LINES: Final = 20_000
"""Rows of NDJSON made at once: each is a Python object until it is written."""


def _csv(first: pa.Table | None, rest: Iterator[pa.Table], write: Write) -> Iterator[bytes]:
    yield _written(write(SCHEMA.empty_table() if first is None else first), header=True)
    for table in rest:
        yield _written(write(table), header=False)


def _ndjson(first: pa.Table | None, rest: Iterator[pa.Table], write: Write) -> Iterator[bytes]:
    for table in chain([first], rest) if first is not None else ():
        for batch in write(table).to_batches(LINES):
            yield _json_lines(batch)


def _json_lines(batch: pa.RecordBatch) -> bytes:
    columns = [_plain(column).to_pylist() for column in batch.columns]
    names = batch.schema.names
    option = orjson.OPT_APPEND_NEWLINE
    return b"".join(
        orjson.dumps(dict(zip(names, row, strict=True)), option=option) for row in zip(*columns, strict=True)
    )


def _plain(column: Any) -> Any:
    """A column as JSON has it: times in ISO 8601, decimals as texts, since numbers of JSON are read as floats."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
    return column.cast(pa.string()) if pa.types.is_decimal(column.type) else column


def as_written(table: pa.Table) -> pa.Table:
    """A table of `SCHEMA` as it is written."""
    # The stubs know no mixture of texts and columns.
    numbers = pc.binary_join_element_wise("+", table["number"].cast(pa.string()), "")  # type: ignore[call-overload]
    price = pc.multiply(table["price"].cast(pa.decimal128(20, 0)), _MICRO).cast(_CREDITS)
    return table.set_column(_NUMBER, WRITTEN.field("number"), numbers).set_column(
        _PRICE, WRITTEN.field("price"), price
    )


def as_masked(table: pa.Table) -> pa.Table:
    """The same for whoever may not see numbers."""
    table = as_written(table)
    numbers = pa.array([masked(number) for number in table["number"].to_pylist() if number], pa.string())
    return table.set_column(_NUMBER, WRITTEN.field("number"), numbers)


def _written(table: pa.Table, *, header: bool) -> bytes:
    out = io.BytesIO()
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(place, field.name, column_for_csv(table[field.name]))
    pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=header))
    return out.getvalue()


class _Sink(io.BytesIO):
    """Takes what the Parquet writer writes, in order, and gives it away."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _parquet(first: pa.Table | None, rest: Iterator[pa.Table], write: Write) -> Iterator[bytes]:
    sink = _Sink()
    with pyarrow.parquet.ParquetWriter(sink, WRITTEN, compression="zstd") as writer:
        if first is not None:
            writer.write_table(write(first))
            yield sink.taken()
        for table in rest:
            writer.write_table(write(table))
            yield sink.taken()
    yield sink.taken()


PAGES: Final[dict[Format, Pages]] = {"csv": _csv, "ndjson": _ndjson, "parquet": _parquet}
"""How each format is written: the first table (None: there is nobody), those that follow, how numbers are shown."""
MEDIA: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
