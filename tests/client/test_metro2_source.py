"""Metro 2 files as a source of events: columns that follow their schemas, and nothing lost."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path

import pytest
from tests.metro2 import account, file_of, sample

from tradeline_client.errors import SourceError
from tradeline_client.imports.columns import MappedChunk
from tradeline_client.imports.encoding import encode_fields
from tradeline_client.imports.fault import Severity
from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import J1, Segment, segment
from tradeline_client.metro2.record import Form
from tradeline_client.metro2.source import Metro2Source
from tradeline_ledger.encoding import encode
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import SCHEMAS

TODAY = "2026-03-01"
LINES = Form(Packing.CHARACTER, blocked=False, lines=True)
JOINT = segment(
    J1,
    {
        "segment_identifier": "J1",
        "ecoa_code": "2",
        "surname": "ROE",
        "social_security_number": 536_90_1001,
    },
)


def source(folder: Path, content: bytes, chunk_records: int = 3) -> Metro2Source:
    path = folder / "month.dat"
    path.write_bytes(content)
    return Metro2Source(path, today=TODAY, chunk_records=chunk_records)


def chunks(folder: Path, *accounts: tuple[Segment, ...], form: Form = LINES) -> list[MappedChunk]:
    return list(source(folder, file_of(*accounts, form=form)).chunks())


def events(found: list[MappedChunk]) -> list[tuple[int, str, str]]:
    """Return row, type and account of every event."""
    return [
        (int(row), columns.schema.name, account)
        for chunk in found
        for columns in chunk.events
        if columns.account is not None
        for row, account in zip(columns.rows, columns.account.to_pylist(), strict=True)
    ]


def test_columns_follow_their_schemas(tmp_path: Path) -> None:
    late = {"account_status": "78", "amount_past_due": 700}
    late_since = {"date_of_first_delinquency": date(2025, 11, 15)}
    off = {**late, **late_since, "account_status": "97"}
    listed = [
        (account(1), JOINT),
        (account(2, **late, **late_since),),
        (account(3, **off),),
        (account(4, account_status="13", date_closed=date(2026, 1, 9), current_balance=0),),
    ]

    found = chunks(tmp_path, *listed)

    assert [(each.first_row, each.row_count) for each in found] == [(0, 3), (3, 1)]
    assert not [
        fault for each in found for fault in each.faults if fault.severity.value == "reject"
    ]
    seen = set()
    for chunk in found:
        for columns in chunk.events:
            schema = columns.schema
            seen.add(schema.name.removeprefix("account."))
            assert columns.basis is Basis.CONTRACT
            assert columns.values.schema.names == [each.name for each in schema.fields]
            assert list(columns.rows) == sorted(columns.rows)
            wire = [tuple(row.values()) for row in columns.values.to_pylist()]
            for fields, occurred_on in zip(wire, columns.occurred_on.to_pylist(), strict=True):
                SCHEMAS.check(schema.number, schema.version, fields, occurred_on)
            assert encode_fields(columns).to_pylist() == [encode(each) for each in wire]
            assert set(columns.subject) == set(range(len(columns.subjects)))
    assert seen == {"opened", "statement", "payment", "delinquency", "default", "closed"}


def test_wrong_record_is_refused_alone_and_repeated_for_the_reject_file(tmp_path: Path) -> None:
    content = file_of((account(1),), (account(2, account_type="48"),), (account(3),), form=LINES)
    at = content.index(b"LOAN 1")
    content = content[: at - 1] + b"\x07" + content[at:]

    (chunk,) = source(tmp_path, content).chunks()

    assert {account for _, _, account in events([chunk])} == {"LOAN 3"}
    assert [(each.row, each.line, each.column, each.code) for each in chunk.faults] == [
        (0, 2, "base cycle_identifier", "field"),
        (1, 3, "account_type", "no-product"),
    ]
    assert chunk.row_count == 3
    assert list(chunk.lines) == [2, 3, 4]
    assert chunk.names == ("record",)
    assert sorted(chunk.originals) == [0, 1]
    assert chunk.originals[0][0].count("\\x07") == 1
    assert "536900002" in chunk.originals[1][0]
    assert "536900002" not in repr(chunk)


def test_doubtful_record_is_for_a_person_and_repeated_once(tmp_path: Path) -> None:
    doubtful = account(1, terms_duration="600")

    (chunk,) = chunks(tmp_path, (doubtful, JOINT), (account(2),))

    (fault,) = chunk.faults
    assert (fault.row, fault.field, fault.severity) == (0, "term_months", Severity.QUARANTINE)
    assert list(chunk.originals) == [0]
    assert {row for row, _, _ in events([chunk])} == {0, 1}


def test_faults_hold_no_identifier(tmp_path: Path) -> None:
    wrong = account(1, social_security_number=666_90_0001)

    (chunk,) = chunks(tmp_path, (wrong,))

    (fault,) = chunk.faults
    assert fault.code == "identifier"
    assert "666" not in str(fault)


def test_chunks_are_cut_at_the_same_records_wherever_they_begin(tmp_path: Path) -> None:
    whole = source(tmp_path, file_of(*((account(number),) for number in range(1, 11)), form=LINES))
    first = list(whole.chunks())
    again = list(whole.chunks(6))

    assert [(each.first_row, each.row_count) for each in first] == [(0, 3), (3, 3), (6, 3), (9, 1)]
    assert events(again) == events(first[2:])
    assert whole.bytes_read == whole.file_bytes
    assert whole.sha256 == hashlib.sha256((tmp_path / "month.dat").read_bytes()).digest()


def test_what_was_read_of_a_cut_file_is_kept(tmp_path: Path) -> None:
    content = file_of(*((account(number),) for number in range(1, 6)), form=LINES)
    cut = source(tmp_path, content[: content.index(b"LOAN 4")])
    found: list[MappedChunk] = []

    with pytest.raises(SourceError, match=r"month.dat: record 5.* trailer-missing"):
        found.extend(cut.chunks())

    assert {account for _, _, account in events(found)} == {"LOAN 1", "LOAN 2", "LOAN 3"}


def test_file_that_is_no_metro_2_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no-header.*HEADER"):
        list(source(tmp_path, b"a;b\n1;2\n").chunks())
    with pytest.raises(SourceError, match="can't be read"):
        list(Metro2Source(tmp_path / "none.dat", today=TODAY).chunks())


def test_total_that_is_wrong_costs_no_record(tmp_path: Path) -> None:
    content = file_of((account(1),), form=LINES)
    at = content.index(b"TRAILER") + 7

    (chunk,) = source(tmp_path, content[:at] + b"000000009" + content[at + 9 :]).chunks()

    (fault,) = chunk.faults
    assert (fault.row, fault.code, fault.severity) == (0, "trailer-total", Severity.WARNING)
    assert events([chunk])


def test_later_record_of_an_account_has_the_higher_version(tmp_path: Path) -> None:
    at = datetime(2026, 2, 1, 8)  # noqa: DTZ001 - the format has no zone
    listed = [
        (account(1, time_stamp=None),),
        (account(2, time_stamp=at),),
        (account(3, time_stamp=at, correction_indicator="1"),),
        (account(4, time_stamp=at.replace(hour=9)),),
    ]

    found = chunks(tmp_path, *listed)

    versions = [
        int(version)
        for chunk in found
        for columns in chunk.events
        if columns.schema.name == "account.statement" and columns.version is not None
        for version in columns.version
    ]
    assert versions == sorted(set(versions))
    assert versions[1:] == [202602010800000, 202602010800001, 202602010900000]


def test_opening_has_one_reference_in_every_month(tmp_path: Path) -> None:
    months = [date(2026, 1, 31), date(2026, 2, 28)]
    made = [chunks(tmp_path, (account(1, date_of_account_information=on),))[0] for on in months]

    refs = [{each.schema.name: each.ref.to_pylist() for each in chunk.events} for chunk in made]

    assert refs[0]["account.opened"] == refs[1]["account.opened"]
    assert refs[0]["account.statement"] != refs[1]["account.statement"]


@pytest.mark.parametrize("name", ["unpacked_fixed_file.dat", "packed_file.dat"])
def test_sample_whose_days_contradict_each_other_is_refused(tmp_path: Path, name: str) -> None:
    (chunk,) = source(tmp_path, sample(name)).chunks()

    assert not chunk.events
    assert [(each.row, each.code, each.line) for each in chunk.faults] == [(0, "date-order", 0)]
