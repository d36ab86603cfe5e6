"""What a terminal obeys and what a spreadsheet runs is written harmlessly, by cell and by column alike."""

from __future__ import annotations

import pyarrow as pa
import pytest

from adapters.neutral import column_for_csv, for_csv, for_terminal

CELLS = [
    ("=1+1", "'=1+1"),
    ('=HYPERLINK("http://evil.example")', '\'=HYPERLINK("http://evil.example")'),
    ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    ("-2+3", "'-2+3"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("\n=1", "'\n=1"),
    ("＝1+1", "'＝1+1"),
    ("+", "'+"),
    ("+12125550123", "+12125550123"),
    ("-12.5", "-12.5"),
    ("-12,5", "-12,5"),
    ('="0664123"', '="0664123"'),
    ('="x"&A1', '\'="x"&A1'),
    ("Ann", "Ann"),
    ("", ""),
    ("a=b", "a=b"),
]


@pytest.mark.parametrize(("cell", "written"), CELLS)
def test_a_cell(cell: str, written: str) -> None:
    assert for_csv([cell, 5, None]) == [written, 5, None]


def test_a_column_is_written_as_its_cells() -> None:
    column = pa.chunked_array([[cell for cell, _ in CELLS], [None]])
    assert column_for_csv(column).to_pylist() == [*(written for _, written in CELLS), None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", "\\u001b[2J\\u001b]0;owned\\u0007"),
        ("\x9b31m", "\\u009b31m"),
        ("a\x08b\rc", "a\\u0008b\\u000dc"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("Zoë 姓名 🛑\ttab\nline", "Zoë 姓名 🛑\ttab\nline"),
    ],
)
def test_a_terminal_shows_controls_and_obeys_none(text: str, shown: str) -> None:
    assert for_terminal(text) == shown
