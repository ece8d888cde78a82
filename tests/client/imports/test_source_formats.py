"""Parquet and JSON lines give the rows that CSV gives."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet
import pytest

from tradeline_client.errors import MappingError, SourceError
from tradeline_client.imports import rows
from tradeline_client.imports.file_bytes import file_sha256
from tradeline_client.imports.source import SourceSettings, open_source
from tradeline_client.imports.source_parquet import BATCH_ROWS

COLUMNS: Final = ("a", "b")


def _read(path: Path, *names: str) -> tuple[list[tuple[str, ...]], list[tuple[int, int, str]]]:
    source = open_source(path, SourceSettings(), names)
    read: list[tuple[str, ...]] = []
    faults = []
    for chunk in source.chunks(names):
        columns = [chunk.columns[name].to_pylist() for name in names]
        cells = zip(*columns, chunk.unreadable, strict=True)
        read += [tuple(each[:-1]) for each in cells if not each[-1]]
        faults += [(fault.row, fault.line, fault.code) for fault in chunk.faults]
    assert source.sha256 == file_sha256(path)
    assert source.bytes_read == source.file_bytes
    return read, faults


def _parquet(path: Path, **columns: pa.Array) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["x", None, ""]), ["x", "", ""]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", "", "x"]),
        (pa.array(["x", None], pa.large_string()), ["x", ""]),
        (pa.array([1, None, -(2**63)]), ["1", "", str(-(2**63))]),
        (pa.array([Decimal("1.50"), None, Decimal("-0.01")]), ["1.50", "", "-0.01"]),
        (pa.array([1.0, None, float("nan"), -3.0]), ["1", "", "", "-3"]),
        (pa.array([True, None, False]), ["true", "", "false"]),
        (pa.array([dt.date(2026, 9, 30), None]), ["2026-09-30", ""]),
        (pa.array([dt.datetime(2026, 9, 30), None]), ["2026-09-30", ""]),  # noqa: DTZ001
        (pa.array([1759190400000], pa.timestamp("ms", "UTC")), ["2025-09-30"]),
        (pa.array([None, None]), ["", ""]),
    ],
    ids=[
        *("text", "dictionary", "large text", "integer", "decimal", "whole float", "bool", "day"),
        *("midnight", "midnight utc", "nothing"),
    ],
)
def test_typed_columns_of_parquet_become_exact_text(
    tmp_path: Path, column: pa.Array, expected: list[str]
) -> None:
    path = _parquet(tmp_path / "month.parquet", a=column)
    assert _read(path, "a") == ([(each,) for each in expected], [])


def test_a_float_with_a_fraction_costs_its_row(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "month.parquet", a=pa.array([1.0, 0.1, 2.0]), b=pa.array("xyz"))
    assert _read(path, "a", "b") == ([("1", "x"), ("2", "z")], [(1, 0, "float-cell")])


def test_parquet_of_another_schema_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "month.parquet", acct_no=pa.array(["1"]), b=pa.array([[1]]))
    with pytest.raises(MappingError, match="no column 'acct_nr', did you mean 'acct_no'"):
        open_source(path, SourceSettings(), ("acct_nr",))
    source = open_source(path, SourceSettings(), ("b",))
    with pytest.raises(SourceError, match="column 'b' holds list"):
        next(iter(source.chunks(("b",))))


def test_parquet_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "month.parquet", a=pa.array(range(1000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="no Parquet file, or is cut off"):
        open_source(path, SourceSettings(), ("a",))


def test_parquet_comes_in_chunks_and_later_ones_alone(tmp_path: Path) -> None:
    count = 2 * BATCH_ROWS + 10
    path = _parquet(tmp_path / "month.parquet", a=pa.array(range(count)))
    source = open_source(path, SourceSettings(), ("a",))
    assert [len(chunk) for chunk in source.chunks(("a",))] == [BATCH_ROWS, BATCH_ROWS, 10]
    (last,) = source.chunks(("a",), 2 * BATCH_ROWS)
    assert (last.first_row, last.columns["a"][0].as_py()) == (2 * BATCH_ROWS, str(2 * BATCH_ROWS))
    assert last.cells(1) == (str(2 * BATCH_ROWS + 1),)


def _lines(*values: Any) -> str:
    return "".join(
        f"{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n"
        for value in values
    )


def test_json_lines_keep_numbers_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "month.jsonl"
    path.write_text(
        _lines(
            '{"a": 0.10, "b": "甲"}',
            '{"b": 12345678901234567890, "a": null}',
            '{"a": true, "c": 1}',
            '{"a": -1e3, "b": ""}',
        )
    )
    assert _read(path, *COLUMNS) == (
        [("0.10", "甲"), ("", "12345678901234567890"), ("true", ""), ("-1e3", "")],
        [],
    )


def test_a_line_that_is_no_object_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "month.ndjson"
    path.write_bytes(
        _lines('{"a": 1, "b": 2}', "{", "[1]", '{"a": [1], "b": 2}', '{"a": 3, "b": 4}').encode()
        + b'{"a": "\xff", "b": 5}\n{"a": 6, "b": 7}\n'
        + b'{"a": '
        + b"[" * 5000
        + b"\n"
    )
    read, faults = _read(path, *COLUMNS)
    assert read == [("1", "2"), ("3", "4"), ("6", "7")]
    assert [(row, line) for row, line, _ in faults] == [(1, 2), (2, 3), (3, 4), (5, 6), (7, 8)]
    assert {code for *_, code in faults} == {"json-unreadable"}


def test_a_line_of_json_that_is_too_long_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "ROW_BYTES_MAX", 1000)
    path = tmp_path / "month.jsonl"
    path.write_text(_lines({"a": 1, "b": 2}) * 50 + '{"a": "' + "x" * 10_000_000 + '"}\n{"a": 3}\n')
    read, faults = _read(path, *COLUMNS)
    assert len(read) == 51
    assert [(row, line) for row, line, _ in faults] == [(50, 51)]


def test_packed_json_lines_are_known_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "month.jsonl.gz"
    path.write_bytes(gzip.compress(_lines({"a": 1, "b": 2}).encode()))
    assert _read(path, *COLUMNS)[0] == [("1", "2")]


def test_a_file_without_an_object_is_no_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "month.jsonl"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="no JSON object in its first lines"):
        open_source(path, SourceSettings(), COLUMNS)
