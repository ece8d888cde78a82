"""A proposed mapping fits the file that it was made from, and keeps out what the law keeps out."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import pytest

from tradeline_client.bench.imports import write_statements
from tradeline_client.errors import MappingError, SourceError
from tradeline_client.imports.dry_run import dry_run
from tradeline_client.imports.mapping_file import read_mapping
from tradeline_client.imports.suggest import suggest
from tradeline_ledger.identifier import resident_id

TODAY: Final = "2026-11-29"
PEOPLE: Final = [resident_id("110101", f"1890-03-{day:02}", 42) for day in range(1, 21)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "month.csv"


def test_a_proposal_maps_its_own_file_without_a_change(path: Path) -> None:
    write_statements(path, 2_000)
    found = suggest(path, TODAY)
    assert found.missing == ()
    result = dry_run(path, read_mapping("proposed", found.text.encode()), TODAY)
    assert result.events == {"account.statement": 1998}
    assert set(result.samples["account.statement"][0]["fields"]) == {
        *("period", "currency", "statement_balance_minor", "days_past_due", "past_due_minor"),
        *("paid_minor", "minimum_due_minor", "five_class"),
    }


def test_a_chinese_file_of_excel_is_understood(path: Path) -> None:
    rows = [
        f"{person};62{place:04};2026年9月{place % 28 + 1}日;1.234,5{place % 10};0;正常"
        for place, person in enumerate(PEOPLE)
    ]
    header = "身份证号码;账号;账单日;账单余额;逾期天数;五级分类"
    path.write_bytes("\r\n".join((header, *rows)).encode("gb18030"))
    found = suggest(path, TODAY)
    parsed = tomllib.loads(found.text)
    assert parsed["source"] == {"encoding": "gb18030", "delimiter": ";"}
    assert parsed["subject"] == {"type": "resident_id", "column": "身份证号码"}
    (event,) = parsed["event"]
    assert event["occurred_on"] == {"column": "账单日", "date": "YYYY年M月D日"}
    balance = {"column": "账单余额", "unit": "major", "thousands": ".", "decimal": ","}
    assert event["fields"]["statement_balance_minor"] == balance
    result = dry_run(path, read_mapping("proposed", found.text.encode()), TODAY)
    assert (result.rejected, result.events["account.statement"]) == (0, 20)


def test_restricted_columns_are_left_out_with_the_article(path: Path) -> None:
    rows = [f"{person},1,2026-09-30,5.00,0,none,100000" for person in PEOPLE]
    header = "cert_no,acct_no,stmt_date,balance,dpd,Religion,annual_income"
    path.write_text("\n".join((header, *rows)))
    found = suggest(path, TODAY)
    assert found.left_out == ("Religion", "annual_income")
    comments = [line for line in found.text.splitlines() if "Left out" in line]
    assert "'Religion' says religion: " in comments[0]
    assert "'annual_income' says income: " in comments[1]
    mapped = "\n".join(line for line in found.text.splitlines() if not line.startswith("#"))
    assert "Religion" not in mapped
    assert "income" not in mapped


def test_what_is_missing_is_named_and_the_proposal_is_refused_until_it_is_there(path: Path) -> None:
    path.write_text("acct_no,balance\n1,5.00\n2,6.00\n")
    found = suggest(path, TODAY)
    assert "subject.column" in found.missing
    assert "account.statement: days_past_due" in found.missing
    with pytest.raises(MappingError, match="subject"):
        read_mapping("proposed", found.text.encode())


def test_no_identifier_and_no_amount_is_in_a_proposal(path: Path) -> None:
    rows = [f"{person},777{place},2026-09-30,98765.43,0" for place, person in enumerate(PEOPLE)]
    path.write_text("\n".join(("cert_no,acct_no,stmt_date,balance,dpd", *rows)))
    text = suggest(path, TODAY).text
    assert not any(person in text for person in PEOPLE)
    assert "777" not in text
    assert "98765" not in text


def test_a_date_that_can_be_read_in_two_ways_says_so(path: Path) -> None:
    rows = [f"{person},1,0{place % 9 + 1}/08/2026,5.00,0" for place, person in enumerate(PEOPLE)]
    path.write_text("\n".join(("cert_no,acct_no,stmt_date,balance,dpd", *rows)))
    text = suggest(path, TODAY).text
    assert 'date = "DD/MM/YYYY" }  # MM/DD/YYYY would read it, too' in text


def test_columns_of_minor_units_and_of_wan_are_told_by_their_names(path: Path) -> None:
    rows = [f"{person},1,2026-09-30,500,0,3" for person in PEOPLE]
    path.write_text("\n".join(("cert_no,acct_no,stmt_date,balance_cents,dpd,还款金额万元", *rows)))
    (event,) = tomllib.loads(suggest(path, TODAY).text)["event"]
    assert event["fields"]["statement_balance_minor"]["unit"] == "minor"
    assert event["fields"]["paid_minor"]["unit"] == "ten_thousand"


def test_a_file_without_rows_teaches_nothing(path: Path) -> None:
    path.write_text("cert_no,acct_no\n")
    with pytest.raises(SourceError, match="no rows to learn from"):
        suggest(path, TODAY)
