"""The endpoint refuses whoever has no password, web pages, and SQL that reaches files, programs or the network."""

from __future__ import annotations

import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.clickhouse import Store
from adapters.errors import StoreRefused
from adapters.settings import ClickHouse
from devstack.clickhouse import serve
from devstack.clickhouse import server as endpoint_server
from tests.devstack.clickhouse_process import Endpoint, endpoint
from tests.stack import free_ports

SECRET = "canary-4711"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("doors")
    (made / "outside.csv").write_text(f"{SECRET}\n")
    return made


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Endpoint]:
    with endpoint(folder / "data") as running:
        running.client().command("CREATE TABLE rows (a UInt64) ENGINE = MergeTree ORDER BY a")
        yield running


def test_it_serves_this_machine_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", ""):
        with pytest.raises(SystemExit):
            serve(tmp_path / "data", host, free_ports(1)[0])
        assert "serves this machine only" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_no_statement_without_the_password_of_the_folder(served: Endpoint) -> None:
    for headers in ({}, {"X-ClickHouse-Key": "guess"}, {"X-ClickHouse-User": "nobody", "X-ClickHouse-Key": ""}):
        status, got, body = served.raw(b"SELECT 1", dict(headers))
        assert (status, got["X-ClickHouse-Exception-Code"]) == (403, "516")
        assert b"password" in body
    assert served.raw(None, None, "/", query="SELECT 1", password=served.password())[2] == b"1\n"
    assert served.raw(None, None, "/ping")[2] == b"Ok.\n"


def test_folder_and_passwords_are_this_user_s_alone(served: Endpoint, folder: Path) -> None:
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    for name in ("password", "reader-password"):
        assert stat.S_IMODE((folder / "data" / name).stat().st_mode) == 0o600
    assert served.password() != served.password("reader")
    assert len(served.password()) >= 40


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8123"},
        {"Host": ""},
    ],
)
def test_no_web_page_and_no_foreign_name_asks(served: Endpoint, headers: dict[str, str]) -> None:
    status, _, body = served.http(b"SELECT 1", headers)
    assert status == 403
    assert b"1\n" not in body
    assert served.raw(None, headers, "/ping")[0] == 403


