"""A worker that was killed holds its tables against their changelogs before it uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import rocksdict

from adapters.settings import Settings
from agents.app import WorkerApp, build
from agents.guards import selfcheck
from agents.guards.table import AckedTable


@pytest.fixture
def app(tmp_path: Path) -> WorkerApp:
    return build(Settings(data=tmp_path), 0)


def table_of(app: WorkerApp, name: str) -> AckedTable:
    table = app.tables[name]
    assert isinstance(table, AckedTable)
    return table


def write(table: AckedTable, partition: int, offset: int | None) -> Path:
    """A local partition with one entry, as far as `offset` of its changelog."""
    path: Path = table.data.partition_path(partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    db = table.data.rocksdb_options.open(path)
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.put(b"key", b"value" * 100)
    if offset is not None:
        batch.put(table.data.offset_key, str(offset).encode())
    db.write(batch)
    db.flush()
    db.close()
    return path


def ending(ends: dict[tuple[str, int], int]) -> Callable[[str, int], int]:
    return lambda topic, partition: ends[topic, partition]


def test_a_table_that_fits_its_changelog_stays(app: WorkerApp) -> None:
    table = table_of(app, "reservations")
    paths = [write(table, 0, 9), write(table, 1, None)]
    actual = selfcheck.check([table], ending({("reservations", 0): 10, ("reservations", 1): 0}))
    assert (actual.kept, actual.removed) == (2, [])
    assert all(path.is_dir() for path in paths)


def test_a_table_ahead_of_its_changelog_is_removed(app: WorkerApp) -> None:
    table = table_of(app, "reservations")
    ahead, other = write(table, 3, 10), write(table, 2, 9)
    actual = selfcheck.check([table], ending({("reservations", 3): 10, ("reservations", 2): 10}))
    assert actual.kept == 1
    assert actual.removed == ["reservations-3 has offset 10, its changelog ends at 10"]
    assert other.is_dir()
    assert not ahead.exists()


def test_a_damaged_table_is_removed(app: WorkerApp) -> None:
    table = table_of(app, "campaigns")
    path = write(table, 0, 9)
    next(path.glob("MANIFEST-*")).write_bytes(b"torn")
    actual = selfcheck.check([table], ending({("campaigns", 0): 10}))
    assert actual.kept == 0
    assert actual.removed[0].startswith("campaigns-0 cannot be read: ")
    assert not path.exists()


def test_only_a_run_that_did_not_end_is_checked(
    app: WorkerApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(app, "reservations")
    ahead = write(table, 3, 10)
    monkeypatch.setattr(selfcheck, "ends", lambda kafka: ending({("reservations", 3): 4}))
    folder, kafka = tmp_path / "worker-0", app.context.settings.kafka
    selfcheck.begin(folder, "worker-0", [table], kafka)
    selfcheck.end(folder)
    selfcheck.begin(folder, "worker-0", [table], kafka)
    assert ahead.exists()
    assert not caplog.records
    selfcheck.begin(folder, "worker-0", [table], kafka)
    assert not ahead.exists()
    said = caplog.records[-1].getMessage()
    assert "worker-0 was not stopped in good order: 0 table partitions fit their changelogs, 1 removed" in said
    assert "reservations-3 has offset 10, its changelog ends at 4" in said
