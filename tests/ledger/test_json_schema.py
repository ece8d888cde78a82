"""The JSON Schema of each type takes what the validator takes, and refuses what it can express."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs  # comes with schemathesis
import pytest
from tests.ledger.event_samples import FIELDS, FIRM, PERSON, TODAY

from tradeline_ledger.errors import EventError
from tradeline_ledger.event import References, bind, encode_event, report_from_json
from tradeline_ledger.identifier import subject_from_json
from tradeline_ledger.json_schema import json_schema
from tradeline_ledger.schema import About, EventSchema, Handle
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.subject_rule import check_subject

NEVER_RIGHT: list[Any] = [-(2**53), "", "x" * 2000, [], True, {}, "a\tb", 1.5]
REPORTED = [schema for schema in SCHEMAS if not schema.corrects]


def line_of(schema: EventSchema) -> dict[str, Any]:
    line: dict[str, Any] = {
        "subject": FIRM if schema.about is About.FIRM else PERSON,
        "type": schema.name,
        "occurred_on": "2026-06-15",
        "basis": min(schema.bases).name.lower(),
        "ref": "row 1",
        "fields": FIELDS[schema.name],
    }
    return {**line, "account": "loan 88"} if schema.account is Handle.REQUIRED else line


def taken_by_validator(line: dict[str, Any]) -> bool:
    line = dict(line)
    try:
        subject = subject_from_json(line.pop("subject"), 2026)
        report = report_from_json(line, today=TODAY)
        encode_event(bind(report, References(bytes(32)), lambda _year, _ref: bytes(16)))
        check_subject(report.schema, report.fields, subject, 2026)
    except EventError:
        return False
    return True


def checker(schema: EventSchema) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json_schema(schema), validate_formats=True)


def test_there_is_a_sample_of_every_type_with_every_field() -> None:
    assert {name: set(fields) for name, fields in FIELDS.items()} == {
        schema.name: {item.name for item in schema.fields} for schema in REPORTED
    }


@pytest.mark.parametrize("schema", [*SCHEMAS], ids=lambda schema: schema.name)
def test_schema_is_one_of_draft_2020_12(schema: EventSchema) -> None:
    found = json.loads(json.dumps(json_schema(schema)))
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(found)


@pytest.mark.parametrize("schema", REPORTED, ids=lambda schema: schema.name)
def test_sample_is_taken_by_both_with_every_field_and_with_the_fewest(schema: EventSchema) -> None:
    line = line_of(schema)
    assert checker(schema).is_valid(line)
    assert taken_by_validator(line)
    assert not schema.doubtful(
        SCHEMAS.fields_from_json(schema, line["fields"]), line["occurred_on"]
    )


@pytest.mark.parametrize("schema", REPORTED, ids=lambda schema: schema.name)
def test_line_that_lacks_something_or_has_too_much_is_judged_alike(schema: EventSchema) -> None:
    line, valid = line_of(schema), checker(schema).is_valid
    for key in line:
        changed = {name: value for name, value in line.items() if name != key}
        if key != "subject":  # taken out before the validator sees a line
            assert valid(changed) == taken_by_validator(changed), key
        may_lack = key == "fields" and all(item.optional for item in schema.fields)
        assert valid(changed) == may_lack, key
    for change in ({"more": 1}, {"fields": {**line["fields"], "more": 1}}, {"basis": "habit"}):
        assert not valid({**line, **change})
        assert not taken_by_validator({**line, **change})
    for item in schema.fields:
        without = {key: value for key, value in line["fields"].items() if key != item.name}
        for fields in (without, {**line["fields"], item.name: None}):
            changed = {**line, "fields": fields}
            assert valid(changed) == taken_by_validator(changed), item.name
        for value in NEVER_RIGHT:
            changed = {**line, "fields": {**line["fields"], item.name: value}}
            assert not valid(changed), (item.name, value)
            assert not taken_by_validator(changed), (item.name, value)


def test_correction_is_of_a_type_that_is_no_correction_and_follows_it() -> None:
    valid = checker(SCHEMAS.named("correction.supersede")).is_valid
    line = {
        "subject": PERSON,
        "type": "correction.supersede",
        "occurred_on": "2026-06-15",
        "basis": "contract",
        "ref": "row 2",
        "account": "loan 88",
        "target": {"index": 12, "position": 0},
        "fields": {
            "reason": "furnisher_error",
            "replacement": {"type": "account.payment", "fields": FIELDS["account.payment"]},
        },
    }
    assert valid(line)
    assert taken_by_validator(line)
    for replacement in (
        {"type": "account.payment", "fields": {}},
        {"type": "correction.retract", "fields": {"reason": "court"}},
        {"type": "account.payment"},
    ):
        changed = {**line, "fields": {"reason": "court", "replacement": replacement}}
        assert not valid(changed)
        assert not taken_by_validator(changed)


def test_zero_days_past_due_with_an_amount_past_due_is_refused() -> None:
    schema = SCHEMAS.named("account.statement")
    line, valid = line_of(schema), checker(schema).is_valid
    for change in ({"days_past_due": 0}, {"past_due_minor": 0}):
        changed = {**line, "fields": {**line["fields"], **change}}
        assert not valid(changed)
        assert not taken_by_validator(changed)
