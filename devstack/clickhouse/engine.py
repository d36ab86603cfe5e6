"""chDB, the ClickHouse engine in this process.

Each request gets a connection of its own (0.2 ms): its database, settings, parameters and temporary tables
are gone with it. Connections run in parallel and chDB releases the GIL while it works. One connection is
kept open for the life of the process, because the engine stops when the last one closes.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from devstack.clickhouse.disk import DataDirectory, remove
from devstack.clickhouse.embedded import Connection, Result, connect
from devstack.clickhouse.errors import (
    NOT_ENOUGH_SPACE,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    ClickHouseError,
    from_exception,
    refuse,
)
from devstack.clickhouse.guard import (
    FUNCTIONS,
    TABLE_FUNCTIONS,
    check_identifiers,
    check_names,
    check_settings,
    check_statement,
)
from devstack.clickhouse.pipe import ResultPipe
from devstack.clickhouse.statement import KEPT, KNOWN, Insert, Query, tokens

_CONFIG = """<clickhouse><storage_configuration><disks>
<default><keep_free_space_bytes>{keep_free}</keep_free_space_bytes></default>
</disks></storage_configuration></clickhouse>
"""
_SETTING = re.compile(r"[A-Za-z_]\w*")
_FOREIGN: Final = """
SELECT DISTINCT lower(name) FROM
(
    SELECT name FROM system.table_functions
    UNION ALL SELECT name FROM system.functions WHERE startsWith(lower(name), 'ai')
)
"""
_SOME_PATH: Final = "/dev/fd/0"
_LONGEST_STATEMENT: Final = 1 << 30


@dataclass(frozen=True)
class External:
    """A table sent along with a query: `structure` as in CREATE TABLE, `data` in `format`."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Context:
    """What holds for one request. `query_id` also marks the query for `Engine.kill`."""

    query_id: str
    database: str = "default"
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    externals: tuple[External, ...] = ()
    read_only: bool = False


