"""Migrations: once, in order, refused when changed, from several processes at once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.clickhouse import Store, migrate
from adapters.clickhouse.migrate import FOLDER, Migration, read
from adapters.errors import StoreRefused
from tests.adapters.clickhouse_store import settings_of
from tests.stack import Server

IDEMPOTENT = re.compile(
    r"(CREATE (TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS|CREATE OR REPLACE VIEW \w+|DROP \w+ IF EXISTS"
    r"|ALTER TABLE \w+ (ADD (COLUMN|INDEX) IF NOT EXISTS|DROP (COLUMN|INDEX) IF EXISTS|MODIFY))\s"
)


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name.removeprefix('m')}.sql").write_text(text)
    return path


def tables(store: Store) -> set[str]:
    return {row[0] for row in store.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")}


def test_all_migrations_are_applied_once(clickhouse: Server) -> None:
    settings = settings_of(clickhouse)
    assert migrate(settings) == [migration.file for migration in read()]
    assert migrate(settings) == []
    store = Store(settings.clickhouse)
    assert {"contacts", "audience", "campaigns", "state_sets", "status_log", "migrations"} <= tables(store)
    store.close()


def test_several_processes_may_start_at_once(clickhouse: Server) -> None:
    settings = settings_of(clickhouse)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: migrate(settings), range(6)))
    store = Store(settings.clickhouse)
    applied = store.rows("SELECT number, name FROM migrations FINAL ORDER BY number")
    assert [tuple(row) for row in applied] == [(item.number, item.name) for item in read()]
    store.close()


def test_one_that_died_in_the_middle_is_finished_by_the_next(clickhouse: Server, tmp_path: Path) -> None:
    settings = settings_of(clickhouse)
    two = "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x;\n"
    files = folder(tmp_path, m0001_pair=two + "CREATE TABLE b (broken) ENGINE = Nothing;")
    with pytest.raises(StoreRefused):
        migrate(settings, files)
    folder(tmp_path, m0001_pair=two + two.replace(" a ", " b "))
    assert migrate(settings, files) == ["0001_pair.sql"]
    store = Store(settings.clickhouse)
    assert {"a", "b"} <= tables(store)
    store.close()


def test_a_changed_file_and_a_newer_database_are_refused(clickhouse: Server, tmp_path: Path) -> None:
    settings = settings_of(clickhouse)
    item = "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x;"
    files = folder(tmp_path, m0001_first=item, m0002_second=item)
    assert migrate(settings, files) == ["0001_first.sql", "0002_second.sql"]
    (tmp_path / "0001_first.sql").write_text(item + "-- changed")
    with pytest.raises(StoreRefused, match=r"0001_first\.sql is not the one that was applied.*new migration"):
        migrate(settings, files)
    (tmp_path / "0001_first.sql").write_text(item)
    (tmp_path / "0002_second.sql").unlink()
    with pytest.raises(StoreRefused, match="0002_second, which this version does not know"):
        migrate(settings, files)


def test_gaps_and_odd_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="expected number 0001"):
        read(folder(tmp_path, m0002_second=""))
    with pytest.raises(StoreRefused, match=r"call it NNNN_name\.sql"):
        read(folder(tmp_path, mnotes=""))


def test_statements_are_split_outside_of_strings_and_comments() -> None:
    text = "-- a; b\nSELECT 'x;''y', 1 - 2; -- end;\n\nSELECT 'it\\'s;' -- tail"
    assert list(Migration(1, "x", text).statements()) == ["SELECT 'x;''y', 1 - 2", "SELECT 'it\\'s;'"]


def test_every_statement_may_be_repeated() -> None:
    for migration in read(FOLDER):
        for statement in migration.statements():
            assert IDEMPOTENT.match(statement), f"{migration.file}: {statement[:60]}"
