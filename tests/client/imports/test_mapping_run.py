"""Rows become the events that a mapping says, exactly, and each fault says where and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from tradeline_client.errors import MappingError
from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.encoding import encode_fields
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.mapping_file import load_mapping, read_mapping
from tradeline_client.imports.mapping_run import MappedFile, map_file
from tradeline_ledger.identifier import resident_id
from tradeline_ledger.schemas import SCHEMAS

TODAY: Final = "2026-11-29"
PERSON: Final = resident_id("110101", "1890-03-07", 42)
OTHER: Final = resident_id("110101", "1891-03-07", 42)
HEADER: Final = "acct,cert,day,ccy,balance,dpd,past_due,class,seq"
MAPPING: Final = """
[source]
empty = ["NULL"]
[subject]
type = "resident_id"
column = "cert"
[[event]]
type = "account.statement"
basis = "contract"
account = "{acct:08}"
ref = "statement {acct} {period}"
occurred_on = { column = "day", date = "D/M/YYYY" }
revision = "seq"
[event.fields]
period = { column = "day", date = "D/M/YYYY" }
currency = "ccy"
statement_balance_minor = { column = "balance", unit = "major", thousands = "," }
days_past_due = "dpd"
past_due_minor = { column = "past_due", unit = "major" }
five_class = { column = "class", codes = { "A" = "normal", "B" = "loss" } }
[[event]]
type = "account.delinquency"
basis = "contract"
when = [{ column = "dpd", above = 0 }, { column = "class", not_in = ["A"] }]
account = "{acct:08}"
ref = "delinquency {acct} {occurred_on}"
occurred_on = { column = "day", date = "D/M/YYYY", day = "last" }
[event.fields]
first_delinquent_on = { column = "day", date = "D/M/YYYY", day = "first" }
days_past_due = "dpd"
"""


def row(**changed: str) -> str:
    cells = {
        "acct": "42",
        "cert": PERSON,
        "day": "30/9/2026",
        "ccy": "CNY",
        "balance": '"1,234.50"',
        "dpd": "0",
        "past_due": "0",
        "class": "A",
        "seq": "1",
    }
    return ",".join((cells | changed).values())


def mapped(tmp_path: Path, *rows: str, mapping: str = MAPPING) -> MappedChunk:
    path = tmp_path / "month.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    (chunk,) = map_file(path, read_mapping("bank", mapping.encode()), TODAY)
    return chunk


def events(columns: EventColumns) -> list[dict[str, Any]]:
    """Return events in the form of files, by row."""
    return [
        {
            "row": int(columns.rows[place]),
            "subject": columns.subjects[columns.subject[place]].identifier,
            "occurred_on": columns.occurred_on[place].as_py(),
            "ref": columns.ref[place].as_py(),
            "account": columns.account[place].as_py() if columns.account else None,
            "fields": SCHEMAS.fields_to_json(
                columns.schema, tuple(column[place].as_py() for column in columns.values.columns)
            ),
        }
        for place in range(len(columns))
    ]


def test_a_row_becomes_its_events(tmp_path: Path) -> None:
    chunk = mapped(
        tmp_path,
        row(),
        row(cert=OTHER, dpd="31", past_due="10.5", **{"class": "B"}),
        row(ccy="JPY", balance="-7", past_due="NULL", **{"class": ""}, seq="3"),
    )
    statements, delinquencies = chunk.events
    assert chunk.faults == ()
    assert chunk.lines.tolist() == [2, 3, 4]
    assert events(statements) == [
        {
            "row": 0,
            "subject": PERSON,
            "occurred_on": "2026-09-30",
            "ref": "statement 42 2026-09",
            "account": "00000042",
            "fields": {
                "period": "2026-09",
                "currency": "CNY",
                "statement_balance_minor": 123450,
                "days_past_due": 0,
                "past_due_minor": 0,
                "five_class": "normal",
            },
        },
        {
            "row": 1,
            "subject": OTHER,
            "occurred_on": "2026-09-30",
            "ref": "statement 42 2026-09",
            "account": "00000042",
            "fields": {
                "period": "2026-09",
                "currency": "CNY",
                "statement_balance_minor": 123450,
                "days_past_due": 31,
                "past_due_minor": 1050,
                "five_class": "loss",
            },
        },
        {
            "row": 2,
            "subject": PERSON,
            "occurred_on": "2026-09-30",
            "ref": "statement 42 2026-09",
            "account": "00000042",
            "fields": {
                "period": "2026-09",
                "currency": "JPY",
                "statement_balance_minor": -7,
                "days_past_due": 0,
            },
        },
    ]
    assert [(each["row"], each["fields"]) for each in events(delinquencies)] == [
        (1, {"first_delinquent_on": "2026-09-01", "days_past_due": 31})
    ]
    assert statements.version is not None
    assert statements.version.tolist() == [1, 1, 3]
    assert delinquencies.version is None


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cert": PERSON[:-1] + "Y"}, ("identifier-wrong", "cert", "", "RESIDENT_ID has a letter")),
        ({"cert": ""}, ("value-missing", "cert", "", "nothing")),
        ({"day": "9/30/2026"}, ("date-unreadable", "day", "occurred_on", "'9/30/2026'")),
        ({"day": "30.9.2026"}, ("date-unreadable", "day", "occurred_on", "'30.9.2026'")),
        ({"day": "31/9/2026"}, ("date-unreadable", "day", "occurred_on", "'31/9/2026'")),
        ({"day": "30/11/2026"}, ("day-after-today", "day", "occurred_on", "'30/11/2026'")),
        ({"ccy": "RMB"}, ("value-not-allowed", "ccy", "currency", "'RMB'")),
        ({"ccy": ""}, ("value-missing", "ccy", "currency", "nothing")),
        (
            {"balance": "1e5"},
            ("number-unreadable", "balance", "statement_balance_minor", "a text of 3"),
        ),
        (
            {"balance": "1.005"},
            ("number-too-precise", "balance", "statement_balance_minor", "a text"),
        ),
        (
            {"ccy": "JPY", "balance": "1.5"},
            ("number-too-precise", "balance", "statement_balance_minor", "a"),
        ),
        (
            {"balance": "9" * 17},
            ("value-not-allowed", "balance", "statement_balance_minor", "a text of 17"),
        ),
        ({"dpd": "-1"}, ("value-not-allowed", "dpd", "days_past_due", "'-1'")),
        ({"dpd": "1.5"}, ("number-too-precise", "dpd", "days_past_due", "'1.5'")),
        ({"class": "Z"}, ("code-unknown", "class", "five_class", "'Z'")),
        ({"acct": ""}, ("reference-unfit", "acct", "account", "nothing")),
        (
            {"acct": "x" * 200},
            ("reference-unfit", "acct", "account", "a text that is no reference"),
        ),
        ({"seq": "x"}, ("number-unreadable", "seq", "revision", "'x'")),
        (
            {"past_due": "5"},
            ("zero-alone", "", "past_due_minor", "past_due_minor not shown, days_past"),
        ),
    ],
)
def test_a_fault_rejects_its_row_alone_and_names_column_field_and_line(
    tmp_path: Path, changed: dict[str, str], expected: tuple[str, str, str, str]
) -> None:
    code, column, field, got = expected
    chunk = mapped(tmp_path, row(), row(**changed), row(cert=OTHER))
    (fault,) = [each for each in chunk.faults if each.code == code]
    assert (fault.row, fault.line, fault.column, fault.field) == (1, 3, column, field)
    assert fault.severity is Severity.REJECT
    assert fault.got.startswith(got)
    assert fault.expected
    assert fault.fix
    assert [each["row"] for each in events(chunk.events[0])] == [0, 2]
    assert chunk.originals.keys() == {1}
    cells = dict(zip(chunk.names, chunk.originals[1], strict=True))
    assert {name: cells[name] for name in changed} == changed
    assert all(isinstance(each, RowFault) for each in chunk.faults)


def test_no_fault_repeats_an_identifier_or_an_amount(tmp_path: Path) -> None:
    wrong = PERSON[:-1] + ("1" if PERSON[-1] != "1" else "2")
    chunk = mapped(
        tmp_path,
        row(cert=wrong, balance="987654.321"),
        row(balance="98765x"),
        row(past_due="98765", dpd="0"),
        row(past_due="98765", dpd="-1"),
    )
    assert len({each.row for each in chunk.faults}) == 4
    for fault in chunk.faults:
        said = f"{fault.got} {fault.expected} {fault.fix}"
        assert wrong not in said
        assert wrong[6:14] not in said
        assert "98765" not in said


def test_every_fault_of_a_row_is_told_not_the_first_alone(tmp_path: Path) -> None:
    chunk = mapped(tmp_path, row(day="x", dpd="x", balance="x"))
    assert {(each.column, each.code) for each in chunk.faults} >= {
        ("day", "date-unreadable"),
        ("dpd", "number-unreadable"),
        ("balance", "number-unreadable"),
    }


def test_a_row_that_breaks_one_event_is_in_none(tmp_path: Path) -> None:
    mapping = MAPPING.replace('day = "first"', 'not_before = "2026-12-01"')
    chunk = mapped(tmp_path, row(dpd="31", past_due="1", **{"class": "B"}), row(), mapping=mapping)
    assert [(each.row, each.code) for each in chunk.faults] == [(0, "after")]
    assert [len(each) for each in chunk.events] == [1, 0]


def test_columns_that_disagree_are_set_aside_for_a_person(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        'days_past_due = "dpd"\npast',
        'days_past_due = { column = "dpd", agrees = { column = "class", codes = { A = [0, 1], '
        "B = 90 } } }\npast",
    )
    chunk = mapped(tmp_path, row(), row(dpd="90", past_due="1"), mapping=mapping)
    (fault,) = chunk.faults
    assert (fault.row, fault.code, fault.column) == (1, "columns-disagree", "class")
    assert fault.severity is Severity.QUARANTINE
    assert len(chunk.events[0]) == 2


def test_a_field_that_the_type_leaves_open_can_be_required(tmp_path: Path) -> None:
    mapping = MAPPING.replace("five_class = {", "five_class = { required = true,")
    assert mapping != MAPPING
    chunk = mapped(tmp_path, row(), row(**{"class": ""}), mapping=mapping)
    assert [(each.row, each.code, each.column) for each in chunk.faults] == [
        (1, "value-missing", "class")
    ]
    assert mapped(tmp_path, row(**{"class": ""})).faults == ()


def test_a_column_that_must_agree_must_say_something(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        'days_past_due = "dpd"\npast',
        'days_past_due = { column = "dpd", agrees = { column = "class", codes = { A = 0 } } }\n'
        "past",
    )
    chunk = mapped(tmp_path, row(), row(**{"class": ""}), mapping=mapping)
    assert [(each.row, each.code, each.column) for each in chunk.faults] == [
        (1, "value-missing", "class")
    ]


def test_a_code_with_spaces_around_it_is_read_and_told(tmp_path: Path) -> None:
    chunk = mapped(tmp_path, row(), row(**{"class": " A"}), row(**{"class": "A "}))
    assert [(each.row, each.code, each.severity) for each in chunk.faults] == [
        (1, "code-padded", Severity.WARNING),
        (2, "code-padded", Severity.WARNING),
    ]
    assert len({str(each["fields"]) for each in events(chunk.events[0])}) == 1
    assert len(chunk.events[0]) == 3


def test_the_first_column_in_which_something_stands_is_taken(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        '{ column = "past_due", unit', '{ columns = ["past_due", "seq"], unit'
    )
    chunk = mapped(tmp_path, row(past_due="", seq="0"), mapping=mapping)
    assert chunk.events[0].values.column("past_due_minor").to_pylist() == [0]


def test_codes_are_told_apart_from_how_they_are_written(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        'codes = { "A" = "normal", "B" = "loss" }',
        'codes = { "Class A" = "normal", "B" = "loss" }, clean = "code"',
    )
    rows = [row(**{"class": text}) for text in ("class a", "ＣＬＡＳＳ　Ａ", "CLASS  A", "b", "C")]
    chunk = mapped(tmp_path, *rows, mapping=mapping)
    assert [each["fields"]["five_class"] for each in events(chunk.events[0])] == [
        *("normal", "normal", "normal", "loss"),
    ]
    rejected = [each for each in chunk.faults if each.severity is Severity.REJECT]
    assert [(each.row, each.code) for each in rejected] == [(4, "code-unknown")]
    assert {each.code for each in chunk.faults} == {"code-unknown", "code-formatting"}


def test_a_name_that_is_none_is_set_aside(tmp_path: Path) -> None:
    mapping = """