@dataclass(frozen=True)
class Summary:
    """Rows and bytes as in X-ClickHouse-Summary; `elapsed` in seconds."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed: float = 0.0


class Engine:
    """The engine on one data directory. Every method blocks: call it in a thread."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._path = str(directory.engine)
        config = directory.root / "engine.xml"
        config.write_text(_CONFIG.format(keep_free=directory.keep_free))
        # The default database takes an identifier for a file of the working directory: there, none is.
        directory.empty.mkdir(mode=0o700, exist_ok=True)
        os.chdir(directory.empty)
        self._keeper = connect(f"{self._path}?config-file={config}")
        self._printing = threading.Lock()
        self._printer = connect(self._path)
        self._printer.query(f"SET max_query_size = {_LONGEST_STATEMENT}", "Null")
        databases = self._keeper.query(_FOREIGN, "TSVRaw").data().split()
        self._foreign = (frozenset(databases) - TABLE_FUNCTIONS) | FUNCTIONS
        self._allowed = lru_cache(KNOWN)(self._judge)
        self.version, self.timezone = self._keeper.query("SELECT version(), timezone()", "TSV").data().split()

    def close(self) -> None:
        """Stop the engine; parts and metadata are on disk by then."""
        self._printer.close()
        self._keeper.close()

    def query(self, context: Context, query: Query, form: str, pipe: ResultPipe) -> Summary:
        """Run a query, which writes into `pipe` in `form`; the pipe's writing side is ended whatever happens."""
        try:
            check_names(form)
            self._check(context, query.into(_SOME_PATH, form), f" INTO OUTFILE '{_SOME_PATH}' APPEND FORMAT {form}")
            with self._connection(context) as connection:
                return _summary(connection.query(query.into(pipe.path, form), "Null"))
        finally:
            pipe.end_writing()

    def command(self, context: Context, sql: bytes, default_format: str) -> tuple[bytes, Summary]:
        """Run a statement with no result or a small one."""
        self._check(context, sql)
        check_names(default_format)
        with self._connection(context) as connection:
            result = connection.query(sql, default_format)
            summary = self._sure(_summary(result))
            return result.bytes(), summary

    def insert(self, context: Context, insert: Insert, default_format: str, data: bytes) -> Summary:
        """Insert rows that are in memory."""
        form = insert.format or default_format
        check_names(form)
        self._check(context, insert.head + insert.tail + f"\nFORMAT {form}".encode())
        with self._connection(context) as connection:
            return self._sure(_append(connection, insert.head + insert.tail, insert.format or default_format, data))

    def insert_file(
        self, context: Context, insert: Insert, default_format: str, path: str, encoding: str | None
    ) -> Summary:
        """Insert the rows of a spool file, decompressed by the engine, and remove the file."""
        form = insert.format or default_format
        try:
            check_names(form)
            self._check(context, _spooled(insert, form, _SOME_PATH, encoding), _source(insert, encoding))
            sql = _spooled(insert, form, path, encoding)
            with self._connection(context) as connection:
                return self._sure(_summary(connection.query(sql, "Null")))
        finally:
            remove(path)

    def kill(self, query_id: str) -> None:
        """Stop the running query of a request; nothing happens if it has ended."""
        self._keeper.query(f"KILL QUERY WHERE Settings['log_comment'] = {quote(query_id)} ASYNC", "Null")

    def kill_selects(self) -> None:
        """Stop every running SELECT; INSERTs go on to their end."""
        self._keeper.query("KILL QUERY WHERE query_kind = 'Select' AND Settings['log_comment'] != '' ASYNC", "Null")

    def _check(self, context: Context, sql: bytes, own: str = "") -> None:
        """Refuse what a request may not do; see `guard`. `own`: what we added to the statement, as it is printed.

        The statement is judged with what we added: if that ended up inside of a text, the engine reads the statement
        otherwise than we did.
        """
        check_settings(context.settings)
        check_names(context.database)
        judge = self._allowed if len(sql) <= KEPT else self._judge
        check_identifiers(judge(sql, own), context.params)
        for external in context.externals:
            check_names(external.name, external.format)
            made = f"CREATE TEMPORARY TABLE {external.name} ({external.structure})"
            check_identifiers(judge(made.encode(), ""), {})

    def _judge(self, sql: bytes, own: str) -> tuple[str, ...]:
        """Refuse a statement whatever its parameters are; returns those that are identifiers."""
        printed = self._print(sql)
        if own and printed.count(own) != 1:
            raise refuse(SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error: the end of the statement is not clear.")
        return check_statement(printed.replace(own, " ") if own else printed, self._foreign)

    def _print(self, sql: bytes) -> str:
        literal = sql.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        try:
            with self._printing:
                printed = self._printer.query(b"SELECT formatQuerySingleLine('" + literal + b"')", "TSVRaw").data()
        except Exception as error:
            known = from_exception(error)
            text, scope, _ = known.text.partition(": In scope ")
            raise ClickHouseError(known.code, f"{text} (SYNTAX_ERROR)" if scope else text) from error
        return printed

    def _sure(self, summary: Summary) -> Summary:
        """Acknowledge written rows only while the disk has room: the engine would not notice a failed write."""
        if summary.written_rows and self._directory.nearly_full():
            reason = f"The disk of {self._directory.root} is nearly full: the rows may not be stored."
            raise refuse(NOT_ENOUGH_SPACE, "NOT_ENOUGH_SPACE", reason)
        return summary

    @contextmanager
    def _connection(self, context: Context) -> Iterator[Connection]:
        connection = connect(self._path)
        try:
            if context.database != "default":
                connection.query(f"USE {quote(context.database, '`')}", "Null")
            for external in context.externals:
                name = quote(external.name, "`")
                connection.query(f"CREATE TEMPORARY TABLE {name} ({external.structure})", "Null")
                _append(connection, f"INSERT INTO {name}".encode(), external.format, external.data)
            connection.query(f"SET {_assignments(context)}", "Null")
            yield connection
        except Exception as error:
            raise from_exception(error) from error
        finally:
            connection.close()


def quote(text: str, mark: str = "'") -> str:
    """`text` as a ClickHouse string (or, with a back quote, an identifier)."""
    return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark


def _assignments(context: Context) -> str:
    values = {"log_comment": context.query_id, **context.settings}
    values.update({f"param_{name}": value for name, value in context.params.items()})
    values["log_comment"] = context.query_id
    for name in values:
        if not _SETTING.fullmatch(name):
            raise refuse(UNKNOWN_SETTING, "UNKNOWN_SETTING", f"Unknown setting '{name}'.")
    if context.read_only:
        values["readonly"] = "2"
    return ", ".join(f"{name} = {quote(value)}" for name, value in values.items())


def _append(connection: Connection, sql: bytes, form: str, data: bytes) -> Summary:
    inserter = connection.send_insert(sql.decode(), form)
    try:
        inserter.append(data)
        done = inserter.finish()
    finally:
        with suppress(RuntimeError):
            inserter.cancel()
    return Summary(0, 0, done.rows_written, done.bytes_written, 0, done.elapsed)


def _spooled(insert: Insert, form: str, path: str, encoding: str | None) -> bytes:
    """The statement that inserts the rows of a spool file."""
    if insert.reads_input:
        return _from_file(insert, form, path, encoding)
    source = f"\nFROM INFILE {quote(path)} COMPRESSION '{encoding or 'none'}'\n".encode()
    return insert.head + source + insert.tail + f"\nFORMAT {form}".encode()


def _source(insert: Insert, encoding: str | None) -> str:
    """What `_spooled` adds, as the engine prints it."""
    if insert.reads_input:
        return f"file('{_SOME_PATH}', "
    return f" FROM INFILE '{_SOME_PATH}' COMPRESSION '{encoding or 'none'}'"


def _from_file(insert: Insert, form: str, path: str, encoding: str | None) -> bytes:
    """INSERT … SELECT … FROM input('structure') with the spool file in the place of input()."""
    sql = insert.head + insert.tail
    match = re.search(rb"\binput\s*\(", sql, re.IGNORECASE)
    inside = next(tokens(sql, match.end()), None) if match else None
    if match is None or inside is None:
        return sql
    source = f"file({quote(path)}, {quote(form)}, ".encode() + inside.text + f", {quote(encoding or 'none')}".encode()
    return sql[: match.start()] + source + sql[inside.end :]


def _summary(result: Result) -> Summary:
    return Summary(
        result.storage_rows_read(),
        result.storage_bytes_read(),
        result.rows_written(),
        result.bytes_written(),
        result.rows_read(),
        result.elapsed(),
    )
