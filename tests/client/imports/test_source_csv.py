"""A CSV file is read whatever Excel did to it, and a row that can't be read costs that row."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tradeline_client.errors import MappingError, SourceError
from tradeline_client.imports import file_bytes, rows
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.file_bytes import file_sha256
from tradeline_client.imports.source import Source, SourceChunk, SourceSettings, open_source
from tradeline_client.imports.text_encoding import TextEncoding

COLUMNS = ("a", "b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "month.csv"


def _open(path: Path, content: bytes, **settings: Any) -> Source:
    path.write_bytes(content)
    return open_source(path, SourceSettings(**settings), COLUMNS)


def _read(path: Path, content: bytes, **settings: Any) -> tuple[list[Any], dict[int, str]]:
    """Return line and cells of each row that is read, and the code of each other by its line."""
    read: list[Any] = []
    faults: dict[int, str] = {}
    for chunk in _open(path, content, **settings).chunks(COLUMNS):
        columns = [chunk.columns[name].to_pylist() for name in COLUMNS]
        for place, cells in enumerate(zip(*columns, strict=True)):
            if not chunk.unreadable[place]:
                read.append((int(chunk.lines[place]), *cells))
        faults.update({fault.line: fault.code for fault in chunk.faults})
        assert sum(chunk.unreadable) == len(chunk.faults)
    return read, faults


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n甲,1\n乙,2\n".encode(),
        "\ufeffa,b\n甲,1\n乙,2\n".encode(),
        "a,b\n甲,1\n乙,2\n".encode("gb18030"),
        "a,b\n甲,1\n乙,2\n".encode("utf-16"),
        "a,b\n甲,1\n乙,2\n".encode("utf-16-be"),
        "a;b\r\n甲;1\r\n乙;2\r\n".encode(),
        "a\tb\r甲\t1\r乙\t2".encode("gb18030"),
        "a|b\n甲|1\r\n乙|2".encode("gb18030"),
        'a,b,,\n"甲","1",,\n"乙","2",,\n'.encode(),
        "a,b\n甲,1,,\n乙,2,,\n".encode(),
    ],
    ids=[
        *("utf-8", "mark", "gb18030", "utf-16", "utf-16 without mark", "excel", "cr", "mixed"),
        *("blank columns", "blank cells"),
    ],
)
def test_a_file_is_read_however_it_was_saved(path: Path, content: bytes) -> None:
    assert _read(path, content) == ([(2, "甲", "1"), (3, "乙", "2")], {})


def test_excel_says_the_delimiter_in_a_line_of_its_own(path: Path) -> None:
    assert _read(path, b"sep=^\r\nb^a\r\n1^2\r\n") == ([(3, "2", "1")], {})


def test_each_bad_row_is_named_by_its_line_and_the_others_are_read(path: Path) -> None:
    content = (
        b'a,b\n1,2\n3\n4,5,6\n"x,y","say ""hi"""\n"open,8\n\n9,10\n,\na,b\n="007",1\n=A1,2\n'
        b'\xff\xfe,3\n11,5" pipe\n'
    )
    read, faults = _read(path, content)
    assert read == [
        (2, "1", "2"),
        (5, "x,y", 'say "hi"'),
        (8, "9", "10"),
        (11, "007", "1"),
        (14, "11", '5" pipe'),
    ]
    assert faults == {
        3: "row-width",
        4: "row-width",
        6: "quote-unclosed",
        9: "row-blank",
        10: "header-repeated",
        12: "formula-cell",
        13: "encoding",
    }


def test_a_blank_row_at_the_end_is_no_rejected_row(path: Path) -> None:
    chunk = next(iter(_open(path, b"a,b\n1,2\n,\n").chunks(COLUMNS)))
    assert [fault.severity for fault in chunk.faults] == [Severity.WARNING]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_wrong_byte_far_into_the_file_costs_one_row(path: Path, encoding: str) -> None:
    lines = [f"某人{place},{place}".encode(encoding) for place in range(300_000)]
    lines[200_000] = b"\xff\xff\xff,200000"
    source = _open(path, b"a,b\n" + b"\n".join(lines) + b"\n")
    count = 0
    faults: list[RowFault] = []
    for chunk in source.chunks(COLUMNS):
        count += len(chunk)
        faults += chunk.faults
    assert count == 300_000
    assert [(fault.row, fault.line, fault.code) for fault in faults] == [
        (200_000, 200_002, "encoding")
    ]
    assert encoding in faults[0].expected


def test_the_cells_of_a_bad_row_are_kept_with_escapes(path: Path) -> None:
    chunk = next(iter(_open(path, b'a,b\n"x,1",\xff\n1\n').chunks(COLUMNS)))
    assert chunk.cells(0) == ("x,1", "\\xff")
    assert chunk.cells(1) == ("1",)


def test_multiline_cells_are_read_where_the_mapping_says_so(path: Path) -> None:
    content = b'a,b\r\n"one\r\ntwo",1\r\n3,4\r\n"open,5\r\n6,7\r\n'
    read, faults = _read(path, content, multiline=True)
    assert read == [(2, "one\ntwo", "1"), (4, "3", "4"), (6, "6", "7")]
    assert faults == {5: "quote-unclosed"}


def test_a_quote_that_never_closes_costs_its_row_even_in_a_long_multiline_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROW_BYTES_MAX", 2000)
    body = b"".join(b"%d,x\n" % place for place in range(5_000))
    read, faults = _read(path, b'a,b\n"open,1\n' + body, multiline=True)
    assert faults == {2: "quote-unclosed"}
    assert len(read) == 5_000
    assert read[-1] == (5_002, "4999", "x")


