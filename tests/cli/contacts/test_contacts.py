"""`longwave contacts import` against a real ClickHouse and a real Kafka."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer

from adapters import settings
from adapters.clickhouse import Store, migrate
from adapters.clickhouse.connection import Placed
from adapters.clickhouse.consents import insert_consents
from adapters.contacts import store as contact_store
from adapters.kafka import topics
from adapters.kafka.producer import Producer
from cli.contacts import importing as contact_import
from cli.main import run
from schemas.feedback import OPTOUTS, Consent
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
    "digits_lost": b"1.2127365E+10,,,,,x",
    "unknown_country": b"2127365000,Ruritania,,,,x",
    "no_such_zone": b"+12127365000,,,Mars/Olympus,,x",
    "wrong_columns": b"+12127365000,US",
    "malformed": b'"+12127365000"x,,,,,x',
}
HEADER = b"phone,country,region,zone,opted_out,first_name\n"


@pytest.fixture
def store(
    clickhouse: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Store]:
    """An empty database of the test's own, which `longwave` uses."""
    for name, value in environment(tmp_path, clickhouse_port=clickhouse.port).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LONGWAVE_CLICKHOUSE__LOCAL", str(clickhouse.data / "clickhouse"))
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
    store: Store,
    kafka: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A broken line may have been an opt-out: its number is held.
    monkeypatch.setenv("LONGWAVE_KAFKA__BOOTSTRAP", kafka.address)
    topics.ensure(settings.load().kafka)
    monkeypatch.setattr(contact_import, "BATCH", 1000)
    good = [b"+1212736%04d,,,,,Ann %d" % (n, n) for n in range(3000)]
    bad = [line for line in ONE_OF_EACH.values() for _ in range(20)]
    repeats = [b"(212) 736-%04d,US,ny,America/New_York,no,Last" % n for n in range(100)]
    lines = [line for pair in zip(good, bad + good[len(bad) :], strict=True) for line in dict.fromkeys(pair)]
    file = tmp_path / "messy.csv"
    file.write_bytes(HEADER + b"\n".join([*lines, *repeats]))
    summary = imported(capsys, file)
    assert summary["rejected"] == dict.fromkeys(ONE_OF_EACH, 20)
    assert (summary["imported"], summary["duplicates"], summary["lines"]) == (3000, 100, 3000 + 240 + 100)

    rows = store.rows("SELECT number, bucket, country, region, zone, attributes FROM contacts FINAL ORDER BY number")
    assert [row[0] for row in rows] == [12127360000 + n for n in range(3000)]
    assert all(row[1] == bucket(row[0]) for row in rows)
    assert rows[99] == (12127360099, bucket(12127360099), "US", "NY", "America/New_York", {"first_name": "Last"})
    assert rows[100] == (12127360100, bucket(12127360100), "US", "NY", "", {"first_name": "Ann 100"})
    members = store.rows("SELECT list, bucket, number FROM list_members FINAL ORDER BY number")
    assert members == [("vip", row[1], row[0]) for row in rows]

    written = Path(summary["rejects"]).read_bytes().splitlines()
    assert written[0] == HEADER.strip() + b",reason"
    kept = [line for line in lines if line in ONE_OF_EACH.values()]
    for source, reject in zip(kept, written[1:], strict=True):
        reason = next(reason for reason, line in ONE_OF_EACH.items() if line == source)
        assert reject.startswith(source + b"," * (4 if reason == "wrong_columns" else 0) + b",")
        assert f"{reason}: ".encode() in reject


