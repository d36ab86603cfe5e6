"""`longwave contacts import` against a real ClickHouse and a real Kafka."""

from __future__ import annotations

import csv
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from adapters import contact_store, settings, topics
from adapters.clickhouse import Store, migrate
from cli import contact_import
from cli.main import run
from pipeline.contacts import REASONS
from schemas.feedback import OPTOUTS
from schemas.ids import bucket
from tests.stack import Server, environment, free_ports

ONE_OF_EACH: dict[str, bytes] = {
    "missing_number": b",US,,,,x",
    "not_a_number": b"ask,US,,,,x",
    "no_country": b"2127365000,,,,,x",
    "not_possible": b"12345,US,,,,x",
    "not_valid": b"+12121550123,,,,,x",
    "extension": b"+1 212 736 5000 x1,,,,,x",
    "premium_rate": b"+19002345678,,,,,x",
    "unknown_country": b"2127365000,Ruritania,,,,x",
    "unknown_zone": b"+12127365000,,,Mars/Olympus,,x",
    "unclear_consent": b"+12127365000,,,,perhaps,x",
    "wrong_columns": b"+12127365000,US",
    "malformed": b'"+12127365000"x,,,,,x',
    "not_utf8": b"+12127365000,,,,,Zo\xeb",
}
HEADER = b"phone,country,region,zone,opted_out,first_name\n"


