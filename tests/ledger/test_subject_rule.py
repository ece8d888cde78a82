"""An event that can't be about its subject is refused by who reports it."""

from __future__ import annotations

from typing import Any

import pytest

from tradeline_ledger.errors import EventError
from tradeline_ledger.event_types.guarantee import DEBTOR_TYPE
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier, resident_id, uscc
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.subject_rule import check_subject

YEAR = 2026
NUMBER = resident_id("110105", "1891-03-02", 7)
OTHER = resident_id("110105", "1892-03-02", 7)
CODE = uscc("91", "110000", "600037341")
PERSON = parse_identifier(IdType.RESIDENT_ID, NUMBER, YEAR)
FIRM = parse_identifier(IdType.USCC, CODE, YEAR)


def check(name: str, fields: dict[str, Any], subject: SubjectId) -> None:
    schema = SCHEMAS.named(name)
    values = SCHEMAS.fields_from_json(schema, fields)
    SCHEMAS.check(schema.number, schema.version, values, "2026-06-15")
    check_subject(schema, values, subject, YEAR)


def identity(**changes: str) -> dict[str, Any]:
    return {"name": "李四", "verified_by": "in_person", "verified_on": "2026-01-05", **changes}


def guarantee(**changes: str) -> dict[str, Any]:
    return {"kind": "joint", "currency": "CNY", "amount_minor": 100, **changes}


PROFILE = {"name": "Example Ltd", "kind": "company", "status": "active"}


def test_event_that_fits_is_taken() -> None:
    check("subject.identity", identity(born_on="1891-03-02"), PERSON)
    check("subject.identity", identity(), PERSON)
    check("org.profile", {**PROFILE, "uscc": CODE}, FIRM)
    for subject in (PERSON, FIRM):
        check("guarantee.given", guarantee(), subject)
        check("guarantee.given", guarantee(debtor_type="resident_id", debtor_number=OTHER), subject)


@pytest.mark.parametrize(
    ("name", "fields", "subject", "message"),
    [
        ("subject.identity", identity(), FIRM, "subject: got a firm, expected a person"),
        ("org.profile", PROFILE, PERSON, "subject: got a person, expected a firm"),
        ("subject.identity", identity(born_on="1891-03-03"), PERSON, "born_on: got another day"),
        (
            "guarantee.given",
            guarantee(debtor_type="resident_id", debtor_number=f"{NUMBER[:6]} {NUMBER[6:]}"),
            PERSON,
            "debtor_number: got the guarantor",
        ),
        (
            "guarantee.given",
            guarantee(debtor_type="uscc", debtor_number=NUMBER),
            PERSON,
            "debtor_number: USCC of 18 characters is wrong",
        ),
        ("org.profile", {**PROFILE, "lei": "1"}, FIRM, "field lei: LEI has 1 characters"),
    ],
)
def test_event_that_cannot_be_about_its_subject_is_refused(
    name: str, fields: dict[str, Any], subject: SubjectId, message: str
) -> None:
    with pytest.raises(EventError, match=message) as refused:
        check(name, fields, subject)
    assert NUMBER not in str(refused.value)
    replacement = {
        "reason": "furnisher_error",
        "replacement": {"type": name, "fields": fields},
    }
    with pytest.raises(EventError, match=message):
        check("correction.supersede", replacement, subject)


def test_debtor_may_have_any_type_of_identifier() -> None:
    assert [IdType[name.upper()] for name in DEBTOR_TYPE.names] == list(IdType)


def test_retraction_may_be_about_anybody() -> None:
    for subject in (PERSON, FIRM):
        check("correction.retract", {"reason": "court"}, subject)
