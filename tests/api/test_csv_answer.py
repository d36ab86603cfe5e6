"""A CSV file of the API holds nothing that a spreadsheet runs, its numbers stay numbers; it comes page by page."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest

from adapters.clickhouse.unreachable import Listed
from adapters.settings import Settings
from api.csv_answer import csv_answer, csv_lines
from api.routes.unreachable import COLUMNS, _line
from tests.accounts import book


def test_formulas_are_neutralised() -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    rows = [
        Listed(12125550123, "landline", at, "demo", "4f7k2q9z"),
        Listed(12125550124, "=cmd|'/c calc'!A1", at, "@account", "+1+2"),
    ]
    row_of = partial(_line, SimpleNamespace(settings=Settings(), accounts=book()))  # type: ignore[arg-type]
    text = b"".join(csv_lines((*COLUMNS, "meaning"), rows, iter([]), row_of)).decode()
    actual = list(csv.DictReader(text.splitlines()))
    assert [item["number"] for item in actual] == ["+12125550123", "+12125550124"]
    assert actual[1]["reason"] == "'=cmd|'/c calc'!A1"
    assert (actual[1]["account"], actual[1]["campaign"]) == ("'@account", "'+1+2")
    assert (actual[0]["reason"], actual[0]["meaning"]) == ("landline", "the number is a landline")


def pages(*actual: list[int], then: Exception | None = None) -> Iterator[list[int]]:
    yield from actual
    if then is not None:
        raise then


def row(number: int) -> tuple[int]:
    return (number,)


@pytest.mark.parametrize(("page_rows", "lines"), [([], b"n\n"), ([[1]], b"n\n1\n"), ([[1, 2], [3]], b"n\n1\n2\n3\n")])
async def test_all_pages_follow_the_header(page_rows: list[list[int]], lines: bytes) -> None:
    answer = await csv_answer("n.csv", ("n",), pages(*page_rows), row)
    assert b"".join([bytes(part) async for part in answer.body_iterator]) == lines  # type: ignore[arg-type]
    assert answer.headers["content-disposition"] == 'attachment; filename="n.csv"'


async def test_what_the_first_page_raises_comes_before_the_status() -> None:
    with pytest.raises(ValueError, match="away"):
        await csv_answer("n.csv", ("n",), pages(then=ValueError("away")), row)


async def test_a_page_is_written_before_the_next_is_read() -> None:
    asked: list[int] = []

    def counting() -> Iterator[list[int]]:
        for number in range(5):
            asked.append(number)
            yield [number]

    lines = csv_lines(("n",), [9], counting(), row)
    assert [next(lines) for _ in range(3)] == [b"n\n", b"9\n", b"0\n"]
    assert asked == [0]
