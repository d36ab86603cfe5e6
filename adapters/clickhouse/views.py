"""The views that others read, as the migrations declare them; the newest declaration of a name counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from adapters.clickhouse.migrate import read

_VIEW: Final = re.compile(r"CREATE OR REPLACE VIEW (\w+)\s*\(\n(.*?)\n\)\s*AS\s(.*)", re.DOTALL)
_COLUMN: Final = re.compile(r"^ *(\w+) (.+?) COMMENT '((?:[^']|'')*)',?$")
_COMMENT: Final = re.compile(r"COMMENT '((?:[^']|'')*)'\s*$")
_TABLE: Final = re.compile(r"\b(?:FROM|(?<!ARRAY )JOIN) ([a-z_]+)\b")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view; `meaning` says its unit."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """A view; `tables` are those that it reads."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    tables: frozenset[str]


def declared() -> list[View]:
    """The views in the order of their names.

    Raises:
        ValueError: a view without a list of columns, or something of it without a description.
    """
    views: dict[str, View] = {}
    for migration in read():
        for statement in migration.statements():
            if statement.startswith("CREATE OR REPLACE VIEW "):
                view = _view(statement)
                views[view.name] = view
    return [views[name] for name in sorted(views)]


def _view(statement: str) -> View:
    found = _VIEW.fullmatch(statement)
    meaning = _COMMENT.search(statement)
    if found is None or meaning is None:
        raise ValueError(f"a view needs a list of columns and a COMMENT: {statement[:60]}")
    columns = tuple(_column(line) for line in found[2].splitlines())
    return View(found[1], _plain(meaning[1]), columns, frozenset(_TABLE.findall(found[3])))


def _column(line: str) -> Column:
    found = _COLUMN.fullmatch(line)
    if found is None:
        raise ValueError(f"a column of a view needs a type and a COMMENT on its line: {line.strip()[:60]}")
    return Column(found[1], found[2], _plain(found[3]))


def _plain(text: str) -> str:
    return text.replace("''", "'")
