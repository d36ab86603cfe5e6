"""The connection: made when it is first needed, kept by urllib3's pool, made again by itself after a failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, Generic, NamedTuple, TypeVar

import clickhouse_connect
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData
from clickhouse_connect.driver.httputil import get_pool_manager

from adapters.clickhouse.failures import mapped
from adapters.errors import StoreError, StoreMisfit, StoreRefused, StoreUnavailable
from adapters.settings import ClickHouse
from schemas.audience import TypedNumbers
from schemas.metrics import STORE_FAILURES, STORE_SECONDS

Numbers = Sequence[int] | TypedNumbers
Parameters = Mapping[str, Any]
R = TypeVar("R")
_KINDS: Final = ("query", "command", "insert")
_ERRORS: Final = {StoreUnavailable: "unavailable", StoreRefused: "refused", StoreMisfit: "misfit"}


class Placed(NamedTuple, Generic[R]):
    """A record of a compacted topic and its place in the log, by which rows replace each other. `written` in ms, by
    the clock of who wrote it."""

    partition: int
    offset: int
    written: int
    record: R


class Store:
    """ClickHouse, for all threads of a process. No session ties requests together, so they run side by side.

    Every method blocks (use `asyncio.to_thread`) and raises StoreUnavailable or StoreRefused. The first call
    connects, so that a process starts without ClickHouse; a later loss of it heals with the next call.
    Parameters are bound by the server: `{name:Type}` in the SQL.
    """

    def __init__(self, settings: ClickHouse, *, timeout: float = 120.0) -> None:
        self.settings = settings
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: Client | None = None
        for kind in _KINDS:
            for error in _ERRORS.values():
                STORE_FAILURES.labels(kind, error)

    def ping(self) -> None:
        """Check that ClickHouse answers."""
        self.rows("SELECT 1")

    def rows(
        self, sql: str, parameters: Parameters | None = None, numbers: Numbers | None = None
    ) -> Sequence[Sequence[Any]]:
        """All rows of a small result. `numbers` become a table `typed` of the request: number UInt64, of a
        `TypedNumbers` also country and region."""
        with _measured("query"):
            return (
                self._connected().query(sql, parameters=_plain(parameters), external_data=_typed(numbers)).result_rows
            )

    def table(self, sql: str, parameters: Parameters | None = None, numbers: Numbers | None = None) -> Any:
        """The result as a pyarrow.Table; LowCardinality columns are dictionary-coded. `numbers` as for `rows`."""
        settings = {"output_format_arrow_low_cardinality_as_dictionary": 1}
        with _measured("query"):
            return self._connected().query_arrow(
                sql,
                parameters=_plain(parameters),
                settings=settings,
                use_strings=True,
                external_data=_typed(numbers),
            )

    def command(self, sql: str, parameters: Parameters | None = None, numbers: Numbers | None = None) -> None:
        """Run a statement that has no result (DDL, INSERT … SELECT); `numbers` as for `rows`."""
        with _measured("command"):
            self._connected().command(sql, parameters=_plain(parameters), external_data=_typed(numbers))

    def insert_arrow(self, table: str, rows: pa.Table) -> None:
        """One INSERT of all rows; they are stored together or, after an exception, perhaps."""
        with _measured("insert"):
            self._connected().insert_arrow(table, rows)

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                self._client = connect(self.settings, self.settings.database, self._timeout)
            return self._client


@contextmanager
def _measured(kind: str) -> Iterator[None]:
    """Around a request: as `mapped`, timed and counted."""
    started = perf_counter()
    try:
        with mapped():
            yield
    except StoreError as error:
        STORE_FAILURES.labels(kind, _ERRORS.get(type(error), "refused")).inc()
        raise
    finally:
        STORE_SECONDS.labels(kind).observe(perf_counter() - started)


def connect(settings: ClickHouse, database: str, timeout: float = 120.0) -> Client:
    """A client of its own pool. Raises whatever clickhouse-connect does: call it inside `mapped()`."""
    user, password = settings.credentials()
    return clickhouse_connect.get_client(
        interface="https" if settings.secure else "http",
        host=settings.host,
        port=settings.port,
        username=user,
        password=password,
        database=database,
        connect_timeout=5,
        send_receive_timeout=int(timeout),
        query_retries=0,
        compress=False,
        autogenerate_session_id=False,
        pool_mgr=get_pool_manager(maxsize=16, block=False),
    )


def _typed(numbers: Numbers | None) -> ExternalData | None:
    """Parameters travel in the URL, which servers cut at 1 MB; a table of the request has no such limit."""
    if numbers is None:
        return None
    if isinstance(numbers, TypedNumbers):
        rows = zip(numbers.numbers, numbers.countries, numbers.regions, strict=True)
        lines = "".join(f"{number}\t{country}\t{region}\n" for number, country, region in rows)
        structure = ["number UInt64", "country String", "region String"]
        return ExternalData(file_name="typed", data=lines.encode(), fmt="TabSeparated", structure=structure)
    data = np.asarray(numbers, dtype="<u8").tobytes()
    return ExternalData(file_name="typed", data=data, fmt="RowBinary", structure=["number UInt64"])


def _plain(parameters: Parameters | None) -> dict[str, Any] | None:
    return dict(parameters) if parameters else None
