"""Reading contact files: what people have on their disks."""

from __future__ import annotations

import datetime
import decimal
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contacts.files import LONGEST_CELL, LONGEST_LINE, ContactFileError, Reading, open_contacts
from cli.contacts.plan import reading_of
from pipeline.numbers.numbering import read


def csv_file(folder: Path, content: bytes) -> Path:
    path = folder / "contacts.csv"
    path.write_bytes(content)
    return path


def rows_of(path: Path, size: int = 50_000) -> list[list[str]]:
    return [list(row) for batch in open_contacts(path).batches(size) for row in batch.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_line_ends_and_byte_order_mark(tmp_path: Path, delimiter: str, end: str, mark: bytes) -> None:
    lines = [["phone", "name"], ["+1212", "Zoë"], ["+33", f'"a{delimiter}b"']]
    path = csv_file(tmp_path, mark + end.join(delimiter.join(line) for line in lines).encode())
    assert open_contacts(path).header == ("phone", "name")
    assert rows_of(path) == [["+1212", "Zoë"], ["+33", f"a{delimiter}b"]]


def test_the_delimiter_that_excel_declares(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"sep=;\r\nphone;a,b,c\r\n1;2\r\n")
    assert open_contacts(path).header == ("phone", "a,b,c")
    assert rows_of(path) == [["1", "2"]]


def test_one_column(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone\n1\n\n2")
    assert (open_contacts(path).header, rows_of(path)) == (("phone",), [["1"], ["2"]])


def test_line_numbers_and_raw_lines_across_quoted_newlines_and_blank_lines(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b'phone,note\n1,a\n2,"two\nlines"\n\n3,c,d\n4,e')
    (batch,) = open_contacts(path).batches()
    assert batch.lines == [2, 3, 6, 7]
    assert [batch.raw(i) for i in range(4)] == ["1,a", '2,"two\nlines"', "3,c,d", "4,e"]
    assert [len(row) for row in batch.rows] == [2, 2, 3, 2]
    assert batch.done == path.stat().st_size


def test_batches_are_bounded_and_lose_nothing(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone\n" + b"".join(b"%d\n" % i for i in range(10)))
    batches = list(open_contacts(path).batches(4))
    assert [len(batch.rows) for batch in batches] == [4, 4, 2]
    assert [line for batch in batches for line in batch.lines] == list(range(2, 12))


@pytest.mark.parametrize("size", [2, 50_000])
def test_a_quote_that_never_closes_costs_its_line_alone(tmp_path: Path, size: int) -> None:
    rest = b"".join(b"%d,b\n" % i for i in range(20_000))
    path = csv_file(tmp_path, b'phone,name\n7,"open\n8,"odd"quote\n' + rest)
    batches = list(open_contacts(path).batches(size)) if size > 2 else [next(open_contacts(path).batches(size))]
    broken = [b for batch in batches for b in batch.broken]
    assert [(b.line, b.raw) for b in broken] == [(2, '7,"open'), (3, '8,"odd"quote')]
    read = [row for batch in batches for row in batch.rows]
    assert (read[0] if read else None) == (["0", "b"] if size > 2 else None)
    assert len(read) == (20_000 if size > 2 else 0)
    assert [line for batch in batches for line in batch.lines][:2] == ([4, 5] if size > 2 else [])


def test_a_huge_cell_costs_its_line_alone(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1," + b"x" * (LONGEST_CELL + 1) + b"\n2,b\n")
    (batch,) = open_contacts(path).batches()
    assert [row[0] for row in batch.rows] == ["2"]
    assert [b.line for b in batch.broken] == [2]


def test_a_line_without_end_stops_the_reading(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1," + b"x" * (2 * LONGEST_LINE))
    with pytest.raises(ContactFileError, match="line 2 is longer than 1,000,000 characters"):
        list(open_contacts(path).batches())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"PK\x03\x04....", "Excel workbook: save it as CSV"),
        (b"phone\0\0\0name\n1\n", "is binary"),
        ("phone\n1\n".encode("utf-16-le"), "UTF-16 without its mark.*--encoding"),
        (b'phone,"name\n1,x\n', "header cannot be read as CSV"),
        (b"<!DOCTYPE html><html>", "is HTML"),
        (b",,\n1,2,3\n", "names no column"),
        (b"PAR1 and then nothing", "is not a readable Parquet file"),
        (b"phone,name\n1,Zo\xc3\xab\n2,Zo\xeb\n", "line 3 is not UTF-8 while other lines are.*Nothing was taken"),
        (b"phone,name\n1,Zo\xc3\xab\n2,Zo\xc3", "line 3 is not UTF-8"),
        (b"\xff\xfep\0h", "is not text in UTF-16"),
    ],
)
def test_files_that_are_refused_whole(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ContactFileError, match=says):
        list(open_contacts(csv_file(tmp_path, content)).batches())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "mac_roman"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = csv_file(tmp_path, "phone,prénom\n1,Zoë\n2,François\n".encode(encoding))
    file = open_contacts(path)
    assert file.header == ("phone", "prénom")
    assert rows_of(path) == [["1", "Zoë"], ["2", "François"]]
    assert bool(file.dialect.guess) == (encoding in ("cp1252", "mac_roman"))
    assert not file.dialect.guess or "prénom" in file.dialect.guess[0]


@pytest.mark.parametrize(
    ("text", "encoding", "country"),
    [
        ("phone,name\n1,Müller\n2,Jürgen Groß\n", "cp1252", ""),
        ("phone,name\n1,“Zoë” — 5 €\n2,Ñuñez\n", "cp1252", ""),
        ("telefon,imię\n1,Łukasz Wiśniewski\n", "cp1250", ""),
        ("phone,name\n1,Małgorzata\n2,Żaneta\n", "cp1250", ""),
        ("phone,name\n1,Řehoř Dvořák\n", "cp1250", "CZ"),
        ("телефон,имя\n1,Иван\n", "cp1251", ""),
        ("phone,name\n1,Иван\n2,Мария\n", "cp1251", ""),
        ("Τηλέφωνο,Όνομα\n1,Γιώργος\n", "cp1253", ""),
        ("Telefon,Ad\n1,Ayşe\n2,Gökçe Şahin\n", "cp1254", "TR"),
        ("电话,姓名\n1,王小明\n", "gb18030", ""),
        ("電話,名前\n1,田中太郎\n", "cp932", ""),
        ("전화,이름\n1,김철수\n", "cp949", ""),
    ],
)
def test_a_guess_reads_every_letter(tmp_path: Path, text: str, encoding: str, country: str) -> None:
    path = csv_file(tmp_path, text.encode(encoding))
    file = open_contacts(path, reading_of("", "", country, has_header=True))
    read = [row for batch in file.batches() for row in batch.rows]
    assert [list(file.header), *map(list, read)] == [line.split(",") for line in text.splitlines()]
    assert file.dialect.guess


def test_an_encoding_that_is_asked_for_is_used_or_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "phone\n1\n".encode("utf-16-le"))
    assert open_contacts(path, Reading(encoding="utf-16-le")).header == ("phone",)
    latin = csv_file(tmp_path, b"phone,name\n1,Zo\xeb\n")
    with pytest.raises(ContactFileError, match="line 2 is not text in UTF-8, as --encoding says"):
        open_contacts(latin, Reading(encoding="utf-8"))
    with pytest.raises(ContactFileError, match="'klingon' is no encoding of text"):
        open_contacts(latin, Reading(encoding="klingon"))
    with pytest.raises(ContactFileError, match="'base64' is no encoding of text"):
        open_contacts(latin, Reading(encoding="base64"))


def test_a_lenient_reading_keeps_the_rest_of_a_line(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1,Zo\xc3\xab\n2,Zo\xeb\n")
    file = open_contacts(path, Reading(lenient=True))
    (batch,) = file.batches()
    assert [row[0] for row in batch.rows] == ["1", "2"]
    assert "unreadable places" in file.dialect.described


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_even_lone_ones(tmp_path: Path, end: str) -> None:
    path = csv_file(tmp_path, end.join(["phone,name", '1,"a', 'b"', "2,c", ""]).encode())
    (batch,) = open_contacts(path).batches()
    assert [list(row) for row in batch.rows] == [["1", f"a{end}b"], ["2", "c"]]
    assert batch.lines == [2, 4]


def test_mixed_line_ends(tmp_path: Path) -> None:
    assert rows_of(csv_file(tmp_path, b"phone,name\r1,a\n2,b\r\n")) == [["1", "a"], ["2", "b"]]


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"phone;name, first;town\n1;a;b\n", ("phone", "name, first", "town")),
        (b"phone|note\n1|a,b,c\n2|d,e,f\n", ("phone", "note")),
        (b"phone\n1;2\n", ("phone",)),
        (b'"phone", "name, first"\n"1", "a, b"\n', ("phone", "name, first")),
        (b'"phone";"a,b,c"\n1;2\n', ("phone", "a,b,c")),
    ],
)
def test_the_delimiter_is_the_one_that_fits(tmp_path: Path, content: bytes, header: tuple[str, ...]) -> None:
    assert open_contacts(csv_file(tmp_path, content), reading_of("", "", "", has_header=True)).header == header


