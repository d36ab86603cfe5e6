"""What an HTTP request asks for, told from its text: a result, an INSERT with data, or a command.

Only as much SQL is read as the endpoint needs: where an INSERT's data begins, which FORMAT is asked for.
The engine parses and judges everything else. Texts are bytes because binary data may follow an INSERT.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from devstack.clickhouse.errors import NOT_IMPLEMENTED, SYNTAX_ERROR, refuse

_TOKEN: Final = re.compile(
    rb"""(?P<skip>\s+|--[^\n]*|\#[!\x20][^\n]*|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`|\$(?P<doc>\w*)\$.*?\$(?P=doc)\$)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<other>\d[\w.]*|.)""",
    re.DOTALL | re.VERBOSE,
)
KNOWN: Final = 512
"""Statements of which is kept what was found out about them: those of Longwave are few, their values travel as
parameters."""
KEPT: Final = 16_384
"""Bytes of a statement of which that is kept."""
_RESULT: Final = frozenset(
    (b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESC", b"DESCRIBE", b"EXISTS", b"EXPLAIN", b"CHECK", b"(")
)
_STATE: Final = frozenset((b"SET", b"USE"))


class Token(NamedTuple):
    """A piece of SQL at nesting depth 0 (brackets themselves included); `word` is upper case or empty."""

    word: bytes
    text: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Query:
    """A statement with a result: `before` + FORMAT `format` (None: the request's default) + `after`."""

    before: bytes
    after: bytes
    format: str | None

    def into(self, path: str, default_format: str) -> bytes:
        """The statement with its result written to `path` by the engine."""
        target = f"\nINTO OUTFILE '{path}' APPEND FORMAT {self.format or default_format}\n"
        return self.before + target.encode() + self.after


@dataclass(frozen=True)
class Insert:
    """INSERT whose rows are data: `head` up to the column list, `tail` (SETTINGS …), data from `data_at` on.

    With `reads_input` the rows go through a SELECT over ``input('structure')``.
    """

    head: bytes
    tail: bytes
    format: str | None
    data_at: int
    reads_input: bool


@dataclass(frozen=True)
class Command:
    """Everything else: DDL, INSERT … SELECT, SYSTEM; `changes_session` where it only lives in a session."""

    text: bytes
    changes_session: bool


Statement = Query | Insert | Command


def parse(text: bytes) -> Statement:
    """Classify one statement. Raises ClickHouseError for none, several, or client-only clauses."""
    return _known(text) if len(text) <= KEPT else _parse(text)


def _parse(text: bytes) -> Statement:
    first = next(tokens(text), None)
    if first is None:
        raise refuse(SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: Empty query.")
    if first.word == b"INSERT":
        insert = _insert(text)
        if insert is not None:
            return insert
    parsed = list(tokens(text))
    text, parsed = _single(text, parsed)
    _refuse_files(parsed)
    words = [token.word for token in parsed]
    if (first.word or first.text) in _RESULT and b"INSERT" not in words:
        return _query(text, parsed)
    return Command(text, first.word in _STATE or words[:2] == [b"CREATE", b"TEMPORARY"])


_known = lru_cache(KNOWN)(_parse)


def tokens(text: bytes, start: int = 0) -> Iterator[Token]:
    """The tokens at depth 0, comments and white space left out."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup
        if kind == "close":
            depth = max(0, depth - 1)
        if depth == 0 and match.group("skip") is None:
            piece = match.group()
            yield Token(piece.upper() if match.group("word") else b"", piece, match.start(), match.end())
        if kind == "open":
            depth += 1


def _single(text: bytes, parsed: list[Token]) -> tuple[bytes, list[Token]]:
    for place, token in enumerate(parsed):
        if token.text == b";":
            if any(later.text != b";" for later in parsed[place + 1 :]):
                raise refuse(SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed).")
            return text[: token.start], parsed[:place]
    return text, parsed


def _refuse_files(parsed: list[Token]) -> None:
    pairs = {(a.word, b.word) for a, b in pairwise(parsed)}
    for pair in ((b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")):
        if pair in pairs:
            clause = b" ".join(pair).decode()
            raise refuse(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"{clause} is for command-line clients, not HTTP.")


def _query(text: bytes, parsed: list[Token]) -> Query:
    for place in range(len(parsed) - 2, 0, -1):
        ends = place + 2 == len(parsed) or parsed[place + 2].word == b"SETTINGS"
        if parsed[place].word == b"FORMAT" and parsed[place + 1].word and ends:
            name = parsed[place + 1]
            return Query(text[: parsed[place].start], text[name.end :], name.text.decode())
    return Query(text, b"", None)


def _insert(text: bytes) -> Insert | None:
    """An INSERT with data, or None for INSERT … SELECT that reads tables."""
    stream = tokens(text)
    _after_table(stream)
    settings_at: int | None = None
    selects = False
    for token in stream:
        if token.word == b"SETTINGS" and not selects:
            settings_at = token.start
        elif token.word in (b"SELECT", b"WITH", b"WATCH"):
            selects = True
        elif token.word == b"FROM" and not selects:
            return None
        elif token.word in (b"FORMAT", b"VALUES") and not (selects and token.word == b"VALUES"):
            name = "Values" if token.word == b"VALUES" else _name(stream)
            if name is None:
                continue
            head, tail = _split(text, token.start, settings_at)
            return Insert(
                head, tail, name[0] if isinstance(name, tuple) else name, _data(text, name, token.end), selects
            )
    if selects:
        return None
    head, tail = _split(text.rstrip(b"; \t\r\n"), len(text), settings_at)
    return Insert(head, tail, None, len(text), False)


def _after_table(stream: Iterator[Token]) -> None:
    """Step over INSERT [INTO] [TABLE] [FUNCTION] name, so that a table may be called `format`."""
    for token in stream:
        if token.word not in (b"INSERT", b"INTO", b"TABLE", b"FUNCTION"):
            return


def _name(stream: Iterator[Token]) -> tuple[str, int] | None:
    token = next(stream, None)
    return (token.text.decode(), token.end) if token is not None and token.word else None


def _split(text: bytes, end: int, settings_at: int | None) -> tuple[bytes, bytes]:
    return (text[:end], b"") if settings_at is None else (text[:settings_at], text[settings_at:end])


def _data(text: bytes, name: tuple[str, int] | str, values_end: int) -> int:
    """Data begins after VALUES, or after the line end that follows FORMAT name."""
    if isinstance(name, str):
        return values_end
    place = name[1]
    while text[place : place + 1] in (b" ", b"\t", b"\f", b";"):
        place += 1
    if text[place : place + 1] == b"\r":
        place += 1
    return place + 1 if text[place : place + 1] == b"\n" else place