def test_a_line_without_end_takes_no_memory_and_costs_one_row(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"a,b\n1,2\n")
        for _ in range(64):
            file.write(b"9" * (1 << 20))
        file.write(b"\n3,4\n")
    source = open_source(path, SourceSettings(), COLUMNS)
    chunks = list(source.chunks(COLUMNS))
    faults = [fault for chunk in chunks for fault in chunk.faults]
    assert [(fault.line, fault.code) for fault in faults] == [(3, "row-too-long")]
    assert [chunk.columns["a"].to_pylist() for chunk in chunks] == [["1"], [""], ["3"]]
    assert len(chunks[1].cells(0)[0]) <= rows.CUT_BYTES


def test_numbers_as_text_keep_their_zeros(path: Path) -> None:
    assert _read(path, b'a,b\n="0042","0,007"\n')[0] == [(2, "0042", "0,007")]


def test_a_wrong_delimiter_is_named(path: Path) -> None:
    with pytest.raises(MappingError, match=r"delimiter is ',', and the header looks as if .* ';'"):
        _open(path, b"a;b\n1;2\n", delimiter=",")


def test_a_missing_column_names_the_nearest(path: Path) -> None:
    path.write_bytes(b"acct_no,balance\n1,2\n")
    with pytest.raises(MappingError, match="no column 'acct_nr', did you mean 'acct_no'"):
        open_source(path, SourceSettings(), ("acct_nr",))


def test_two_columns_of_one_name_are_refused_where_it_is_needed(path: Path) -> None:
    with pytest.raises(MappingError, match="2 columns 'a', expected one"):
        _open(path, b"a,b,a\n1,2,3\n")
    path.write_bytes(b"a,b,c,c\n1,2,3,4\n")
    source = open_source(path, SourceSettings(), COLUMNS)
    assert next(iter(source.chunks(COLUMNS))).columns["b"].to_pylist() == ["2"]


def test_an_empty_file_is_refused(path: Path) -> None:
    with pytest.raises(SourceError, match="is empty"):
        _open(path, b"")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        open_source(tmp_path / "none.csv", SourceSettings(), COLUMNS)


def test_a_file_without_header_takes_its_names_from_the_mapping(path: Path) -> None:
    assert _read(path, b"1,2\n3,4\n", names=("a", "b"))[0] == [(1, "1", "2"), (2, "3", "4")]


def test_rows_above_the_header_are_skipped(path: Path) -> None:
    content = b"Report of September\n\nBank,,\na,b\n1,2\n"
    assert _read(path, content, skip_rows=2)[0] == [(5, "1", "2")]


def test_workbooks_are_refused_with_what_to_do(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with pytest.raises(SourceError, match="workbook of Excel; save its sheet as CSV"):
        open_source(path, SourceSettings(), COLUMNS)


def test_packed_files_are_read_and_hashed_as_they_lie_on_the_disk(path: Path) -> None:
    plain = b"a,b\n" + b"1,2\n" * 100_000
    read = []
    for name, packed in (("gz", gzip.compress(plain)), ("zip", b""), ("csv", plain)):
        file = path.with_suffix(f".{name}")
        if name == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("folder/month.csv", plain)
        else:
            file.write_bytes(packed)
        source = open_source(file, SourceSettings(), COLUMNS)
        read.append(sum(len(chunk) for chunk in source.chunks(COLUMNS)))
        assert source.sha256 == hashlib.sha256(file.read_bytes()).digest() == file_sha256(file)
        assert source.bytes_read == source.file_bytes
    assert read == [100_000] * 3


def test_members_of_a_packed_file_follow_each_other(path: Path) -> None:
    content = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    assert _read(path, content)[0] == [(2, "1", "2"), (3, "3", "4")]


def test_a_cut_off_packed_file_gives_its_whole_rows_first(path: Path) -> None:
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % place for place in range(2_000_000)))
    path.write_bytes(packed[: len(packed) // 2])
    source = open_source(path, SourceSettings(), COLUMNS)
    counts: list[int] = []
    with pytest.raises(SourceError, match="cut off"):
        counts.extend(len(chunk) for chunk in source.chunks(COLUMNS))
    assert sum(counts) > 500_000


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_bomb_is_refused(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_bytes, "UNPACKED_FREE_BYTES", 1 << 20)
    bomb = b"a,b\n" + b"1,2\n" * (16 << 20)
    if kind == "gz":
        path.write_bytes(gzip.compress(bomb))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("month.csv", bomb)
    with pytest.raises(SourceError, match="unpacks to more than"):
        list(open_source(path, SourceSettings(), COLUMNS).chunks(COLUMNS))


def test_a_zip_file_of_two_files_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.csv", "a,b\n")
        archive.writestr("2.csv", "a,b\n")
    with pytest.raises(SourceError, match="holds 2 files, expected one"):
        open_source(path, SourceSettings(), COLUMNS)


def test_later_chunks_are_the_same_when_the_first_are_left_out(path: Path) -> None:
    path.write_bytes(b"a,b\n" + b"".join(b"%d,some text\n" % place for place in range(700_000)))
    source = open_source(path, SourceSettings(), COLUMNS)
    whole = list(source.chunks(COLUMNS))
    assert len(whole) > 2
    start = whole[-1].first_row
    (last,) = open_source(path, SourceSettings(), COLUMNS).chunks(COLUMNS, start)
    assert _plain(last) == _plain(whole[-1])


def _plain(chunk: SourceChunk) -> tuple[Any, ...]:
    columns = {name: column.to_pylist() for name, column in chunk.columns.items()}
    return chunk.first_row, chunk.lines.tolist(), columns


def test_the_encoding_that_was_found_out_is_told(path: Path) -> None:
    source = _open(path, "a,b\n甲,1\n".encode("gb18030"))
    assert source.settings.encoding is TextEncoding.GB18030
    assert source.settings.delimiter == ","
