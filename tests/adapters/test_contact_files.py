"""Reading contact files: what people have on their disks."""

from __future__ import annotations

import datetime
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.contact_files import LONGEST_CELL, LONGEST_LINE, ContactFileError, open_contacts


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


def test_lines_that_are_not_utf8_cost_themselves_alone(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1,ok\n2,Zo\xeb\n3,nul\0\n4,ok\n")
    (batch,) = open_contacts(path).batches()
    assert [row[0] for row in batch.rows] == ["1", "4"]
    assert [(b.line, b.reason) for b in batch.broken] == [(3, "not_utf8"), (4, "not_utf8")]
    assert batch.broken[0].raw == "2,Zo\ufffd"


@pytest.mark.parametrize("size", [2, 50_000])
def test_a_quote_that_never_closes_costs_its_line_alone(tmp_path: Path, size: int) -> None:
    rest = b"".join(b"%d,b\n" % i for i in range(20_000))
    path = csv_file(tmp_path, b'phone,name\n7,"open\n8,"odd"quote\n' + rest)
    batches = list(open_contacts(path).batches(size)) if size > 2 else [next(open_contacts(path).batches(size))]
    broken = [b for batch in batches for b in batch.broken]
    assert [(b.line, b.reason, b.raw) for b in broken] == [
        (2, "malformed", '7,"open'),
        (3, "malformed", '8,"odd"quote'),
    ]
    read = [row for batch in batches for row in batch.rows]
    assert (read[0] if read else None) == (["0", "b"] if size > 2 else None)
    assert len(read) == (20_000 if size > 2 else 0)
    assert [line for batch in batches for line in batch.lines][:2] == ([4, 5] if size > 2 else [])


def test_a_huge_cell_costs_its_line_alone(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1," + b"x" * (LONGEST_CELL + 1) + b"\n2,b\n")
    (batch,) = open_contacts(path).batches()
    assert [row[0] for row in batch.rows] == ["2"]
    assert [(b.line, b.reason) for b in batch.broken] == [(2, "malformed")]


def test_a_line_without_end_stops_the_reading(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"phone,name\n1," + b"x" * (2 * LONGEST_LINE))
    with pytest.raises(ContactFileError, match="line 2 is longer than 1,000,000 bytes"):
        list(open_contacts(path).batches())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PK\x03\x04....", "Excel workbook: save it as CSV"),
        ("phone\n1\n".encode("utf-16"), "UTF-16 text: save it as CSV"),
        (b"phone\0name\n1\n", "is binary"),
        (b"phone,pr\xe9nom\n1,x\n", "header is not UTF-8"),
        (b'phone,"name\n1,x\n', "header cannot be read as CSV"),
        (b"phone,name\r1,x\r2,y\r", "lines end with LF or CRLF"),
        (b"PAR1 and then nothing", "is not a readable Parquet file"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ContactFileError, match=says):
        open_contacts(csv_file(tmp_path, content))


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
            "tags": [["a", "b"], None],
        }
    )
    pq.write_table(table, path)
    file = open_contacts(path)
    (batch,) = file.batches()
    assert file.header == ("phone", "name", "vip", "since", "score", "tags")
    assert list(batch.rows[0]) == ["12127365000", "Zoë", "true", "2026-01-31", "0.5", '["a","b"]']
    assert list(batch.rows[1]) == ["", "", "", "", "1", ""]
    assert batch.lines == [1, 2]
    assert batch.raw(0) == '12127365000,Zoë,true,2026-01-31,0.5,"[""a"",""b""]"'
    assert (file.total, batch.done) == (2, 2)


def test_parquet_that_holds_no_text_names_the_column(tmp_path: Path) -> None:
    path = tmp_path / "contacts.parquet"
    pq.write_table(pa.table({"phone": ["1"], "photo": [b"\xff\xfe"]}), path)
    with pytest.raises(ContactFileError, match="column 'photo'"):
        list(open_contacts(path).batches())


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
