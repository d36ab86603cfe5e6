"""The endpoint as a process: one per directory, crashes, full disks, many clients, clean stops."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.devstack.clickhouse_process import ROOT, Endpoint, endpoint

SLOW = "SELECT sum(sipHash64(number)) FROM numbers(100000000000)"


def _running(served: Endpoint, like: str) -> int:
    query = "SELECT count() FROM system.processes WHERE query LIKE {like:String} AND query NOT LIKE '%processes%'"
    return int(served.http(query=query, param_like=like)[2])


def _known(served: Endpoint) -> str:
    """Header lines of a request of ours."""
    return f"Host: 127.0.0.1\r\nX-ClickHouse-Key: {served.password()}\r\n"


def _until(condition: object, seconds: float) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_stop_keeps_data_and_ends_running_queries(tmp_path: Path, number: int) -> None:
    with endpoint(tmp_path / "data") as served:
        served.http(b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        served.http(b"INSERT INTO t VALUES (1), (2)")
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(served.http, query=SLOW)
            assert _until(lambda: _running(served, "%sipHash%"), 10)
            begun = time.monotonic()
            assert served.stop(number) == 0
            assert time.monotonic() - begun < 8
            assert slow.result()[1]["X-ClickHouse-Exception-Code"] == "394"
    with endpoint(tmp_path / "data") as served:
        assert served.http(query="SELECT sum(a) FROM t")[2] == b"3\n"


def test_one_process_for_a_directory(tmp_path: Path) -> None:
    with endpoint(tmp_path) as served:
        command = [sys.executable, "-m", "devstack.clickhouse", str(tmp_path), "1"]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 1
        assert f"served by another process (pid {served.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert served.http(query="SELECT 1")[0] == 200


def test_a_taken_port_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "devstack.clickhouse", str(tmp_path), str(taken.getsockname()[1])]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert "choose another port" in run.stderr
    assert "Traceback" not in run.stderr


def test_kill_9_amid_inserts_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for round_ in range(3):
        with endpoint(tmp_path) as served:
            create = "CREATE TABLE IF NOT EXISTS t (batch UInt64, a UInt64) ENGINE = MergeTree ORDER BY a"
            assert served.http(create.encode())[0] == 200
            assert not list((tmp_path / "spool").iterdir())
            writers = [
                threading.Thread(target=_write, args=(served, round_ * 10 + n, acknowledged)) for n in range(3)
            ]
            for writer in writers:
                writer.start()
            assert _until(lambda enough=20 * (round_ + 1): len(acknowledged) >= enough, 30)
            served.process.kill()
            served.process.wait()
            for writer in writers:
                writer.join()
    (tmp_path / "spool" / "body-left").write_bytes(b"left behind")
    with endpoint(tmp_path) as served:
        rows = served.http(query="SELECT batch, count() FROM t GROUP BY batch FORMAT TSV")[2].decode().splitlines()
        actual = {int(line.split()[0]): int(line.split()[1]) for line in rows}
        assert {batch: actual.get(batch) for batch in acknowledged} == dict.fromkeys(acknowledged, 1000)
        assert not list((tmp_path / "spool").iterdir())
        assert served.http(b"INSERT INTO t VALUES (1, 1)")[0] == 200


def _write(served: Endpoint, writer: int, acknowledged: list[int]) -> None:
    """Insert batches of 1000 rows until the endpoint dies."""
    for number in range(1_000_000):
        batch = writer * 1_000_000 + number
        body = "".join(f"{batch},{row}\n" for row in range(1000)).encode()
        try:
            status, _, _ = served.http(body, query="INSERT INTO t FORMAT CSV")
        except OSError:
            return
        if status == 200:
            acknowledged.append(batch)


def test_a_full_disk_is_an_error_and_the_endpoint_lives(tmp_path: Path) -> None:
    with endpoint(tmp_path, file_limit=6 << 20) as served:
        served.http(b"CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY tuple()")
        body = b"\n".join(bytes(row) for row in np.random.default_rng(1).integers(65, 90, (80_000, 100), dtype="u1"))
        status, headers, text = served.http(body, query="INSERT INTO t FORMAT CSV")
        assert (status, headers["X-ClickHouse-Exception-Code"]) == (507, "243"), text
        assert not list((tmp_path / "spool").iterdir())
        assert served.http(query="SELECT count() FROM t")[2] == b"0\n"
        assert served.http(b"INSERT INTO t VALUES ('x')")[0] == 200
        assert served.http(query="SELECT count() FROM t")[2] == b"1\n"


def test_space_is_kept_free_because_the_engine_ignores_failed_writes(tmp_path: Path) -> None:
    # More than there can be, whatever other tests delete meanwhile.
    with endpoint(tmp_path, "--keep-free", str(shutil.disk_usage(tmp_path).total * 4)) as served:
        served.http(b"CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY tuple()")
        for body in (b"INSERT INTO t VALUES ('x')", b"INSERT INTO t SELECT 'x'", b"INSERT INTO t FORMAT TSV\nx\n"):
            status, headers, text = served.http(body)
            assert (status, headers["X-ClickHouse-Exception-Code"]) == (507, "243"), text
        assert served.http(query="SELECT count() FROM t")[2] == b"0\n"


def test_a_long_insert_holds_up_neither_ping_nor_queries(tmp_path: Path) -> None:
    with endpoint(tmp_path) as served:
        client = served.client()
        client.command("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY b")
        rows = 3_000_000
        values = np.arange(rows, dtype="u8")
        table = pa.table({"a": values, "b": values.astype("U")})
        writer = served.client()
        slowest = 0.0
        with ThreadPoolExecutor(1) as pool:
            insert = pool.submit(writer.insert_arrow, "t", table)
            asked = 0
            while not insert.done():
                begun = time.monotonic()
                assert served.http(path="/ping")[2] == b"Ok.\n"
                assert client.command("SELECT 1") == 1
                slowest = max(slowest, time.monotonic() - begun)
                asked += 1
            assert insert.result().written_rows == rows
        assert asked > 3
        assert slowest < 1.0
        assert not list((tmp_path / "spool").iterdir())


def test_more_clients_than_threads(tmp_path: Path) -> None:
    with endpoint(tmp_path) as served:
        served.http(b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")

        def insert_and_read(number: int) -> bytes:
            assert served.http(f"INSERT INTO t VALUES ({number})".encode())[0] == 200
            return served.http(query=f"SELECT {number}, count() > 0 FROM t WHERE a = {number}")[2]

        with ThreadPoolExecutor(40) as pool:
            assert list(pool.map(insert_and_read, range(200))) == [f"{n}\t1\n".encode() for n in range(200)]


def test_a_client_that_leaves_ends_its_query(tmp_path: Path) -> None:
    with endpoint(tmp_path) as served:
        for query in (SLOW, "SELECT number, toString(number) FROM numbers(100000000000)"):
            with socket.create_connection(("127.0.0.1", served.port)) as leaving:
                request = f"POST / HTTP/1.1\r\n{_known(served)}Content-Length: {len(query)}\r\n\r\n{query}"
                leaving.sendall(request.encode())
                assert _until(lambda: _running(served, "%100000000000%"), 10)
                time.sleep(0.2)
            assert _until(lambda: not _running(served, "%100000000000%"), 10), query


def test_an_upload_cut_off_inserts_nothing(tmp_path: Path) -> None:
    with endpoint(tmp_path) as served:
        served.http(b"CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        with socket.create_connection(("127.0.0.1", served.port)) as leaving:
            head = f"POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\n{_known(served)}"
            leaving.sendall(f"{head}Content-Length: 50000000\r\n\r\n".encode() + b"1\n" * 10_000_000)
            assert _until(lambda: list((tmp_path / "spool").iterdir()), 10)
        assert _until(lambda: not list((tmp_path / "spool").iterdir()), 10)
        assert served.http(query="SELECT count() FROM t")[2] == b"0\n"


def test_what_longwave_asks_of_the_engine(tmp_path: Path) -> None:
    """Bitmaps from a Null table through a materialized view, exact under replay; FINAL; dense ordinals."""
    with endpoint(tmp_path) as served:
        client = served.client()
        columns = "campaign UInt64, state LowCardinality(String)"
        for statement in (
            "CREATE DATABASE lw",
            f"CREATE TABLE lw.chunks ({columns}, ordinals Array(UInt32)) ENGINE = Null",
            f"CREATE TABLE lw.sets ({columns}, ordinals AggregateFunction(groupBitmap, UInt32)) "
            "ENGINE = AggregatingMergeTree ORDER BY (campaign, state)",
            "CREATE MATERIALIZED VIEW lw.to_sets TO lw.sets AS SELECT campaign, state, "
            "arrayReduce('groupBitmapState', ordinals) AS ordinals FROM lw.chunks",
            "CREATE TABLE lw.contacts (number UInt64, name String, version UInt64) "
            "ENGINE = ReplacingMergeTree(version) ORDER BY number",
        ):
            client.command(statement)
        lw = served.client(database="lw")
        for _ in range(3):  # a replay adds nothing
            lw.insert("chunks", [[1, "sent", list(range(500))], [1, "failed", [3, 4]]], column_names="*")
            chunk = {"campaign": pa.array([1], pa.uint64()), "state": ["sent"]}
            lw.insert_arrow("chunks", pa.table(chunk | {"ordinals": pa.array([[499, 500]], pa.list_(pa.uint32()))}))
        counts = lw.query(
            "SELECT state, groupBitmapMerge(ordinals) FROM sets GROUP BY state ORDER BY state"
        ).result_rows
        assert counts == [("failed", 2), ("sent", 501)]
        sets = "(SELECT groupBitmapMergeState(ordinals) FROM sets WHERE state = '{}')"
        sent, failed = sets.format("sent"), sets.format("failed")
        query = (
            f"SELECT bitmapCardinality(bitmapAndnot({sent}, {failed})), "
            f"bitmapCardinality(bitmapOr({sent}, {failed})), bitmapToArray(bitmapAnd({sent}, {failed}))"
        )
        assert lw.query(query).result_rows == [(499, 501, [3, 4])]
        lw.insert("contacts", [[n, "old", 1] for n in range(1000)], column_names="*")
        lw.insert("contacts", [[n, "new", 2] for n in range(500)], column_names="*")
        frozen = "CREATE TABLE audience ENGINE = MergeTree ORDER BY ordinal AS "
        bucket = "bitShiftRight(number * 11400714819323198485, 52)"
        lw.command(
            f"{frozen} SELECT rowNumberInAllBlocks() AS ordinal, * FROM "
            f"(SELECT number, name, {bucket} AS bucket FROM contacts FINAL ORDER BY bucket, number)"
        )
        rows = lw.query(
            "SELECT count(), max(ordinal), uniqExact(ordinal), countIf(name = 'new') FROM audience"
        ).result_rows
        assert rows == [(1000, 999, 1000, 500)]
        expected = {n: (n * 11400714819323198485 % 2**64) >> 52 for n in range(1000)}
        assert dict(lw.query("SELECT number, bucket FROM audience").result_rows) == expected
        with pytest.raises(DatabaseError, match="code: 60"):
            client.query("SELECT * FROM audience")
