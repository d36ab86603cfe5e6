"""Kafka's classes, loaded and verified once per machine instead of at each start (class data sharing, JEP 350).

Much of what a broker's start costs is reading its classes; the storage tool before it reads many of the same ones.
The JVM writes what it has loaded to an archive when it ends, and maps that into memory at later starts. It checks
itself that the archive is of this JVM and these jars, and goes on without it otherwise.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import zlib
from pathlib import Path
from typing import Final

from adapters.terminal import UserError, note
from devstack import children, ports, ready

_PATIENCE: Final = 60.0
"""Seconds for a broker to end, which is when it writes the archive."""


def options(jars: Path, java: str) -> list[str]:
    """The JVM's options that use the archive for these jars; made first when this machine has none (some seconds).

    Where it cannot be made there are none: Kafka works without. A JVM that can make none is not asked again.
    """
    archive = _path(jars, java)
    if not archive.exists():
        with archive.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not archive.exists():
                _make(archive)
    usable = archive.exists() and archive.stat().st_size
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"] if usable else []


def _path(jars: Path, java: str) -> Path:
    """Beside the jars, because it names their folder as it was; another for each JVM."""
    program = Path(java).resolve()
    of = zlib.crc32(f"{program} {program.stat().st_mtime_ns}".encode())
    return jars.with_name(f"{jars.name}-{of:08x}.jsa")


def _make(archive: Path) -> None:
    note("preparing Kafka's classes for quick starts (once, some seconds)")
    handle, name = tempfile.mkstemp(dir=archive.parent, prefix="classes-", suffix=".jsa")
    os.close(handle)
    fresh = Path(name)
    try:
        _record(fresh)
        fresh.chmod(0o644)
        fresh.rename(archive)
    except UserError as error:
        note(f"not done, Kafka starts without: {error}")
        fresh.unlink()


def _record(archive: Path) -> None:
    """Run a broker on no data until it answers, and end it.

    Raises:
        UserError: it did not come to answer.
    """
    with tempfile.TemporaryDirectory(prefix="longwave-kafka-") as folder:
        address = f"127.0.0.1:{ports.free_pair()}"
        log = Path(folder) / "log"
        variables = {"LONGWAVE_DATA": folder, "LONGWAVE_KAFKA__BOOTSTRAP": address}
        words = ("run", "kafka", "--record-classes", str(archive))
        with children.running(*words, log=log, variables=variables, patience=_PATIENCE) as broker:
            ready.wait_for("Kafka", lambda: ready.kafka_answers(address), lambda: broker.poll() is None)
