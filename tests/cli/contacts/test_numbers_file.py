"""Files that name numbers: what a person types, what the export writes, and what is neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.terminal import UserError
from cli.contacts.numbers_file import read_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("+12125550100\n+12125550101\n\n", ["+12125550100", "+12125550101"]),
        ('"ordinal","number","state"\n4,"+12125550100","unknown"\n', ["+12125550100"]),
        ('"number"\n+12125550100\n', ["+12125550100"]),
        ("\ufeffnumber\r\n'+12125550100\r\n", ["'+12125550100"]),
        ("0033612345678\n", ["0033612345678"]),
    ],
)
def test_numbers_of_a_file(tmp_path: Path, text: str, numbers: list[str]) -> None:
    file = tmp_path / "who.csv"
    file.write_text(text, encoding="utf-8")
    assert read_numbers(file) == numbers


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "has no numbers"),
        (b"+33612345678\n4915123456789\n", "1 of 2 numbers have no [+]"),
        (b"ordinal,phone\n1,2\n", "no column `number`"),
        (b"\xff\xfe\x00", "is not a text file"),
    ],
)
def test_other_files_are_refused_with_what_to_do(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "who"
    file.write_bytes(content)
    with pytest.raises(UserError, match=why):
        read_numbers(file)
    with pytest.raises(UserError, match="cannot read"):
        read_numbers(tmp_path / "absent")
