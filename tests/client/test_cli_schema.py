"""Event types on the command line, and a file of events checked without a ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs  # comes with schemathesis
import pytest
from tests.client.cli import Cli
from tests.ledger.event_samples import FIELDS, FIRM, PERSON

from tradeline_ledger.schema import About, Handle
from tradeline_ledger.schemas import SCHEMAS

TODAY = ("--today", "2026-06-30")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def line(name: str, day: str = "2026-06-15", ref: str = "1", **fields: Any) -> dict[str, Any]:
    schema = SCHEMAS.named(name)
    found = {
        "subject": FIRM if schema.about is About.FIRM else PERSON,
        "type": name,
        "occurred_on": day,
        "basis": min(schema.bases).name.lower(),
        "ref": ref,
        "fields": {**FIELDS[name], **fields},
    }
    return {**found, "account": "loan 88"} if schema.account is Handle.REQUIRED else found


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    file = folder / "events.jsonl"
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return file


def test_every_type_is_listed(cli: Cli) -> None:
    listed = cli("schema", "list", "--json")
    assert listed.code == 0
    assert [each["type"] for each in listed.json] == [schema.name for schema in SCHEMAS]
    printed = cli("schema", "list")
    assert all(f" {schema.name} " in printed.out for schema in SCHEMAS)


@pytest.mark.parametrize("name", FIELDS)
def test_type_is_shown_with_fields_rules_and_law(cli: Cli, name: str) -> None:
    schema = SCHEMAS.named(name)
    shown = cli("schema", "show", name, "--json").json
    assert [each["name"] for each in shown["fields"]] == [item.name for item in schema.fields]
    assert len(shown["rules"]) == len(schema.rules) + len(schema.doubts)
    printed = cli("schema", "show", name)
    assert printed.code == 0
    assert all(item.name in printed.out for item in schema.fields)
    assert all(str(article) in printed.out for article in schema.law)


def test_json_schema_that_is_printed_takes_a_line(cli: Cli) -> None:
    printed = cli("schema", "show", "account.statement", "--json-schema").json
    assert jsonschema_rs.validator_for(printed).is_valid(line("account.statement"))


def test_unknown_type_and_day_say_what_is_expected(cli: Cli, tmp_path: Path) -> None:
    unknown = cli("schema", "show", "account.stmt")
    assert unknown.code == 1
    assert (
        "got 'account.stmt', an unknown event type; expected one of account.opened" in unknown.err
    )
    bad_day = cli("schema", "check", written(tmp_path), "--today", "yesterday")
    assert bad_day.code == 1
    assert "--today: not a date written as YYYY-MM-DD" in bad_day.err


def test_samples_of_all_types_have_nothing_wrong(cli: Cli, tmp_path: Path) -> None:
    # The sample lines of accounts are not one account's course.
    others = [name for name in FIELDS if not name.startswith("account.")]
    file = written(tmp_path, *(line(name) for name in others))
    checked = cli("schema", "check", file, *TODAY, "--json")
    assert checked.code == 0
    assert checked.json["findings"] == []
    assert checked.json["types"] == dict.fromkeys(sorted(others), 1)


def test_each_line_is_told_what_is_wrong_or_doubtful(cli: Cli, tmp_path: Path) -> None:
    statement = "account.statement"
    file = written(
        tmp_path,
        line("account.opened", "2026-01-10"),
        line(statement, "2026-04-30", period="2026-04", days_past_due=0, past_due_minor=0),
        "{}",
        line(statement, "2026-05-31", period="2026-05", days_past_due=75),
        line(statement, "2026-05-31", period="2026-05", days_past_due=75),
        "",
        line("account.default", first_delinquent_on="2026-03-17", amount_minor=0),
        line("annotation.statement", text="I was ill: cancer"),
        line("org.profile", shareholders=[{"name": "A", "share_permille": 900}] * 2),
        {**line("org.profile"), "subject": PERSON},
    )
    checked = cli("schema", "check", file, *TODAY, "--json")
    assert checked.code == 1
    found = [(each["line"], each["code"], each["severity"]) for each in checked.json["findings"]]
    assert found == [
        (3, "invalid", "reject"),
        (4, "days-past-due-jump", "warning"),
        (5, "period-reported", "reject"),
        (7, "invalid", "reject"),
        (8, "restricted-text", "quarantine"),
        (9, "rows-above-whole", "quarantine"),
        (10, "invalid", "reject"),
    ]
    assert checked.json["severities"] == {"reject": 4, "warning": 1, "quarantine": 2}
    assert checked.json["lines"] == 9
    printed = cli("schema", "check", file, *TODAY)
    assert "9 lines; 4 to reject, 1 to warning, 2 to quarantine" in printed.out
    assert (
        "line 5: reject period-reported period: got a month that has its statement" in printed.out
    )
    for text in (PERSON["id"], "cancer", "20000"):
        assert text not in printed.out + checked.out


def test_file_that_only_raises_doubts_can_be_submitted(cli: Cli, tmp_path: Path) -> None:
    checked = cli(
        "schema", "check", written(tmp_path, line("org.financials", assets_minor=5)), *TODAY
    )
    assert checked.code == 0
    assert "1 to quarantine" in checked.out


def test_empty_file_is_no_success(cli: Cli, tmp_path: Path) -> None:
    checked = cli("schema", "check", written(tmp_path), *TODAY)
    assert checked.code == 1
    assert "has no line" in checked.err