def test_a_delimiter_that_is_asked_for(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone^name\n1^a\n")
    assert open_contacts(path, Reading(delimiter="^")).header == ("phone", "name")


def test_a_file_without_header(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"+12127365000,Ann\n+12127365001,Bob\n")
    reported = open_contacts(path, Reading(has_header=False))
    assert reported.header == ("column 1", "column 2")
    assert [row[1] for batch in reported.batches() for row in batch.rows] == ["Ann", "Bob"]
    seen = open_contacts(path, reading_of("", "", "", has_header=True, lenient=True))
    assert seen.header == ("column 1", "column 2")


def test_a_file_that_changes_while_it_is_read_is_reported(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone\n1\n")
    file = open_contacts(path)
    path.write_bytes(b"phone\n1\n2\n")
    with pytest.raises(ContactFileError, match="was changed while it was read"):
        list(file.batches())


PIECES = st.sampled_from(
    [b"phone", b"+12127365000", b",", b";", b"\t", b'"', b"\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe",
     b"Zo\xeb", b"Zo\xc3\xab", b"\x81", b"sep=;", b" ", b"'", b"=", "姓名".encode(), b"PAR1"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(b"".join)), st.booleans())
def test_any_bytes_are_rows_or_a_clear_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, lenient: bool
) -> None:
    path = csv_file(tmp_path_factory.getbasetemp(), content)
    reading = reading_of("", "", "", has_header=True, lenient=lenient)
    try:
        file = open_contacts(path, reading)
    except ContactFileError:
        return
    # What opens is read to its end: no refusal comes after the first row.
    batches = list(file.batches(3))
    lines = [line for batch in batches for line in batch.lines]
    assert lines == sorted(set(lines))
    assert all(isinstance(cell, str) for batch in batches for row in batch.rows for cell in row)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(ContactFileError, match="there is no such file"):
        open_contacts(tmp_path / "none.csv")
    with pytest.raises(ContactFileError, match="is not a file"):
        open_contacts(tmp_path)
    (tmp_path / "text.parquet").write_text("phone\n1\n")
    with pytest.raises(ContactFileError, match="is not a readable Parquet file"):
        open_contacts(tmp_path / "text.parquet")


def test_parquet_columns_of_any_type_become_text(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    day: Any = datetime.date(2026, 1, 31)
    table = pa.table(
        {
            "phone": [12127365000.0, None],
            "name": pa.array(["Zoë", None]).dictionary_encode(),
            "vip": [True, None],
            "since": [day, None],
            "score": [0.5, 1.0],
            "paid": pa.array([decimal.Decimal("12.50"), decimal.Decimal("3.00")]),
            "city": pa.array(["Lyon", None], pa.large_string()),
            "age": [float("nan"), 42.0],
            "nothing": pa.nulls(2),
        }
    )
    pq.write_table(table, path)
    file = open_contacts(path)
    (batch,) = file.batches()
    assert file.header == ("phone", "name", "vip", "since", "score", "paid", "city", "age", "nothing")
    assert list(batch.rows[0]) == ["12127365000", "Zoë", "true", "2026-01-31", "0.5", "12.50", "Lyon", "", ""]
    assert list(batch.rows[1]) == ["", "", "", "", "1", "3", "", "42", ""]
    assert batch.lines == [1, 2]
    assert batch.raw(0) == "12127365000,Zoë,true,2026-01-31,0.5,12.50,Lyon,,"
    assert (file.total, batch.done) == (2, 2)


def test_parquet_columns_that_hold_no_text_are_named_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    odd = {
        "photo": [b"\xff\xfe"],
        "tags": [["a", "b"]],
        "address": [{"city": "Lyon"}],
        "waited": [datetime.timedelta(1)],
    }
    pq.write_table(pa.table({"phone": ["1"], **odd}), path)
    file = open_contacts(path)
    assert set(file.unusable) == set(odd)
    assert [list(row) for batch in file.batches() for row in batch.rows] == [["1", "", "", "", ""]]


def test_a_gap_in_a_parquet_column_of_integers_costs_its_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    pq.write_table(pa.table({"phone": [4915123456789.0, float("nan"), 43664123456.0, 1e17]}), path)
    assert [row[0] for batch in open_contacts(path).batches() for row in batch.rows] == [
        "4915123456789", "", "43664123456", "1.000000e+17",
    ]  # fmt: skip


def test_a_float_that_has_lost_digits_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    people = pa.array([43664123456.0, 43664123457.0, 4711.0], pa.float32())
    pq.write_table(pa.table({"phone": people}), path)
    texts = [row[0] for batch in open_contacts(path).batches() for row in batch.rows]
    assert texts[2] == "4711"
    assert [read(text, "") for text in texts[:2]] == ["digits_lost"] * 2


def test_a_damaged_parquet_file_says_how_far_it_got(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    rows = [f"+1212736{i:04d}" for i in range(10_000)]
    pq.write_table(pa.table({"phone": rows}), path, row_group_size=1000, use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    with pytest.raises(ContactFileError, match=r"damaged after row [1-9]\d*"):
        list(open_contacts(path).batches(500))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n" + b"+12127365000,somebody with a name\n" * 100_000)
    tracemalloc.start()
    try:
        seen = sum(len(batch.rows) for batch in open_contacts(path).batches(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == 100_000
    assert peak < path.stat().st_size / 2
