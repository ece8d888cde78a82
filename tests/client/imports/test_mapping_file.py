"""A mapping is checked before a row is read, and says where it is wrong and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradeline_client.errors import MappingError
from tradeline_client.imports.mapping_file import load_mapping, read_mapping, ready_mappings

SUBJECT = """\
[subject]
type = "resident_id"
column = "cert_no"
"""
RIGHT = """\
[source]
delimiter = ";"

[subject]
type = "resident_id"
column = "cert_no"

[[event]]
type = "account.statement"
basis = "contract"
account = "{acct_no}"
ref = "statement {acct_no} {period}"
occurred_on = { column = "day", date = "YYYYMMDD" }

[event.fields]
period = { column = "day", date = "YYYYMMDD" }
currency = { constant = "CNY" }
statement_balance_minor = { column = "balance", unit = "major" }
days_past_due = "dpd"
five_class = { column = "class", codes = { "1" = "normal" } }
"""


def test_a_right_mapping_names_the_columns_that_it_reads() -> None:
    mapping = read_mapping("bank", RIGHT.encode())
    assert set(mapping.columns()) == {"cert_no", "acct_no", "day", "balance", "dpd", "class"}
    assert mapping.events[0].schema.name == "account.statement"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[source]", "[sauce]", r"line 1: sauce: got an unknown key.*did you mean 'source'"),
        ('delimiter = ";"', 'delimeter = ";"', "source.delimeter: .*did you mean 'delimiter'"),
        ('"resident_id"', '"residentid"', "subject.type: got 'residentid'.*'resident_id'"),
        ("account.statement", "account.statment", "event.1..type: .*did you mean 'account.statem"),
        ('"contract"', '"contrakt"', "line 10: event.1..basis: .*did you mean 'contract'"),
        (
            "days_past_due",
            "days_pastdue",
            "line 19: .*days_pastdue: .*did you mean 'days_past_due'",
        ),
        ('days_past_due = "dpd"\n', "", "fields.days_past_due: got nothing, expected a column"),
        ('"normal"', '"nomal"', "codes.1: got 'nomal', .*did you mean 'normal'"),
        ('unit = "major"', 'unit = "mayor"', "unit: got 'mayor', .*did you mean 'major'"),
        (', unit = "major"', "", "balance_minor.unit: got nothing, expected one of minor, major"),
        ('unit = "major"', 'scale = "2"', "an unknown key, expected one of .*unit"),
        ("YYYYMMDD", "YYYYDDDD", "date: got 'YYYYDDDD', expected YYYY, MM"),
        ('"CNY"', '"CNX"', "constant: got 'CNX', expected a currency code"),
        ('"CNY"', "1.5", "constant: got 1.5, expected a currency code"),
        ('ref = "statement {acct_no} {period}"\n', "", "ref: got nothing, expected a text"),
        ("{acct_no} {period}", "of all", "ref: .*expected a template that names a column"),
        ("{acct_no} {period}", "{acct_no", "ref: .*expected text with names of columns in braces"),
        ('account = "{acct_no}"\n', "", "account: got nothing, expected a text"),
        ("account.statement", "correction.retract", "expected no correction"),
        ("[[event]]", "[event]", "event: got .*expected tables"),
        (SUBJECT, "", "subject: got none, expected a table"),
        ('delimiter = ";"', "delimiter = 1", "delimiter: got 1, expected a text"),
        ("[subject]", "[subject", "is no TOML: .*line 4"),
    ],
)
def test_a_mistake_is_named_with_key_line_and_what_was_meant(
    old: str, new: str, error: str
) -> None:
    assert old in RIGHT
    with pytest.raises(MappingError, match=error):
        read_mapping("bank", RIGHT.replace(old, new).encode())


def test_a_restricted_column_is_refused_with_the_article() -> None:
    text = RIGHT.replace('days_past_due = "dpd"', 'days_past_due = "religion"')
    with pytest.raises(MappingError, match=r"religion.*nothing that .* restricts"):
        read_mapping("bank", text.encode())


def test_parameters_are_put_in_and_must_be_known() -> None:
    text = '[parameters]\nmonth = ""\nway = "major"\n' + RIGHT.replace(
        'period = { column = "day", date = "YYYYMMDD" }', 'period = { constant = "<month>" }'
    ).replace('unit = "major"', 'unit = "<way>"').replace("[parameters]", "[parameters]")
    mapping = read_mapping("bank", text.encode(), {"month": "2026-09"})
    assert mapping.events[0].fields[0] is not None
    assert mapping.events[0].fields[0].constant == "2026-09"
    other = read_mapping("bank", text.encode(), {"month": "2026-10"})
    assert other.sha256 != mapping.sha256
    with pytest.raises(MappingError, match="needs the parameter 'month'"):
        read_mapping("bank", text.encode())
    with pytest.raises(MappingError, match="no parameter 'mont', did you mean 'month'"):
        read_mapping("bank", text.encode(), {"mont": "2026-09"})


def test_a_parameter_may_stand_for_a_number() -> None:
    text = '[parameters]\nnumber = "0"\n' + RIGHT.replace(
        'ref = "', 'revision = { constant = "<number>" }\nref = "'
    )
    revision = read_mapping("bank", text.encode(), {"number": "7"}).events[0].revision
    assert revision is not None
    assert revision.constant == 7
    with pytest.raises(MappingError, match=r"revision\.constant: got 'x'"):
        read_mapping("bank", text.encode(), {"number": "x"})


def test_a_repeated_event_is_one_for_each_of_its_columns() -> None:
    text = RIGHT.replace("[[event]]", '[[event]]\nrepeat = [{ n = "1" }, { n = "2" }]').replace(
        '"balance"', '"balance<n>"'
    )
    mapping = read_mapping("bank", text.encode())
    assert len(mapping.events) == 2
    assert {"balance1", "balance2"} <= set(mapping.columns())


def test_a_file_that_is_not_there_names_the_ready_mappings(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="can't be read: No such file"):
        load_mapping(tmp_path / "none.toml")
    with pytest.raises(MappingError, match="the name of a ready mapping is one of"):
        load_mapping("nobody")


def test_every_ready_mapping_is_right() -> None:
    given = {
        "german-loans": {"opened_on": "2024-01-15", "defaulted_on": "2026-01-15"},
        "taiwan-cards": {f"month_{place}": f"2026-0{place}" for place in range(1, 8)},
    }
    assert {"creforge", "german-loans", "taiwan-cards"} <= set(ready_mappings())
    for name in ready_mappings():
        assert load_mapping(name, given.get(name)).events
