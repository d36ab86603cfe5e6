"""Failures of ClickHouse: provoked on the real endpoint, and every exception of the client's libraries."""

from __future__ import annotations

import inspect
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
import urllib3.exceptions
from clickhouse_connect.driver import exceptions as driver

from adapters.clickhouse import Store, mapped
from adapters.clickhouse.failures import TRANSIENT
from adapters.errors import StoreError, StoreRefused, StoreUnavailable
from adapters.settings import ClickHouse
from tests.adapters.clickhouse_store import migrated
from tests.stack import Server, environment, free_ports, running, running_clickhouse


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELEC 1", "62"),
        ("SELECT nothing", "nothing"),
        ("SELECT 1 FROM nowhere", "nowhere"),
        ("SELECT toDate(1) + 'x'", "Code"),
        ("SELECT toUInt8('x')", "Code"),
        ("SELECT no_such_function(1)", "no_such_function"),
        ("SELECT 1 SETTINGS no_such_setting = 1", "no_such_setting"),
    ],
)
def test_a_wrong_statement_is_refused(clickhouse: Server, sql: str, text: str) -> None:
    with migrated(clickhouse) as store, pytest.raises(StoreRefused, match=text):
        store.rows(sql)


def test_wrong_rows_are_refused(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        with pytest.raises(StoreRefused):
            store.insert_arrow("audiences", pa.table({"no_such_column": [1]}))
        with pytest.raises(StoreRefused):
            store.insert_arrow("audiences", pa.table({"recipients": ["many"]}))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 10000000",
        "SELECT sum(sleepEachRow(0.1)) FROM numbers(60) SETTINGS max_execution_time = 1, max_block_size = 1",
    ],
)
def test_overload_is_unavailable(clickhouse: Server, sql: str) -> None:
    with migrated(clickhouse) as store, pytest.raises(StoreUnavailable):
        store.rows(sql)


def test_too_many_parts_is_unavailable(clickhouse: Server) -> None:
    with migrated(clickhouse) as store:
        store.command(
            "CREATE TABLE parts (x UInt8) ENGINE = MergeTree ORDER BY x "
            "SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1, max_delay_to_insert = 1"
        )
        store.command("SYSTEM STOP MERGES parts")
        store.command("INSERT INTO parts SELECT 1")
        with pytest.raises(StoreUnavailable, match="252"):
            store.command("INSERT INTO parts SELECT 1")


def test_no_server_is_unavailable() -> None:
    store = Store(ClickHouse(port=free_ports(1)[0]))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.ping()


def test_no_answer_in_time_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = Store(ClickHouse(port=deaf.getsockname()[1]), timeout=1)
        with pytest.raises(StoreUnavailable):
            store.ping()


def test_a_lost_connection_is_unavailable_and_heals_by_itself(tmp_path: Path) -> None:
    with running_clickhouse(tmp_path) as server:
        settings = server.clickhouse.model_copy(update={"database": "default"})
        store = Store(settings)
        store.ping()
    with pytest.raises(StoreUnavailable):
        store.ping()
    with running(["run", "clickhouse"], environment(tmp_path, clickhouse_port=server.port), tmp_path):
        for _ in range(200):
            try:
                assert store.rows("SELECT 7")[0][0] == 7
                break
            except StoreUnavailable:
                threading.Event().wait(0.1)
        else:
            pytest.fail("the store did not come back")
    store.close()


def test_threads_share_a_store(clickhouse: Server) -> None:
    with migrated(clickhouse) as store, ThreadPoolExecutor(8) as pool:
        asked = "SELECT {n:UInt32} + sleep(0.05)"
        assert [rows[0][0] for rows in pool.map(lambda n: store.rows(asked, {"n": n}), range(32))] == list(range(32))


def classes(module: object, base: type[BaseException]) -> list[type[BaseException]]:
    return [item for _, item in inspect.getmembers(module, inspect.isclass) if issubclass(item, base)]


@pytest.mark.parametrize(
    "kind",
    [
        *classes(driver, driver.ClickHouseError),
        *classes(urllib3.exceptions, urllib3.exceptions.HTTPError),
        *classes(pa.lib, pa.ArrowException),
        ConnectionResetError,
        BrokenPipeError,
        TimeoutError,
        EOFError,
    ],
)
def test_every_exception_of_the_client_is_mapped(kind: type[BaseException]) -> None:
    # Made without their constructors' arguments, so that none is left out; some cannot print themselves then.
    named = type(kind.__name__, (kind,), {"__str__": lambda self: "what happened"})
    error = named.__new__(named)
    with pytest.raises(StoreError), mapped():
        raise error


@pytest.mark.parametrize("code", sorted(TRANSIENT))
def test_codes_that_pass_are_unavailable(code: int) -> None:
    with pytest.raises(StoreUnavailable), mapped():
        raise driver.DatabaseError("Code: 62. the text does not count where the code is known", code=code)


@pytest.mark.parametrize("code", [16, 36, 47, 53, 60, 62, 81, 115, 164, 497, 516])
def test_codes_that_stay_are_refused(code: int) -> None:
    with pytest.raises(StoreRefused), mapped():
        raise driver.DatabaseError("no", code=code)


@pytest.mark.parametrize("status", [400, 404, 413, 414])
def test_a_request_that_is_wrong_for_the_server_before_the_engine_is_refused(status: int) -> None:
    with pytest.raises(StoreRefused), mapped():
        raise driver.DatabaseError(f"HTTP driver received HTTP status {status}, server response: no")


def test_a_proxy_that_answers_without_a_code_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable), mapped():
        raise driver.OperationalError("HTTP driver received HTTP status 503")
