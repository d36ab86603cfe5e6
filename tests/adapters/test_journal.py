"""Submission journals: what a process that is killed leaves behind, and what of it counts."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters import journal as journals
from adapters.journal import Journal, proof

KILLED = """
import sys
from pathlib import Path
from adapters.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.own("seven")
for intent in (8, 9, 12):
    journal.submit(intent, lambda offset: True)
print("noted", flush=True)
sys.stdin.read()
"""


def everything_open(offset: int) -> bool:
    return True


def written(path: Path, *intents: int) -> Journal:
    made = Journal(path)
    made.own("seven")
    for intent in intents:
        made.submit(intent, everything_open)
    return made


def test_what_a_killed_process_noted_is_there(tmp_path: Path) -> None:
    path = tmp_path / "3-x.journal"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "noted\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert proof(path) == (path, 3, ["seven"], [8, 9, 12])
    assert path.stat().st_mode & 0o777 == 0o600


def test_after_a_boot_it_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "3-x.journal"
    written(path, 8).close()
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(journals, "BOOT_ID", tmp_path / "boot")
    assert proof(path) is None


def test_where_boots_are_not_told_apart_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "BOOT_ID", tmp_path / "nowhere")
    path = tmp_path / "3-x.journal"
    written(path, 8).remove()
    assert not path.exists()


@pytest.mark.parametrize("torn", [b"x", b"submitted 9", b"submitted nine\n", b"handed 9\n", b"\xff\n", b"\n"])
def test_what_is_torn_proves_nothing(torn: bytes, tmp_path: Path) -> None:
    path = tmp_path / "3-x.journal"
    written(path, 8).close()
    path.write_bytes(path.read_bytes() + torn)
    assert proof(path) is None


def test_what_is_of_another_version_or_empty_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "3-x.journal"
    written(path, 8).close()
    text = path.read_bytes()
    assert proof(path) is not None
    for other in (text.replace(b"journal 1", b"journal 2"), b""):
        path.write_bytes(other)
        assert proof(path) is None


def test_nothing_is_handed_over_once_it_is_left_to_the_next_process(tmp_path: Path) -> None:
    made = written(tmp_path / "3-x.journal", 8)
    made.close()
    with pytest.raises(ValueError, match="closed"):
        made.submit(9, everything_open)


def test_a_long_journal_keeps_only_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "COMPACT_BYTES", 900)
    path = tmp_path / "0-x.journal"
    made = Journal(path)
    made.own("one")
    for intent in range(1000):
        made.submit(intent, lambda offset: offset % 100 == 0 or offset > 990)
    made.own("two")
    made.submit(2001, everything_open)
    found = proof(path)
    assert found is not None
    assert found.nonces == ["one", "two"]
    assert {*range(0, 1000, 100), *range(991, 1000), 2001} <= set(found.submitted)
    assert len(found.submitted) < 130
    assert path.stat().st_size < 3000
    assert [*tmp_path.iterdir()] == [path]
    made.remove()
    assert not path.exists()


def test_on_a_full_disk_there_is_no_journal_rather_than_a_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "0-x.journal"
    made = written(path, 8)
    real = os.write

    def full(file: int, raw: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    made.submit(9, everything_open)
    assert not path.exists()
    fresh = Journal(tmp_path / "1-x.journal")
    fresh.own("one")
    monkeypatch.setattr(os, "write", real)
    made.submit(10, everything_open)
    fresh.submit(2, everything_open)
    assert not [*tmp_path.iterdir()]


def test_a_journal_that_can_neither_be_written_nor_removed_stops_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = written(tmp_path / "0-x.journal", 8)

    def fails(*args: Any, **more: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "write", fails)
    monkeypatch.setattr(Path, "unlink", fails)
    with pytest.raises(OSError, match="Read-only"):
        made.submit(9, everything_open)
