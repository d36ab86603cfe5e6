"""Migrations: `schemas/clickhouse/NNNN_name.sql`, applied once, in order, recorded with their checksum.

Every statement of a migration is idempotent (IF NOT EXISTS, IF EXISTS; a test checks it). So several processes
may start at once, and one that dies in the middle is repeated by the next, without a lock that could be left behind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from adapters.clickhouse.connection import Store, connect
from adapters.clickhouse.failures import mapped
from adapters.errors import StoreRefused
from adapters.settings import Settings

FOLDER: Final = Path(__file__).resolve().parents[2] / "schemas" / "clickhouse"
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# Comments and strings are skipped whole, so that a `;` in them ends nothing.
_PIECE: Final = re.compile(r"--[^\n]*|'(?:[^'\\]|\\.)*'|;|[^;'-]+|.", re.DOTALL)
_RECORD: Final = """
CREATE TABLE IF NOT EXISTS migrations
(
    number UInt32,
    name String,
    checksum String,
    applied DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; `checksum` is the SHA-256 of its text."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def file(self) -> str:
        return f"{self.number:04d}_{self.name}.sql"

    def statements(self) -> Iterator[str]:
        """The statements without comments."""
        statement = ""
        for piece in _PIECE.findall(self.text):
            if piece == ";":
                yield statement.strip()
                statement = ""
            elif not piece.startswith("--"):
                statement += piece
        if statement.strip():
            yield statement.strip()


def read(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of a folder in order.

    Raises:
        StoreRefused: a file with another kind of name, or numbers that are not 1, 2, 3, ….
    """
    migrations = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise StoreRefused(f"migration {path.name}: call it NNNN_name.sql, with the next free number")
        migrations.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    for place, migration in enumerate(migrations, 1):
        if migration.number != place:
            raise StoreRefused(f"migration {migration.file}: expected number {place:04d} at its place")
    return migrations


def migrate(settings: Settings, folder: Path = FOLDER) -> list[str]:
    """Bring the database to this version; returns the files applied now ([] where it was up to date).

    Raises:
        StoreUnavailable: ClickHouse does not answer; repeat it.
        StoreRefused: an applied file was changed, the database is newer than this program, or a statement is wrong.
    """
    store = Store(settings.clickhouse)
    try:
        _make_database(settings)
        store.command(_RECORD)
        wanted = read(folder)
        missing = _missing(wanted, store.rows("SELECT number, name, checksum FROM migrations FINAL ORDER BY number"))
        for migration in missing:
            for statement in migration.statements():
                store.command(statement)
            columns = {
                "number": pa.array([migration.number], pa.uint32()),
                "name": [migration.name],
                "checksum": [migration.checksum],
            }
            store.insert_arrow("migrations", pa.table(columns))
        return [migration.file for migration in missing]
    finally:
        store.close()


def _make_database(settings: Settings) -> None:
    name = settings.clickhouse.database
    with mapped():
        client = connect(settings.clickhouse, "default")
        try:
            client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", parameters={"name": name})
        finally:
            client.close()


def _missing(wanted: Sequence[Migration], applied: Sequence[Sequence[Any]]) -> list[Migration]:
    known = {migration.number: migration for migration in wanted}
    for number, name, checksum in applied:
        migration = known.pop(number, None)
        if migration is None:
            raise StoreRefused(
                f"the database has migration {number:04d}_{name}, which this version does not know: "
                "run the version that made it, or a newer one"
            )
        if (migration.name, migration.checksum) != (name, checksum):
            raise StoreRefused(
                f"migration {migration.file} is not the one that was applied to the database as "
                f"{number:04d}_{name}: restore the file, and put the change into a new migration"
            )
    return sorted(known.values(), key=lambda migration: migration.number)
