"""`longwave bench export`: the export of one campaign in each format, through the real API and the real client.

The recipients are spread over all states, as in `bench query`. Each format is downloaded to a file while the resident
memory of the API's process and of this one, the client's, is looked at. The bare limit is the same query, read from
ClickHouse as Arrow and thrown away. Last, the list of a retry is made of all who failed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil
import pyarrow.parquet as pq

from adapters.clickhouse import Store, migrate
from adapters.clickhouse.export import export
from adapters.clickhouse.retry_lists import RetryLists
from adapters.kafka.producer import Producer
from api.exporting import PAGES, Format
from cli.client import api_of, retrying
from loadtest.bench.query import CAMPAIGN, fill
from loadtest.bench.report import Result
from loadtest.bench.stack import Stack, private_stack
from pipeline.campaign.selecting import FAILED
from schemas import topics
from schemas.campaign import CampaignDocument
from schemas.ids import retry_list
from schemas.selection import Selection
from schemas.wire import encode

SERVER_MB, CLIENT_MB = 700.0, 100.0
"""How much more memory an export of any size may take at its peak."""
PATIENCE: Final = 60.0
_LOOK: Final = 0.05


def run(recipients: int = 10_000_000) -> Result:
    """Fill a stack of its own and measure.

    Raises:
        RuntimeError: the stack did not start, or an export has not all rows. StoreError: ClickHouse failed.
    """
    with (
        private_stack("", only=("kafka", "clickhouse", "api"), workers=0) as stack,
        TemporaryDirectory(dir=stack.settings.data) as folder,
    ):
        migrate(stack.settings)
        store = Store(stack.settings.clickhouse)
        try:
            fill(store, recipients)
            _announce(stack, recipients)
            limit = _read_bare(store, recipients)
            exported = {kind: _download(stack, Path(folder), kind, recipients) for kind in PAGES}
            listed = _make_list(stack, store)
        finally:
            store.close()
    slowest = min(exported.values(), key=lambda row: row["rows_per_second"])["rows_per_second"]
    server = max(row["server_mb"] for row in exported.values())
    client = max(row["client_mb"] for row in exported.values())
    return Result(
        name="export",
        figure=slowest,
        unit="rows/s",
        limit=limit,
        ratio=round(slowest / limit, 3),
        required=f"all rows; at most {SERVER_MB:.0f} MB more in the API and {CLIENT_MB:.0f} MB in the client",
        ok=server <= SERVER_MB and client <= CLIENT_MB,
        inputs={"recipients": recipients},
        details={
            "figure_is": "the slowest format",
            "limit_is": "the same query, read as Arrow and thrown away",
            **{str(kind): row for kind, row in exported.items()},
            "retry_list": listed,
        },
    )


def _announce(stack: Stack, recipients: int) -> None:
    """Write the campaign's document, and wait until the API knows it."""
    spec: dict[str, Any] = {
        "name": "Export",
        "audience": {"lists": ["people"]},
        "messages": [{"text": "Hi"}],
        "account": "demo",
        "sender": "main",
    }
    document = CampaignDocument(
        id=CAMPAIGN, spec=spec, status="finished", revision=4, created=1, updated=1, launched=1, recipients=recipients
    )
    asyncio.run(_write(stack, document))
    api = api_of(stack.settings)
    retrying(lambda: api.get(f"/v1/campaigns/{CAMPAIGN}"), PATIENCE, time.sleep)


async def _write(stack: Stack, document: CampaignDocument) -> None:
    producer = Producer(stack.settings.kafka)
    try:
        await producer.emit(topics.CAMPAIGNS.name, encode(document), key=CAMPAIGN.encode())
    finally:
        await producer.close()


def _read_bare(store: Store, recipients: int) -> float:
    began = time.perf_counter()
    rows = sum(batch.num_rows for batch in export(store, CAMPAIGN))
    if rows != recipients:
        raise RuntimeError(f"ClickHouse gave {rows:,} of {recipients:,} rows")
    return round(rows / (time.perf_counter() - began))


def _download(stack: Stack, folder: Path, kind: Format, recipients: int) -> dict[str, float]:
    file = folder / f"export.{kind}"
    api = api_of(stack.settings, timeout=120.0)
    began = time.perf_counter()
    with Memory.watched(stack.processes()["api"]) as server, Memory.watched(psutil.Process()) as client:
        api.download(f"/v1/campaigns/{CAMPAIGN}/export", file, format=kind)
    seconds = time.perf_counter() - began
    rows = _rows(file, kind)
    if rows != recipients:
        raise RuntimeError(f"the {kind} file has {rows:,} of {recipients:,} rows")
    size = file.stat().st_size
    file.unlink()
    return {
        "rows_per_second": round(rows / seconds),
        "server_mb": server.growth,
        "client_mb": client.growth,
        "file_mb": round(size / 2**20, 1),
    }


def _rows(file: Path, kind: Format) -> int:
    if kind == "parquet":
        return pq.ParquetFile(file).metadata.num_rows
    with file.open("rb") as lines:
        return sum(1 for _ in lines) - (kind == "csv")


def _make_list(stack: Stack, store: Store) -> dict[str, float]:
    began = time.perf_counter()
    with Memory.watched(stack.processes()["clickhouse"]) as server:
        recipients = RetryLists(store).make(retry_list(CAMPAIGN, CAMPAIGN), CAMPAIGN, Selection(FAILED))
    seconds = time.perf_counter() - began
    return {"recipients": recipients, "seconds": round(seconds, 1), "clickhouse_mb": server.growth}


@dataclass(slots=True)
class Memory:
    """How much a process's resident memory grew, at its peak, in MB."""

    process: psutil.Process
    before: int
    peak: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def watched(cls, process: psutil.Process) -> Iterator[Memory]:
        """Look at a process until the end of the block."""
        watch = cls(process, process.memory_info().rss)
        thread = threading.Thread(target=watch._look, daemon=True)
        thread.start()
        try:
            yield watch
        finally:
            watch._over.set()
            thread.join()

    @property
    def growth(self) -> float:
        return round(max(0, self.peak - self.before) / 2**20, 1)

    def _look(self) -> None:
        while not self._over.wait(_LOOK):
            self.peak = max(self.peak, self.process.memory_info().rss)