[subject]
type = "resident_id"
column = "cert"
[[event]]
type = "public.judgment"
basis = "public"
ref = "{acct}"
occurred_on = { column = "day", date = "D/M/YYYY" }
[event.fields]
authority = { column = "class", clean = "name" }
document_no = "acct"
status = { constant = "in_force" }
"""
    rows = [row(**{"class": text}) for text in ("某某　法院", "无")]
    chunk = mapped(tmp_path, *rows, mapping=mapping)
    assert chunk.events[0].values.column("authority").to_pylist() == ["某某法院", "无"]
    assert [(each.row, each.code, each.severity) for each in chunk.faults] == [
        (1, "name-placeholder", Severity.QUARANTINE)
    ]


def test_types_of_identifiers_may_stand_in_a_column(tmp_path: Path) -> None:
    mapping = MAPPING.replace(
        'type = "resident_id"',
        'type = { column = "class", codes = { A = "resident_id", B = "lei" } }',
    )
    chunk = mapped(tmp_path, row(), row(**{"class": "B"}), row(**{"class": ""}), mapping=mapping)
    assert [(each.row, each.code) for each in chunk.faults] == [
        (1, "identifier-wrong"),
        (2, "code-unknown"),
    ]


def test_columns_that_the_file_lacks_stop_it_before_a_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "month.csv"
    path.write_text("acct,cert\n")
    with pytest.raises(MappingError, match="has no column 'day'"):
        MappedFile(path, read_mapping("bank", MAPPING.encode()), TODAY)


def test_what_is_mapped_can_be_encoded(tmp_path: Path) -> None:
    statements, delinquencies = mapped(tmp_path, row(), row(day="x")).events
    assert len(encode_fields(statements)) == 1
    assert encode_fields(delinquencies).equals(pa.array([], pa.binary()))


def test_submissions_of_creforge_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "S0000001.csv"
    path.write_text(
        "account_id,as_of_month,subject_id,inquiry_id,lender_id,product_type,open_date,"
        "credit_limit,principal,tenor_months,interest_rate,secured,close_date,close_reason,balance,"
        "amount_due,amount_paid,dpd_bucket,months_in_arrears,status,resident_id\n"
        "A1,2023-01-01,S1,,L0001,credit_card,2009-09-27,7400.00,,,0.155,false,,,1181.56,74.00,"
        f"778.13,60-89,3,delinquent,{PERSON}\n"
        "A2,2023-02-01,S1,Q1,L0001,bnpl,2023-02-03,,500.00,4,0,true,2023-02-28,paid_off,0.00,0.00,"
        f"9.00,0,2,closed,{PERSON}\n"
    )
    (chunk,) = map_file(path, load_mapping("creforge"), TODAY)
    opened, statements, closed = chunk.events
    assert [(each["ref"], each["occurred_on"]) for each in events(opened)] == [
        ("opened A1 ", "2023-01-01"),
        ("opened A2 Q1", "2023-02-03"),
    ]
    assert events(opened)[0]["fields"]["rate_ppm"] == 155_000
    assert events(opened)[1]["fields"]["limit_minor"] == 50_000
    assert [each["fields"]["days_past_due"] for each in events(statements)] == [60, 30]
    assert [each["ref"] for each in events(closed)] == ["closed A2"]
    assert [(each.row, each.code) for each in chunk.faults] == [(1, "columns-disagree")]
