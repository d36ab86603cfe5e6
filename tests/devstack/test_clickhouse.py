"""The HTTP interface, driven by clickhouse-connect and by hand."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import cramjam
import lz4.frame
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.devstack.clickhouse_process import Endpoint, endpoint


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Endpoint) -> Client:
    return served.client()


@pytest.fixture
def table(client: Client) -> str:
    client.command("CREATE OR REPLACE TABLE rows (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    return "rows"


def test_parameters_come_back_as_they_were(client: Client) -> None:
    given = {
        "n": 2**63,
        "s": "quote ' tab \t backslash \\ line \n percent % ünï",
        "a": ["x'y", "back\\slash", ""],
        "d": datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC),
        "none": None,
    }
    rows = client.query(
        "SELECT {n:UInt64}, {s:String}, {a:Array(String)}, {d:DateTime('UTC')}, {none:Nullable(String)}",
        given,
    ).result_rows
    n, s, a, d, none = rows[0]
    assert (n, s, a, none) == (given["n"], given["s"], given["a"], None)
    assert d.replace(tzinfo=UTC) == given["d"]


def test_plain_http(served: Endpoint) -> None:
    assert served.http() == (200, served.http()[1], b"Ok.\n")
    assert served.http(query="SELECT 1")[2] == b"1\n"
    assert served.http(b"SELECT 2 AS a FORMAT JSONEachRow")[2] == b'{"a":2}\n'
    assert served.http(b"3, 4", query="SELECT")[2] == b"3\t4\n"
    assert served.http(query="SELECT 1 AS a", default_format="CSVWithNames")[2] == b'"a"\n1\n'
    assert served.http(b"SELECT 1 AS a; -- comment", {"X-ClickHouse-Format": "CSVWithNames"})[2] == b'"a"\n1\n'
    assert served.http(query="SELECT {x:UInt8} + 1", param_x="41")[2] == b"42\n"
    assert served.http(query="SELECT currentDatabase()", database="system")[2] == b"system\n"
    assert served.http(query="SELECT 'FORMAT CSV' AS s FORMAT TSV SETTINGS max_threads = 1")[2] == b"FORMAT CSV\n"
    assert served.http(query="(SELECT 1) UNION ALL (SELECT 1)")[2] == b"1\n1\n"


def test_headers(served: Endpoint, table: str) -> None:
    _, headers, _ = served.http(query="SELECT 1 FORMAT JSON", query_id="mine", session_id="s", wait_end_of_query="1")
    assert headers["X-ClickHouse-Query-Id"] == "mine"
    assert headers["X-ClickHouse-Format"] == "JSON"
    assert headers["X-ClickHouse-Timezone"] == "UTC"
    assert headers["Content-Type"].startswith("application/json")
    _, headers, body = served.http(b"1\tx\n2\ty\n", query=f"INSERT INTO {table} FORMAT TSV")
    assert body == b""
    assert "X-ClickHouse-Format" not in headers
    assert json.loads(headers["X-ClickHouse-Summary"])["written_rows"] == "2"


@pytest.mark.parametrize(
    ("query", "status", "code", "name"),
    [
        ("SELECT nope", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "Multi-statements"),
        ("SELECT * FROM missing", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT throwIf(number = 3) FROM numbers(5)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 501, 48, "NOT_IMPLEMENTED"),
        ("INSERT INTO missing VALUES (1)", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT 1 FORMAT Nope", 404, 73, "UNKNOWN_FORMAT"),
        ("", 400, 62, "Empty query"),
        ("SELECT " + "NOT " * 200_000 + "1", 400, 167, "AST is too deep"),
        # 500, as ClickHouse answers it.
        ("SELECT " + "(" * 200_000 + "1" + ")" * 200_000, 500, 306, "Maximum parse depth"),
    ],
)
def test_errors(served: Endpoint, query: str, status: int, code: int, name: str) -> None:
    got, headers, body = served.http(query.encode() or b" ")
    assert (got, headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert name.encode() in body


def test_settings_reach_the_engine_and_only_known_ones(served: Endpoint) -> None:
    assert served.http(query="SELECT getSetting('max_block_size')", max_block_size="77")[2] == b"77\n"
    assert served.http(query="SELECT getSetting('max_block_size')")[2] != b"77\n"
    status, headers, _ = served.http(query="SELECT 1", no_such_setting="1")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "115")


def test_get_only_reads(served: Endpoint, table: str) -> None:
    for query in (
        f"TRUNCATE TABLE {table}",
        f"INSERT INTO {table} VALUES (1, 'x')",
        f"INSERT INTO {table} SELECT 1, ''",
    ):
        status, headers, _ = served.http(query=query)
        assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "164"), query
    assert served.http(query=f"SELECT count() FROM {table}")[2] == b"0\n"


def test_session_state_is_refused_not_forgotten(client: Client) -> None:
    with pytest.raises(DatabaseError, match="do not outlive a request"):
        client.command("SET max_threads = 1")


def test_block_framing_is_refused(served: Endpoint) -> None:
    assert served.http(query="SELECT 1", compress="1")[0] == 501


def test_native_insert_round_trip(client: Client) -> None:
    client.command(
        "CREATE OR REPLACE TABLE kinds (a UInt64, t LowCardinality(String), m Map(String, String), n Nullable(Int8)) "
        "ENGINE = MergeTree ORDER BY a"
    )
    rows = [[1, "x", {"k": "v"}, None], [2**64 - 1, "y", {}, -1]]
    assert client.insert("kinds", rows, column_names=["a", "t", "m", "n"]).written_rows == 2
    assert [list(row) for row in client.query("SELECT * FROM kinds ORDER BY a").result_rows] == rows


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_compressions_of_the_client(served: Endpoint, table: str, compress: str | bool) -> None:
    client = served.client(compress=compress)
    client.insert(table, [[n, "x" * (n % 50)] for n in range(3000)], column_names=["a", "b"])
    result = client.query(f"SELECT a, b FROM {table} ORDER BY a").result_rows
    assert result == [(n, "x" * (n % 50)) for n in range(3000)]


PACK = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "br": lambda data: bytes(cramjam.brotli.compress(data, level=2)),
}


@pytest.mark.parametrize("encoding", list(PACK))
@pytest.mark.parametrize("rows", [10, 600_000])
def test_request_encodings_small_and_spooled(served: Endpoint, table: str, encoding: str, rows: int) -> None:
    # Random text: the packed body stays above the size that is kept in memory.
    noise = np.random.default_rng(1).integers(0, 2**63, rows).astype(str)
    body = PACK[encoding]("\n".join(f"{n},{word}" for n, word in enumerate(noise)).encode())
    status, _, text = served.http(body, {"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT CSV")
    assert (status, text) == (200, b"")
    count, total = served.http(query=f"SELECT count(), sum(toUInt128(b)) FROM {table}")[2].split()
    assert (int(count), int(total)) == (rows, sum(int(word) for word in noise))


@pytest.mark.parametrize("encoding", list(PACK))
@pytest.mark.parametrize("rows", [10, 500_000])
def test_answer_encodings(served: Endpoint, encoding: str, rows: int) -> None:
    query = f"SELECT number, sipHash64(number) FROM numbers({rows})"
    plain = served.http(query=query)[2]
    _, headers, body = served.http(None, {"Accept-Encoding": encoding}, query=query, enable_http_compression="1")
    assert headers["Content-Encoding"] == encoding
    unpack = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "lz4": lz4.frame.decompress,
        "zstd": lambda data: bytes(cramjam.zstd.decompress(data)),
        "br": lambda data: bytes(cramjam.brotli.decompress(data)),
    }[encoding]
    assert unpack(body) == plain
    assert "Content-Encoding" not in served.http(None, {"Accept-Encoding": encoding}, query=query)[1]


def test_bad_bodies(served: Endpoint, table: str) -> None:
    into = f"INSERT INTO {table} FORMAT Native"
    status, headers, _ = served.http(b"garbage", {"Content-Encoding": "zstd"}, query=into)
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "271")
    assert served.http(b"x", {"Content-Encoding": "rar"}, query=into)[1]["X-ClickHouse-Exception-Code"] == "89"
    status, headers, _ = served.http(b"1,x\ntwo,y\n", query=f"INSERT INTO {table} FORMAT CSV")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert served.http(query=f"SELECT count() FROM {table}")[2] == b"0\n"


def test_insert_statements_with_data_in_the_body(served: Endpoint, table: str) -> None:
    for body in (
        f"INSERT INTO {table} VALUES (1, 'a;b'), (1, upper('c'))",
        f"INSERT INTO {table} (b, a) SETTINGS max_insert_threads = 1 FORMAT CSV\nx,1\ny,1\n",
        f'INSERT INTO {table} FORMAT JSONEachRow {{"a":1,"b":"j"}}',
        f"/* INSERT VALUES */ insert into `{table}` format TabSeparated\n1\tFORMAT\n",
        f"INSERT INTO {table} SELECT x, 'in' FROM input('x UInt64') WHERE x = 1 FORMAT CSV\n1\n2\n",
        f"INSERT INTO {table} SELECT 1, 'sel'",
    ):
        assert served.http(body.encode())[0] == 200, body
    rows = served.http(query=f"SELECT b FROM {table} WHERE a = 1 ORDER BY b")[2].decode().split()
    assert rows == ["C", "FORMAT", "a;b", "in", "j", "sel", "x", "y"]
    big = f"INSERT INTO {table} FORMAT CSV\n" + "".join(f"7,{n}\n" for n in range(800_000))
    assert served.http(big.encode())[0] == 200
    assert served.http(query=f"SELECT count() FROM {table} WHERE a = 7")[2] == b"800000\n"


def test_arrow_both_ways(client: Client, table: str) -> None:
    rows = pa.table({"a": np.arange(300_000, dtype="u8"), "b": [f"name {n % 1000}" for n in range(300_000)]})
    assert client.insert_arrow(table, rows).written_rows == 300_000
    assert client.insert_arrow(table, rows.slice(0, 10)).written_rows == 10
    back = client.query_arrow(f"SELECT a, b FROM {table} ORDER BY a LIMIT 1, 5", use_strings=True)
    assert back["a"].to_pylist() == [0, 1, 1, 2, 2]


def test_million_rows_stream_in_every_format(served: Endpoint, client: Client) -> None:
    query = "SELECT number AS a, toString(number) AS b FROM numbers(1000000)"
    parquet = pyarrow.parquet.read_table(io.BytesIO(client.raw_stream(query, fmt="Parquet").read()))
    assert (parquet.num_rows, parquet["a"][-1].as_py()) == (1_000_000, 999_999)
    lines = client.raw_stream(query, fmt="CSVWithNames").read().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (1_000_001, b'"a","b"', b'999999,"999999"')
    assert client.query(query).row_count == 1_000_000
    with client.query_row_block_stream(query) as stream:
        assert sum(len(block) for block in stream) == 1_000_000
    assert served.http(query=query)[1].get("Transfer-Encoding") == "chunked"
    assert int(served.http(query=query, wait_end_of_query="1")[1]["Content-Length"]) > 10_000_000


def test_an_error_amid_a_stream_reaches_the_client(served: Endpoint) -> None:
    query = "SELECT throwIf(number = 2500000), number FROM numbers(3000000)"
    for compress in (False, "lz4"):
        client = served.client(compress=compress)
        with pytest.raises(StreamFailureError, match="395"), client.query_row_block_stream(query) as stream:
            for _ in stream:
                pass
        with pytest.raises(DatabaseError, match="395"):
            client.query(query)


def test_empty_results(client: Client) -> None:
    assert client.query("SELECT 1 AS a WHERE 0").result_rows == []
    assert client.query("SELECT 1 AS a LIMIT 0").column_names == ("a",)
    assert client.command("SELECT 1 WHERE 0") == ""


def test_external_data_and_forms(served: Endpoint) -> None:
    sent = ExternalData(file_name="ext.csv", data=b"1,a\n2,b\n", fmt="CSV", structure=["x UInt8", "y String"])
    for client in (served.client(), served.client(form_encode_query_params=True)):
        rows = client.query("SELECT x + {n:UInt8}, y FROM ext ORDER BY x", {"n": 1}, external_data=sent).result_rows
        assert rows == [(2, "a"), (3, "b")]
        assert client.query("SELECT {s:String}", {"s": "x" * 5000}).result_rows == [("x" * 5000,)]


async def test_async_clients_at_once(served: Endpoint, table: str) -> None:
    client = await clickhouse_connect.get_async_client(host="127.0.0.1", port=served.port, password=served.password())
    try:
        inserts = [client.insert(table, [[n, str(n)]], column_names=["a", "b"]) for n in range(40)]
        counts = [client.query(f"SELECT {n}, count() FROM {table}") for n in range(40)]
        answers = await asyncio.gather(*inserts, *counts)
        assert [answer.result_rows[0][0] for answer in answers[40:]] == list(range(40))
        assert (await client.query(f"SELECT count(), sum(a) FROM {table}")).result_rows == [(40, 780)]
    finally:
        await client.close()


def test_data_directory_is_not_touched_by_reads(served: Endpoint, tmp_path: Path) -> None:
    status, _, body = served.http(f"SELECT 1 FROM numbers(1) INTO OUTFILE '{tmp_path}/stolen'".encode())
    assert status == 501
    assert not list(tmp_path.iterdir()), body