def test_a_second_file_adds_to_what_is_known_and_replace_takes_its_place(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(
        "mobile;Prénom;姓名;Ort;region;zone\n"
        "06 12 34 56 78;Léa;王; Lyon ;69;Europe/Paris\n06 12 34 56 79;#N/A;\u3164;null;;\n06 12 34 56 79;;;Nice;;\n",
        encoding="utf-8",
    )
    assert imported(capsys, file, "--region", "fr")["imported"] == 2
    assert not file.with_name("people.csv.rejects.csv").exists()

    def contacts() -> list[Any]:
        actual = store.rows("SELECT number, region, zone, attributes FROM contacts FINAL ORDER BY number")
        return [tuple(row) for row in actual]

    first = {"prénom": "Léa", "姓名": "王", "ort": "Lyon"}
    assert contacts() == [(33612345678, "69", "Europe/Paris", first), (33612345679, "", "", {"ort": "Nice"})]
    file.write_text("phone,ort,tier,prénom\n+33612345678,Paris,gold,\n")
    assert imported(capsys, file)["imported"] == 1
    both = {"prénom": "Léa", "姓名": "王", "ort": "Paris", "tier": "gold"}
    assert contacts()[0] == (33612345678, "69", "Europe/Paris", both)
    assert imported(capsys, file, "--replace")["imported"] == 1
    assert contacts()[0] == (33612345678, "", "", {"ort": "Paris", "tier": "gold"})
    assert store.rows("SELECT count() FROM list_members FINAL") == [(2,)]


def test_what_means_nothing_or_is_invisible_never_reaches_a_phone(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = ["[object Object]", "n.a.", "k.A.", "\u200b", "\u3164", " \u2060\u200d ", "\u2800", "N/A"]
    file = tmp_path / "people.csv"
    lines = [f"+336123456{n:02},{text}\n" for n, text in enumerate([*nothing, "Na", "❤️", "김", "Anna\u200b"])]
    file.write_text("phone,first name\n" + "".join(lines), encoding="utf-8")
    assert imported(capsys, file)["imported"] == len(lines)
    rows = store.rows("SELECT attributes FROM contacts FINAL ORDER BY number")
    assert [row[0] for row in rows[: len(nothing)]] == [{}] * len(nothing)
    assert [row[0]["first_name"] for row in rows[len(nothing) :]] == ["Na", "❤️", "김", "Anna\u200b"]


def test_mended_rejects_are_imported_again_in_their_own_encoding(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes("Téléphone;Prénom\n+33612345678;Léa\n123;Zoë\n+336;François\n".encode("cp1252"))
    summary = imported(capsys, file, "--region", "FR")
    assert (summary["imported"], summary["rejected"]) == (1, {"not_possible": 2})
    assert summary["read_as"].startswith("Windows-1252")
    assert "which is a guess" in summary["notes"][0]
    rejects = Path(summary["rejects"])
    assert rejects.read_bytes().splitlines()[1].startswith(b"123;Zo\xeb;not_possible: ")
    rejects.write_bytes(rejects.read_bytes().replace(b"123;", b"+33612345679;"))
    again = imported(capsys, rejects, "--region", "FR")
    assert (again["imported"], again["rejected"]) == (1, {"not_possible": 1})
    assert Path(again["rejects"]).read_bytes().splitlines()[0] == "Téléphone;Prénom;reason".encode("cp1252")
    rows = store.rows("SELECT number, attributes FROM contacts FINAL ORDER BY number")
    assert [tuple(row) for row in rows] == [(33612345678, {"prénom": "Léa"}), (33612345679, {"prénom": "Zoë"})]


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
        b"phone,Unsubscribed,SMS Consent\n+12127369001,yes,yes\n+12127369002,no,yes\n+12127369003,,no\n"
        b"+12127369004,,perhaps\n+12127369001,,yes\n"
    )
    summary = imported(capsys, file)
    assert (summary["imported"], summary["duplicates"]) == (4, 1)
    assert (summary["opted_out"], summary["held"]) == (2, 1)
    actual = {}
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe(["optouts"])
    for _ in range(100):
        message = consumer.poll(0.5)
        if message is not None and message.error() is None and b"/1212736900" in (message.key() or b""):
            record = OPTOUTS.decode(message.value())
            actual[record.number] = (record.state, record.source, record.evidence)
        if len(actual) == 3:
            break
    consumer.close()
    assert actual == {
        12127369001: ("out", "import", "people.csv line 2, column 'Unsubscribed': 'yes'"),
        12127369003: ("out", "import", "people.csv line 4, column 'SMS Consent': 'no'"),
        12127369004: ("held", "import", "people.csv line 5, column 'SMS Consent': 'perhaps'"),
    }


def test_what_an_operator_has_decided_is_not_held_again_by_the_same_file(
    store: Store,
    kafka: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LONGWAVE_KAFKA__BOOTSTRAP", kafka.address)
    topics.ensure(settings.load().kafka)
    sent: list[Consent] = []
    monkeypatch.setattr(Producer, "send", recording(sent, Producer.send))
    file, stops = tmp_path / "people.csv", tmp_path / "stops.csv"
    file.write_text("phone,SMS Consent\n+12127369010,yes\n+12127369011,perhaps\n+12127369012,perhaps\n")
    stops.write_text("phone,out\n+12127369013,perhaps\n+12127369014,perhaps\n")

    def both() -> tuple[dict[str, Any], dict[str, Any]]:
        sent.clear()
        summary = tmp_path / "stops.json"
        assert run(["optouts", "import", str(stops), "--json", str(summary)]) == 0
        return imported(capsys, file), json.loads(summary.read_text())

    contacts, opt_outs = both()
    assert (contacts["held"], contacts["decided"], opt_outs["held"]) == (2, 0, 2)
    first = {item.number: item for item in sent}
    assert {item.state for item in first.values()} == {"held"}
    decided = [first[12127369011], first[12127369013]]
    ends = [msgspec.structs.replace(item, state="in", source="review") for item in decided]
    insert_consents(store, [Placed(0, place, 1, item) for place, item in enumerate([*first.values(), *ends])])

    contacts, opt_outs = both()
    assert (contacts["held"], contacts["decided"]) == (1, 1)
    assert (opt_outs["held"], opt_outs["noted"]["decided_before"], opt_outs["no_change"]) == (1, 1, 1)
    assert {item.number for item in sent} == {12127369012, 12127369014}

    for path in (file, stops):
        path.write_text(path.read_text().replace("perhaps", "who knows"))
    contacts, opt_outs = both()
    assert (contacts["held"], contacts["decided"], opt_outs["held"]) == (2, 0, 2), "it is new evidence"
    assert {item.number for item in sent} == set(first)


def recording(sent: list[Consent], send: Any) -> Any:
    """`send` of a producer that also keeps the consents that pass."""

    def recorded(self: Producer, topic: str, value: bytes, **more: Any) -> Any:
        consent = OPTOUTS.decode(value)
        assert isinstance(consent, Consent)
        sent.append(consent)
        return send(self, topic, value, **more)

    return recorded


def test_no_contact_joins_a_list_if_its_opt_out_could_not_be_published(
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
    assert "run the same command again: stored contacts are not duplicated" in said
    assert "Traceback" not in said


def test_a_dry_run_shows_how_a_file_is_understood_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(
        "Handy;Vorname;Abgemeldet\n0664 1234567;Jörg;nein\n+4915123456789;Zoë;ja\n12;x;\n".encode("cp1252")
    )
    assert run(["contacts", "import", str(file), "--list", "vip", "--dry-run", "--region", "AT"]) == 0
    said = capsys.readouterr().out
    for expected in (
        "Windows-1252, semicolon, 3 lines. Nothing was written",
        "Handy       phone",
        "Vorname     attribute {vorname}",
        "Abgemeldet  opt-out",
        "Jörg  ·  Zoë",
        "2 contacts would be in list vip",
        "countries: AT 1, DE 1",
        "1 would be opted out",
        "1 rejected: not_possible: ",
        "not_possible: 12;x;",
    ):
        assert expected in said
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_opt_out_files_have_a_dry_run_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "stop.csv"
    file.write_text("+12127369001\n+12127369002\nsoon\n")
    summary = tmp_path / "summary.json"
    assert run(["optouts", "import", str(file), "--dry-run", "--json", str(summary)]) == 1
    assert "2 would be opted out from 3 lines" in capsys.readouterr().out
    assert json.loads(summary.read_text())["rejected"] == {"not_a_number": 1}


def test_an_opt_out_file_of_mixed_encodings_is_read_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stop.csv"
    file.write_bytes(b"T\xe9l;note\n0612345678;Zo\xeb\n0612345679;\xc3\xa9t\xc3\xa9\n12;\xeb\n")
    summary = tmp_path / "summary.json"
    command = ["optouts", "import", str(file), "--dry-run", "--region", "FR", "--json", str(summary)]
    assert run(command) == 1
    assert "2 would be opted out from 3 lines" in capsys.readouterr().out
    assert json.loads(summary.read_text())["noted"] == {"text_not_readable": 1}


@pytest.mark.parametrize(
    ("content", "options", "code", "says"),
    [
        (None, [], 1, "there is no such file"),
        (b"", [], 1, "is empty"),
        (b"phone,name\n", [], 1, "has a header but no contacts"),
        (
            b"name,email\nx,y\n",
            [],
            1,
            "in any language we know; found: 'name'",
        ),
        (b"phone,RGPD\n+12127365000,oui\n", [], 1, "'RGPD' looks like consent"),
        (b"phone,a\n1,Zo\xc3\xab\n2,Zo\xeb\n", [], 1, "line 3 is not UTF-8"),
        (b"phone\n1\n", ["--column", "color=phone"], 2, "one of the roles phone, country"),
        (b"phone\n1\n", ["--column", "phone=x"], 1, "there is no column 'x'; the file has 'phone'"),
        (b"phone\n1\n", ["--delimiter", "::"], 2, "use one character"),
        (b"phone\n1\n", ["--numbers", "perhaps"], 2, "choose national or international"),
        (b"PAR1xxxx", [], 1, "is not a readable Parquet file"),
        (b"phone\n1\n", ["--list", "My List"], 2, "lower-case letters"),
        (b"phone\n1\n", ["--region", "Atlantis"], 2, "is not a country code"),
        (b"phone\n1\n", ["--rejects", "people.csv"], 2, "is the file to import; choose"),
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
