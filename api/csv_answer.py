"""Streams lists as CSV files, page by page, with no cell that a spreadsheet would run as a formula."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

from fastapi.responses import StreamingResponse

from adapters.neutral import for_csv

_T = TypeVar("_T")
Row = Sequence[object]


async def csv_answer(
    name: str, header: Row, pages: Iterator[list[_T]], row_of: Callable[[_T], Row]
) -> StreamingResponse:
    """All of `pages` as the file `name`; `row_of` is called in a thread.

    Raises:
        Exception: whatever the first page raises; what fails later can only break the connection off.
    """
    nothing: list[_T] = []
    first = await asyncio.to_thread(next, pages, nothing)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = csv_lines(header, first, pages, row_of)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def csv_lines(header: Row, first: list[_T], rest: Iterator[list[_T]], row_of: Callable[[_T], Row]) -> Iterator[bytes]:
    """The file page by page; nothing is asked for behind an empty first one."""
    yield _written([header])
    for page in chain([first], rest) if first else ():
        yield _written(map(row_of, page))


def _written(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(for_csv, rows))
    return text.getvalue().encode()