@pytest.fixture
def store(
    clickhouse: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Store]:
    """An empty database of the test's own, which `longwave` uses."""
    for name, value in environment(tmp_path, clickhouse_port=clickhouse.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LONGWAVE_CLICKHOUSE__DATABASE", f"contacts_{abs(hash(request.node.name)):x}")
    loaded = settings.load()
    migrate(loaded)
    store = Store(loaded.clickhouse)
    yield store
    store.close()


def imported(capsys: pytest.CaptureFixture[str], file: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """The summary of an import that ends with `code`."""
    summary = file.with_name("summary.json")
    assert run(["contacts", "import", str(file), "--list", "vip", "--json", str(summary), *options]) == code
    assert "Traceback" not in capsys.readouterr().err
    return dict(json.loads(summary.read_text()))


def test_thousands_of_messy_lines_are_all_accounted_for(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_import, "BATCH", 1000)
    good = [b"+1212736%04d,,,,,Ann %d" % (n, n) for n in range(3000)]
    bad = [line for line in ONE_OF_EACH.values() for _ in range(20)]
    repeats = [b"(212) 736-%04d,US,ny,America/New_York,no,Last" % n for n in range(100)]
    lines = [line for pair in zip(good, bad + good[len(bad) :], strict=True) for line in dict.fromkeys(pair)]
    file = tmp_path / "messy.csv"
    file.write_bytes(HEADER + b"\n".join([*lines, *repeats]))
    summary = imported(capsys, file)
    assert set(ONE_OF_EACH) == set(REASONS)
    assert summary["rejected"] == dict.fromkeys(ONE_OF_EACH, 20)
    assert (summary["imported"], summary["duplicates"], summary["lines"]) == (3000, 100, 3000 + 260 + 100)

    rows = store.rows("SELECT number, bucket, country, region, zone, attributes FROM contacts FINAL ORDER BY number")
    assert [row[0] for row in rows] == [12127360000 + n for n in range(3000)]
    assert all(row[1] == bucket(row[0]) for row in rows)
    assert rows[99] == (12127360099, bucket(12127360099), "US", "NY", "America/New_York", {"first_name": "Last"})
    assert rows[100] == (12127360100, bucket(12127360100), "US", "NY", "", {"first_name": "Ann 100"})
    members = store.rows("SELECT list, bucket, number FROM list_members FINAL ORDER BY number")
    assert members == [("vip", row[1], row[0]) for row in rows]

    with Path(summary["rejects"]).open(newline="") as rejects:
        written = list(csv.DictReader(rejects))
    assert len(written) == 260
    source = file.read_bytes().split(b"\n")
    for reject in written:
        assert source[int(reject["line"]) - 1] == ONE_OF_EACH[reject["reason"]]
        assert reject["raw"] == ONE_OF_EACH[reject["reason"]].decode(errors="replace")


def test_importing_again_doubles_nothing_and_the_later_values_win(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("mobile;Prénom;City\n06 12 34 56 78;Léa; Lyon \n06 12 34 56 79;;\n", encoding="utf-8")
    assert imported(capsys, file, "--region", "fr")["imported"] == 2
    assert not file.with_name("people.csv.rejects.csv").exists()
    file.write_text("phone,city\n+33612345678,Paris\n")
    assert imported(capsys, file)["imported"] == 1
    rows = store.rows("SELECT number, country, attributes FROM contacts FINAL ORDER BY number")
    assert rows == [(33612345678, "FR", {"city": "Paris"}), (33612345679, "FR", {})]
    assert store.rows("SELECT count() FROM list_members FINAL") == [(2,)]


def test_the_sample_is_imported_from_parquet(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sample.parquet"
    assert run(["sample", "contacts", "--count", "3000", "--opted-out", "0", "--out", str(file)]) == 0
    summary = imported(capsys, file)
    assert (summary["lines"], summary["imported"], summary["duplicates"]) == (3000, 2940, 30)
    assert sum(summary["rejected"].values()) == 30
    assert store.rows("SELECT count() FROM contacts FINAL WHERE has(mapKeys(attributes), 'tier')") == [(2940,)]


def test_opt_outs_reach_kafka(
    store: Store,
    kafka: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LONGWAVE_KAFKA__BOOTSTRAP", kafka.address)
    topics.ensure(settings.load().kafka)
    file = tmp_path / "people.csv"
    file.write_bytes(
        HEADER + b"+12127369001,,,,yes,A\n+12127369002,,,,no,B\n+12127369003,,,,1,C\n+12127369001,,,,,A\n"
    )
    summary = imported(capsys, file)
    assert (summary["imported"], summary["opted_out"], summary["duplicates"]) == (3, 2, 1)
    found = {}
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe(["optouts"])
    for _ in range(100):
        message = consumer.poll(0.5)
        if message is not None and message.error() is None and (message.key() or b"").startswith(b"1212736900"):
            record = OPTOUTS.decode(message.value())
            found[message.key()] = (record.number, record.out, record.source)
        if len(found) == 2:
            break
    consumer.close()
    assert found == {
        b"12127369001": (12127369001, True, "import"),
        b"12127369003": (12127369003, True, "import"),
    }


def test_nobody_joins_a_list_whose_opt_out_could_not_be_published(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGWAVE_KAFKA__BOOTSTRAP", f"127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("LONGWAVE_KAFKA__SESSION_TIMEOUT", "2")
    file = tmp_path / "people.csv"
    file.write_bytes(HEADER + b"+12127369001,,,,yes,A\n")
    assert run(["contacts", "import", str(file), "--list", "vip"]) == 1
    assert "Kafka at 127.0.0.1" in capsys.readouterr().err
    assert store.rows("SELECT count() FROM list_members") == [(0,)]


class Flaky(threading.Thread):
    """Listens in front of a server, drops the first `drops` connections, then passes everything through."""

    def __init__(self, server: Server, drops: int) -> None:
        super().__init__(daemon=True)
        self._server, self._drops = server, drops
        self._listener = socket.create_server(("127.0.0.1", free_ports(1)[0]))
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._drops > 0:
                self._drops -= 1
                client.close()
                continue
            upstream = socket.create_connection((self._server.host, self._server.port))
            for source, target in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_an_outage_of_clickhouse_is_waited_for_visibly(
    store: Store,
    clickhouse: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between = Flaky(clickhouse, drops=2)
    between.start()
    monkeypatch.setenv("LONGWAVE_CLICKHOUSE__PORT", str(between.port))
    file = tmp_path / "people.csv"
    file.write_text("phone\n+12127365000\n")
    try:
        assert run(["contacts", "import", str(file), "--list", "vip"]) == 0
    finally:
        between.close()
    said = capsys.readouterr()
    assert "waiting for ClickHouse, attempt 2" in said.err
    assert "1 contacts in list vip" in said.out
    assert store.rows("SELECT number FROM contacts FINAL") == [(12127365000,)]


def test_when_clickhouse_stays_away_the_error_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_store, "ATTEMPTS", 2)
    port = free_ports(1)[0]
    monkeypatch.setenv("LONGWAVE_CLICKHOUSE__PORT", str(port))
    file = tmp_path / "people.csv"
    file.write_text("phone\n+12127365000\n")
    assert run(["contacts", "import", str(file), "--list", "vip"]) == 1
    said = capsys.readouterr().err
    assert f"ClickHouse at 127.0.0.1:{port} cannot be used" in said
    assert "run the same command again: what is stored already is not doubled" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "options", "code", "says"),
    [
        (None, [], 1, "there is no such file"),
        (b"", [], 1, "is empty"),
        (b"phone,name\n", [], 1, "has a header but no contacts"),
        (b"name,email\nx,y\n", [], 1, "no column named phone, number, mobile, msisdn or phone_number; found: 'name'"),
        (b"PAR1xxxx", [], 1, "is not a readable Parquet file"),
        (b"phone\n1\n", ["--list", "My List"], 2, "lower-case letters"),
        (b"phone\n1\n", ["--region", "Atlantis"], 2, "is no country code"),
        (b"phone\n1\n", ["--rejects", "people.csv"], 2, "is the file to import itself"),
        (b"phone\n1\n", ["--rejects", "no/such/folder.csv"], 1, "choose another file with --rejects"),
    ],
)
def test_mistakes_get_one_clear_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
    options: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "people.csv").write_bytes(content)
    assert run(["contacts", "import", "people.csv", "--list", "vip", *options]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.startswith("error: ")
    assert content is None or (tmp_path / "people.csv").read_bytes() == content
