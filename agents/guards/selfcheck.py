"""What a worker checks when it starts after a stop that was not in good order (a kill, a crash, a power cut).

A local table is a copy of its changelog's past up to the offset that it names. After a kill it can be damaged, or,
when the broker lost what it had acknowledged, know more than the changelog. Either is removed, and Faust reads the
changelog again from its beginning; kept, the first would end the worker at the first read, the second would let
this worker act on what no other ever hears of.

The lanes need no check here: their state is never on disk, a checkpoint counts only when it is whole and has its
digest (`pipeline.lane.checkpoint`), and their logs are read from the committed mark.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from adapters.kafka.reading import Ends, ends
from adapters.settings import Kafka
from agents.guards.table import AckedStore, AckedTable

log = logging.getLogger(__name__)

MARKER: Final = "running"


@dataclass(slots=True)
class Checked:
    """Tables' partitions that fit their changelog, and those that were removed, with why."""

    kept: int = 0
    removed: list[str] = field(default_factory=list)


def begin(folder: Path, name: str, tables: Iterable[AckedTable], kafka: Kafka) -> None:
    """Before the app starts: check if the last run did not reach `end`. Without an answer of Kafka the tables stay as
    they are, and Faust's own check ends the worker if one is ahead."""
    marker = folder / MARKER
    if marker.exists():
        try:
            checked = check(tables, ends(kafka))
            log.warning(
                "%s was not stopped in good order: %s table partitions fit their changelogs, %s removed to be read "
                "again%s; lanes are read from their marks, of checkpoints only whole ones with their digest",
                name, checked.kept, len(checked.removed), "".join(f" ({defect})" for defect in checked.removed),
            )  # fmt: skip
        except KafkaException as error:
            log.warning("%s was not stopped in good order, and its tables are not checked: %s", name, error)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()


def end(folder: Path) -> None:
    """After everything was stopped in good order."""
    (folder / MARKER).unlink(missing_ok=True)


def check(tables: Iterable[AckedTable], ends: Ends) -> Checked:
    """Hold each local partition of the tables against its changelog; remove what does not fit."""
    checked = Checked()
    for table in tables:
        for path in sorted(table.data.path.glob(f"{table.data.basename}-*.db")):
            partition = int(path.stem.rpartition("-")[2])
            defect = _defect(table.data, path, ends(table.changelog_topic_name, partition))
            if defect:
                shutil.rmtree(path)
                checked.removed.append(f"{path.stem} {defect}")
            else:
                checked.kept += 1
    return checked


def _defect(store: AckedStore, path: Path, end: int) -> str:
    """What is wrong with a local partition whose changelog ends at `end`; "" for nothing."""
    try:
        db = store.rocksdb_options.open(path)
        try:
            offset = db.get(store.offset_key)
        finally:
            db.close()
    except Exception as error:  # noqa: BLE001 - it is what rocksdict raises
        return f"cannot be read: {str(error)[:200]}"
    if offset is not None and int(offset) >= end:
        return f"has offset {int(offset)}, its changelog ends at {end}"
    return ""
