"""The export as a file: one row per recipient, streamed as CSV or Parquet while ClickHouse is being read."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from typing import Any

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
from schemas.succession import SHOWN

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
WRITTEN = SCHEMA.set(SCHEMA.get_field_index("number"), pa.field("number", pa.string()))
"""What the file has: numbers with `+`, as every import takes them for the same people again."""

Write = Callable[[pa.Table], pa.Table]
_MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


async def stream(services: Services, document: CampaignDocument, kind: str, states: list[str]) -> StreamingResponse:
    """The whole export of a campaign, limited to recipients that are in one of `states` now ([] = all).

    Raises:
        ApiError: 422 there is no such state, 409 nothing to export yet.
        StoreError: ClickHouse does not answer, before the first byte.
    """
    wrong = [state for state in states if state not in SHOWN]
    if wrong:
        raise ApiError(422, f"state: unknown state {wrong[0]!r}; use one of {', '.join(SHOWN)}")
    if not document.recipients:
        raise ApiError(409, f"campaign {document.id} has no audience yet: it is {document.status}; launch it first")
    batches = tables(services.figures.store, document.id, states)
    # The first page decides the HTTP status: a later failure can only end the connection.
    first = await asyncio.to_thread(next, batches, None)
    write = as_written if caller().may("numbers") else as_masked
    pages = _csv(first, batches, write) if kind == "csv" else _parquet(first, batches, write)
    name = f"{document.id}{'-' + '-'.join(states) if states else ''}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pages, media_type=_MEDIA[kind], headers=headers)


def tables(store: Store, campaign: str, states: list[str]) -> Iterator[pa.Table]:
    """Tables of `SCHEMA` in order of ordinals.

    Raises:
        StoreError: ClickHouse does not answer or refuses.
    """
    for batch in export(store, campaign, state=states[0] if len(states) == 1 else ""):
        table = pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)
        yield table.filter(pc.is_in(table["state"], pa.array(states))) if len(states) > 1 else table


def _csv(first: pa.Table | None, rest: Iterator[pa.Table], write: Write) -> Iterator[bytes]:
    yield _written(write(SCHEMA.empty_table() if first is None else first), header=True)
    for table in rest:
        yield _written(write(table), header=False)


def as_written(table: pa.Table) -> pa.Table:
    """A table of `SCHEMA` as it is written."""
    # The stubs know no mixture of texts and columns.
    numbers = pc.binary_join_element_wise("+", table["number"].cast(pa.string()), "")  # type: ignore[call-overload]
    return table.set_column(table.schema.get_field_index("number"), WRITTEN.field("number"), numbers)


def as_masked(table: pa.Table) -> pa.Table:
    """The same for whoever may not see numbers."""
    table = as_written(table)
    numbers = pa.array([masked(number) for number in table["number"].to_pylist() if number], pa.string())
    return table.set_column(table.schema.get_field_index("number"), WRITTEN.field("number"), numbers)


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