OUTSIDE = [
    "SELECT * FROM file('{file}', 'LineAsString')",
    "SELECT * FROM FiLe('{file}')",
    "SELECT * FROM /* x */ file /* /* y */ */ ('{file}')",
    "SELECT * FROM `file`('{file}')",
    "SELECT * FROM \"file\"('{file}')",
    "SELECT * FROM “file”(‘{file}’)",
    "SELECT file('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM `{file}`",
    "WITH x AS (SELECT 1) SELECT (SELECT file('{file}'))",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT * FROM fileCluster('a', '{file}')",
    "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:9/b/k', 'CSV', 'a String')",
    "SELECT * FROM remote('127.0.0.1:9', 'system.one')",
    "SELECT * FROM cluster('default', 'system.one')",
    "SELECT * FROM executable('ls', 'TSV', 'a String')",
    "SELECT * FROM python(os)",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM sqlite('{file}', 't')",
    "SELECT * FROM mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')",
    "SELECT aiGenerate('x')",
    "SELECT 1 INTO OUTFILE '{folder}/written.csv'",
    "SELECT 1 INTO /* */ OUTFILE '{folder}/written.csv' FORMAT CSV",
    "INSERT INTO rows FROM INFILE '{file}' FORMAT CSV",
    "INSERT INTO FUNCTION file('{folder}/written.csv', 'CSV', 'a UInt64') VALUES (1)",
    "INSERT INTO FUNCTION file('{folder}/written.csv', 'CSV', 'a UInt64') SELECT 1",
    "INSERT INTO rows SELECT length(line) FROM file('{file}', 'LineAsString')",
    "CREATE TABLE f (a String) ENGINE = File(CSV, '{file}')",
    "CREATE TABLE f (a String) ENGINE /**/ = /**/ `URL`('http://127.0.0.1:9/', CSV)",
    "CREATE TABLE f (a String) ENGINE = Executable('ls', TSV)",
    "CREATE TABLE f (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{folder}/d/')",
    "CREATE TABLE f AS file('{file}')",
    "CREATE TABLE f ENGINE = Memory AS SELECT * FROM file('{file}')",
    "CREATE VIEW f AS SELECT * FROM file('{file}')",
    "CREATE DATABASE f ENGINE = Filesystem('{folder}')",
    "CREATE DICTIONARY f (a UInt8) PRIMARY KEY a SOURCE(FILE(path '{file}' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)",
    "CREATE FUNCTION f AS x -> file(x)",
    "CREATE NAMED COLLECTION f AS a = 'b'",
    "CREATE USER f IDENTIFIED BY 'x'",
    "BACKUP TABLE rows TO File('{folder}/backup')",
    "RESTORE TABLE rows FROM File('{folder}/backup')",
    "ATTACH TABLE f FROM '{folder}' (a UInt8) ENGINE = MergeTree ORDER BY a",
    "ALTER TABLE rows FETCH PARTITION 'x' FROM '/y'",
    "SYSTEM SHUTDOWN",
    "SYSTEM RELOAD CONFIG",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '{file}'",
    "SELECT * FROM format(CSV, 'x') SETTINGS input_format_record_errors_file_path = '{folder}/written.csv'",
    "DESCRIBE TABLE file('{file}')",
    "EXPLAIN SELECT * FROM file('{file}')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_sql_reaches_nothing_outside(served: Endpoint, folder: Path, sql: str, method: str) -> None:
    text = sql.replace("{file}", str(folder / "outside.csv")).replace("{folder}", str(folder))
    status, _, body = served.http(text.encode()) if method == "POST" else served.http(query=text)
    assert status >= 400, body
    assert SECRET.encode() not in body
    assert not (folder / "written.csv").exists()
    assert not (folder / "backup").exists()
    assert b"Not allowed" in body or b"NOT_IMPLEMENTED" in body or b"SYNTAX_ERROR" in body, body


def test_what_is_beside_the_statement_reaches_nothing_either(served: Endpoint, folder: Path) -> None:
    file = str(folder / "outside.csv")
    asked = [
        {"query": "SELECT * FROM {t:Identifier}", "param_t": file},
        {"query": "SELECT 1", "database": str(folder)},
        {"query": "SELECT 1", "format_template_row": file, "default_format": "Template"},
        {"query": "SELECT 1", "dialect": "prql"},
        {"query": "SELECT 1", "default_format": "TSV SETTINGS format_template_row = 'x'"},
        {"query": f"SELECT * FROM outside{'.csv'}"},
    ]
    for params in asked:
        status, _, body = served.http(**params)
        assert status >= 400, (params, body)
        assert SECRET.encode() not in body
    form = b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\n\r\n--x--\r\n'
    status, _, body = served.http(
        form,
        {"Content-Type": "multipart/form-data; boundary=x"},
        query="SELECT * FROM t",
        t_structure=f"a String) ENGINE = File(CSV, '{file}') --",
        t_format="CSV",
    )
    assert status == 403, body


def test_a_statement_that_was_allowed_is_judged_again_with_other_parameters(served: Endpoint, folder: Path) -> None:
    asked = "SELECT count() >= 0 FROM {t:Identifier}"
    for name, allowed in (("rows", True), (str(folder / "outside.csv"), False), ("rows", True)):
        status, _, body = served.http(query=asked, param_t=name)
        assert (status == 200) is allowed, body


def test_what_longwave_needs_still_works(served: Endpoint) -> None:
    client = served.client()
    for sql in (
        "CREATE DATABASE IF NOT EXISTS other",
        "CREATE TABLE IF NOT EXISTS other.t (a UInt64, file String) ENGINE = ReplacingMergeTree ORDER BY a",
        "CREATE MATERIALIZED VIEW other.v TO rows AS SELECT a FROM other.t",
        "INSERT INTO other.t SELECT number, 'file(1)' FROM numbers(3)",
        "ALTER TABLE other.t DELETE WHERE a = 1",
        "OPTIMIZE TABLE other.t FINAL",
        "DROP DATABASE other",
    ):
        client.command(sql)
    assert client.query("SELECT count() FROM rows").result_rows == [(3,)]


def test_the_reader_changes_nothing(served: Endpoint, folder: Path) -> None:
    reading = ClickHouse(port=served.port, database="default", local=folder / "data").reading()
    store = Store(reading)
    assert store.rows("SELECT 1") == [(1,)]
    assert store.rows("SELECT number FROM typed", numbers=[7]) == [(7,)]
    for sql in ("INSERT INTO rows VALUES (1)", "DROP TABLE rows", "CREATE TABLE t (a UInt8) ENGINE = Memory"):
        with pytest.raises(StoreRefused):
            store.command(sql)
    status, _, _ = served.raw(
        b"INSERT INTO rows SELECT 1 SETTINGS readonly = 0",
        {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": served.password("reader")},
        readonly="0",
    )
    assert status >= 400


def test_a_head_or_body_that_never_ends_is_given_up(served: Endpoint) -> None:
    assert endpoint_server.HEAD_SECONDS <= 15
    with socket.create_connection(("127.0.0.1", served.port)) as half:
        half.sendall(b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        half.settimeout(endpoint_server.HEAD_SECONDS + 10)
        began = time.monotonic()
        assert half.recv(100) == b""
        assert time.monotonic() - began < endpoint_server.HEAD_SECONDS + 5
