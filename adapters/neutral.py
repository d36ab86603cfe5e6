"""Texts of strangers made harmless where they are shown: names and texts may hold what a terminal obeys or a
spreadsheet runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

_FORMULA: Final = "^[=+\\-@\t\r\n＝＋－＠]"
_NUMBER: Final = '^([+-]?[0-9]+([.,][0-9]+)?|="[+0-9 ().-]*")$'
"""Looks like a formula and is a number, one that a spreadsheet was told to keep as text included: it must import
back."""
_IS_FORMULA, _IS_NUMBER = re.compile(_FORMULA), re.compile(_NUMBER)
_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls (ESC above all) and what turns the direction of writing; not the tab and the line end."""


def for_terminal(text: str) -> str:
    """`text` with each control character written out: ESC is shown as \\u001b and does nothing."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) if _OBEYED.search(text) else text


def for_csv(cells: Iterable[object]) -> list[object]:
    """A row for a CSV file: texts that a spreadsheet would run get an apostrophe, as it writes one itself."""
    return [f"'{cell}" if isinstance(cell, str) and _runs(cell) else cell for cell in cells]


def column_for_csv(column: Any) -> Any:
    """A pyarrow column of strings as `for_csv` writes its cells."""
    import pyarrow.compute as pc

    runs = pc.and_(pc.match_substring_regex(column, _FORMULA), pc.invert(pc.match_substring_regex(column, _NUMBER)))
    return pc.if_else(runs, pc.binary_join_element_wise("'", column, ""), column)


def _runs(cell: str) -> bool:
    return _IS_FORMULA.search(cell) is not None and _IS_NUMBER.search(cell) is None
