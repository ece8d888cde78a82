"""Events: round trips, bytes that are refused, and a table of bad lines each with its message."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError
from tradeline_ledger.event import (
    EVENT_BYTES_MAX,
    Event,
    References,
    bind,
    category_of,
    check_event,
    decode_event,
    encode_event,
    event_from_json,
    event_to_json,
    report_from_json,
    report_to_json,
    retain_month,
)
from tradeline_ledger.field import (
    AMOUNT_MINOR_MAX,
    Amount,
    Choice,
    Currency,
    Day,
    Integer,
    Kind,
    Period,
    Replacement,
    Rows,
    Text,
)
from tradeline_ledger.identifier import IdType, parse_identifier
from tradeline_ledger.mac import mac
from tradeline_ledger.schema import Basis, EventSchema, Handle
from tradeline_ledger.schemas import CLOSED, RETRACT, SCHEMAS, STATEMENT, SUPERSEDE
from tradeline_ledger.tag import Category, Filer, HmacLinker, check_value

TODAY = "2026-06-15"
SECRET = b"r" * 32
REFERENCES = References(SECRET)
FILER = Filer(HmacLinker(b"k" * 32), b"t" * 32, 7)
SUBJECT = parse_identifier(IdType.RESIDENT_ID, "11010519491231002X", 2026)

OPENED_LINE = {
    "type": "account.opened",
    "version": 1,
    "occurred_on": "2026-01-10",
    "basis": "contract",
    "account": "loan 17",
    "ref": "opened 17",
    "fields": {
        "product": "personal_loan",
        "portfolio": "instalment",
        "role": "primary",
        "currency": "CNY",
        "limit_minor": 5_000_000,
        "term_months": 24,
        "rate_ppm": 120_000,
        "apr_ppm": 145_000,
        "fees": [{"fee": "origination", "amount_minor": 10_000}],
    },
}
STATEMENT_LINE = {
    "type": "account.statement",
    "version": 1,
    "occurred_on": "2026-05-31",
    "basis": "consent",
    "account": "card 17",
    "ref": "statement 17 2026-05",
    "fields": {
        "period": "2026-05",
        "currency": "TWD",
        "statement_balance_minor": -391_300,
        "days_past_due": 0,
        "past_due_minor": 0,
        "paid_minor": 68_900,
    },
}
DELINQUENCY_LINE = {
    **STATEMENT_LINE,
    "type": "account.delinquency",
    "fields": {"first_delinquent_on": "2026-04-01", "days_past_due": 60, "stage": "days_60"},
}
DEFAULT_LINE = {
    **STATEMENT_LINE,
    "type": "account.default",
    "fields": {
        "kind": "charge_off",
        "currency": "CNY",
        "amount_minor": 100,
        "first_delinquent_on": "2026-01-01",
    },
}
CLOSED_LINE = {
    **STATEMENT_LINE,
    "type": "account.closed",
    "fields": {"reason": "paid", "opened_on": "2026-05-31"},
}
TAX_LINE = {
    "type": "public.tax_arrears",
    "occurred_on": "2026-03-05",
    "basis": "public",
    "ref": "tax 2026-9",
    "fields": {
        "authority": "国家税务总局北京市税务局",
        "document_no": "2026-9",
        "tax": "value_added",
        "currency": "CNY",
        "amount_minor": 1_000_000,
        "until": "2027-03-04",
    },
}
SUPERSEDE_LINE = {
    **STATEMENT_LINE,
    "type": "correction.supersede",
    "target": {"index": 12, "position": 3},
    "fields": {
        "reason": "furnisher_error",
        "replacement": {
            "type": "account.statement",
            "version": 1,
            "fields": {**STATEMENT_LINE["fields"], "paid_minor": 1},  # type: ignore[dict-item]
        },
    },
}
RETRACT_LINE = {
    "type": "correction.retract",
    "occurred_on": "2026-05-31",
    "basis": "contract",
    "ref": "retract 17 2026-05",
    "target": {"index": 12, "position": 3},
    "fields": {"reason": "matching_error"},
}
GOOD_LINES = (
    *(OPENED_LINE, STATEMENT_LINE, DELINQUENCY_LINE, DEFAULT_LINE, CLOSED_LINE),
    *(TAX_LINE, SUPERSEDE_LINE, RETRACT_LINE),
)


def binder(year: int, ref: bytes) -> bytes:
    return FILER.check(SUBJECT, year, ref)


def event_of(line: dict[str, Any]) -> Event:
    return event_from_json(line, today=TODAY, references=REFERENCES, binder=binder)


@pytest.mark.parametrize("line", GOOD_LINES, ids=lambda line: line["type"])
def test_good_line_becomes_an_event_and_reads_back(line: dict[str, Any]) -> None:
    report = report_from_json(line, today=TODAY)
    again = json.loads(json.dumps(report_to_json(report)))
    assert report_from_json(again, today=TODAY) == report
    event = event_of(line)
    encoded = encode_event(event)
    assert decode_event(encoded) == event
    assert event_to_json(event)["fields"] == report_to_json(report)["fields"]


def test_statement_has_the_bytes_of_the_formats() -> None:
    event = event_of(STATEMENT_LINE)
    ref = mac(SECRET, b"tradeline/v1 ref\nstatement 17 2026-05")[:16]
    account = mac(SECRET, b"tradeline/v1 account\ncard 17")[:16]
    check = check_value(FILER.year_key(SUBJECT, 2026), 7, ref)
    balance, paid = (-391_300).to_bytes(4, "big", signed=True), (68_900).to_bytes(4, "big")
    assert encode_event(event) == b"".join(
        (
            b"\x99\x03\x01\xaa2026-05-31\x01",
            *(b"\xc4\x10" + ref, b"\xc4\x10" + account, b"\xc4\x10" + check, b"\xc0"),
            b"\x9c\xa72026-05\xa3TWD\xd2" + balance + b"\x00\x00\xce" + paid + b"\xc0" * 6,
        )
    )


def test_same_row_again_has_the_same_reference_and_another_member_another_check() -> None:
    other = Filer(HmacLinker(b"k" * 32), b"t" * 32, 8)
    report = report_from_json(STATEMENT_LINE, today=TODAY)
    mine = bind(report, REFERENCES, binder)
    theirs = bind(report, References(b"s" * 32), lambda year, ref: other.check(SUBJECT, year, ref))
    assert bind(report, REFERENCES, binder) == mine
    assert len({mine.ref, theirs.ref, mine.account, theirs.account}) == 4
    assert mine.check != theirs.check
    assert SECRET.hex() not in repr(REFERENCES)


def changed(line: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """Return a line with other keys, or without those that are given as `...`."""
    merged = {**line, **keys}
    return {key: value for key, value in merged.items() if value is not ...}


def with_fields(line: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return changed(line, fields=changed(line["fields"], **fields))


BAD_LINES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown type": (
        changed(STATEMENT_LINE, type="account.stmt"),
        "type: got 'account.stmt', an unknown event type; expected one of account.opened, ",
    ),
    "type left out": (changed(STATEMENT_LINE, type=...), "type: got null, an unknown event type"),
    "type is a list": (changed(STATEMENT_LINE, type=["a"]), "type: got a list of 1, an unknown"),
    "identifier as type": (
        changed(STATEMENT_LINE, type="11010519491231002X"),
        "type: got text of 18 characters, an unknown event type",
    ),
    "unknown version": (
        changed(STATEMENT_LINE, version=2),
        "version: got 2, an unknown version of account.statement; expected 1 to 1",
    ),
    "version true": (changed(STATEMENT_LINE, version=True), "version: got true, an unknown"),
    "version 0": (changed(STATEMENT_LINE, version=0), "version: got 0, an unknown version"),
    "unknown key": (changed(STATEMENT_LINE, name="Wang"), "unknown key 'name', expected account,"),
    "identifier as key": (
        changed(STATEMENT_LINE, **{"11010519491231002X": 1}),
        "unknown key text of 18 characters",
    ),
    "impossible day": (
        changed(STATEMENT_LINE, occurred_on="2026-02-30"),
        "occurred_on: got '2026-02-30', expected a day of the calendar written as YYYY-MM-DD",
    ),
    "day without dashes": (
        changed(STATEMENT_LINE, occurred_on="20260531"),
        "occurred_on: got '20260531', expected a day of the calendar",
    ),
    "day as week": (changed(STATEMENT_LINE, occurred_on="2026-W20-1"), "occurred_on: got '2026-W"),
    "day as number": (changed(STATEMENT_LINE, occurred_on=20260531), "occurred_on: got 20260531"),
    "day in the future": (
        changed(STATEMENT_LINE, occurred_on="2026-06-16"),
        "occurred_on: got 2026-06-16, expected not after today, 2026-06-15",
    ),
    "no basis": (changed(STATEMENT_LINE, basis=...), "basis: got null, expected one of consent, "),
    "unknown basis": (
        changed(STATEMENT_LINE, basis="interest"),
        "basis: got 'interest', expected one of consent, contract, public, statutory",
    ),
    "public basis of an account": (
        changed(STATEMENT_LINE, basis="public"),
        "basis: got 3, expected one of 1 consent, 2 contract, 4 statutory",
    ),
    "consent basis of a public record": (
        changed(TAX_LINE, basis="consent"),
        "public.tax_arrears version 1: basis: got 1, expected one of 3 public",
    ),
    "no ref": (changed(STATEMENT_LINE, ref=...), "ref: got null, expected 1 to 128 characters"),
    "empty ref": (changed(STATEMENT_LINE, ref=""), "ref has 0 characters, expected 1 to 128"),
    "long ref": (changed(STATEMENT_LINE, ref="r" * 129), "ref has 129 characters"),
    "ref with a control character": (
        changed(STATEMENT_LINE, ref="a\nb"),
        "ref contains a control character",
    ),
    "no account": (
        changed(STATEMENT_LINE, account=...),
        "account.statement version 1: account: got none, expected one",
    ),
    "account of a public record": (
        changed(TAX_LINE, account="17"),
        "public.tax_arrears version 1: account: got one, expected none",
    ),
    "account left out of a correction": (
        changed(SUPERSEDE_LINE, account=...),
        "correction.supersede version 1: account: got none, expected one",
    ),
    "target of what corrects nothing": (
        changed(STATEMENT_LINE, target={"index": 1, "position": 0}),
        "account.statement version 1: target: got one, expected none",
    ),
    "correction of nothing": (
        changed(RETRACT_LINE, target=...),
        "correction.retract version 1: target: got none, expected the event that it corrects",
    ),
    "target of another shape": (changed(RETRACT_LINE, target=[1, 2]), "target: got a list of 2"),
    "target true": (
        changed(RETRACT_LINE, target={"index": True, "position": 0}),
        "target: got an object of 2 keys, expected index and position",
    ),
    "target below 0": (
        changed(RETRACT_LINE, target={"index": 1, "position": -1}),
        "target: got an object of 2 keys, expected index and position",
    ),
    "fields as a list": (
        changed(STATEMENT_LINE, fields=[]),
        "account.statement version 1: fields: got a list of 0, expected an object",
    ),
    "unknown field": (
        with_fields(STATEMENT_LINE, religion="none"),
        "account.statement version 1: unknown field 'religion', expected period, currency, ",
    ),
    "field left out": (
        with_fields(STATEMENT_LINE, period=...),
        "field period: got nothing, expected a month written as YYYY-MM",
    ),
    "float money": (
        with_fields(STATEMENT_LINE, paid_minor=689.5),
        "field paid_minor: float money: got float 689.5, expected an integer of minor units",
    ),
    "float money without a fraction": (
        with_fields(STATEMENT_LINE, statement_balance_minor=100.0),
        "field statement_balance_minor: float money: got float 100.0",
    ),
    "float rate": (
        with_fields(OPENED_LINE, rate_ppm=0.05),
        "field rate_ppm: float money: got float 0.05, expected an integer of parts per million",
    ),
    "float in a row": (
        with_fields(OPENED_LINE, fees=[{"fee": "annual", "amount_minor": 1.5}]),
        "field fees: float money: got a list of 1",
    ),
    "float for a day": (
        with_fields(CLOSED_LINE, opened_on=1.5),
        "field opened_on: float money: got float 1.5",
    ),
    "not a number": (
        with_fields(STATEMENT_LINE, paid_minor=float("nan")),
        "field paid_minor: float money: got float nan",
    ),
    "money as text": (
        with_fields(STATEMENT_LINE, paid_minor="689"),
        "field paid_minor: got '689', expected an integer of minor units",
    ),
    "money true": (with_fields(STATEMENT_LINE, paid_minor=True), "field paid_minor: got true"),
    "negative payment": (
        with_fields(STATEMENT_LINE, paid_minor=-1),
        "field paid_minor: got -1, expected an integer of minor units from 0 to ",
    ),
    "too much money": (
        with_fields(STATEMENT_LINE, paid_minor=AMOUNT_MINOR_MAX + 1),
        "field paid_minor: got an integer of more than 12 digits",
    ),
    "more money than the encoding holds": (
        with_fields(STATEMENT_LINE, paid_minor=2**80),
        "field paid_minor: got an integer of more than 12 digits",
    ),
    "nothing in default": (
        with_fields(DEFAULT_LINE, amount_minor=0),
        "field amount_minor: got 0, expected an integer of minor units from 1 to",
    ),
    "no currency": (
        with_fields(STATEMENT_LINE, currency=...),
        "field currency: got nothing, expected a currency code of ISO 4217",
    ),
    "unknown currency": (with_fields(STATEMENT_LINE, currency="RMB"), "field currency: got 'RMB'"),
    "currency in lower case": (with_fields(STATEMENT_LINE, currency="cny"), "got 'cny', expected"),
    "month 13": (with_fields(STATEMENT_LINE, period="2026-13"), "field period: got '2026-13'"),
    "impossible day in a field": (
        with_fields(DELINQUENCY_LINE, first_delinquent_on="2026-02-30"),
        "field first_delinquent_on: got '2026-02-30', expected a day of the calendar",
    ),
    "unknown choice": (
        with_fields(OPENED_LINE, product="gold"),
        "field product: got 'gold', expected one of credit_card, charge_card, ",
    ),
    "number of a choice": (with_fields(OPENED_LINE, product=3), "field product: got 3, expected"),
    "no term of an instalment loan": (
        with_fields(OPENED_LINE, term_months=...),
        "account.opened version 1: this portfolio needs term_months, got null",
    ),
    "term 0": (with_fields(OPENED_LINE, term_months=0), "field term_months: got 0, expected an"),
    "fees hidden from the yearly cost": (
        with_fields(OPENED_LINE, apr_ppm=119_999),
        "apr_ppm is 119999, expected at least rate_ppm, which is 120000",
    ),
    "past due since no day": (
        with_fields(STATEMENT_LINE, past_due_minor=5),
        "past_due_minor is 5 and days_past_due is 0, expected both 0 or neither",
    ),
    "days past due with nothing due": (
        with_fields(STATEMENT_LINE, days_past_due=5),
        "past_due_minor is 0 and days_past_due is 5, expected both 0 or neither",
    ),
    "statement of a month to come": (
        with_fields(STATEMENT_LINE, period="2026-06"),
        "period is 2026-06, expected not after occurred_on, which is 2026-05-31",
    ),
    "stage not reached": (
        with_fields(DELINQUENCY_LINE, days_past_due=59),
        "days_past_due is 59, expected at least 60 at this stage",
    ),
    "delinquent for 0 days": (
        with_fields(DELINQUENCY_LINE, days_past_due=0, stage=...),
        "field days_past_due: got 0, expected an integer of days from 1",
    ),
    "delinquent since later": (
        with_fields(DELINQUENCY_LINE, first_delinquent_on="2026-06-01"),
        "first_delinquent_on is 2026-06-01, expected not after occurred_on",
    ),
    "amount without its currency": (
        with_fields(DELINQUENCY_LINE, past_due_minor=5),
        "currency missing, expected all or none of currency, past_due_minor",
    ),
    "closed before it was opened": (
        with_fields(CLOSED_LINE, opened_on="2026-06-01"),
        "opened_on is 2026-06-01, expected not after occurred_on, which is 2026-05-31",
    ),
    "record that ended before it began": (
        with_fields(TAX_LINE, until="2026-03-04"),
        "occurred_on is 2026-03-05, expected not after until, which is 2026-03-04",
    ),
    "text too long": (
        with_fields(TAX_LINE, authority="a" * 101),
        "field authority: got text of 101 characters, expected 1 to 100 characters",
    ),
    "text not composed": (
        with_fields(TAX_LINE, authority="Ame\u0301lie"),
        "field authority: text is not in Unicode normal form C",
    ),
    "text with half a character": (with_fields(TAX_LINE, authority="\ud800"), "field authority"),
    "correction of a correction": (
        with_fields(SUPERSEDE_LINE, replacement={"type": "correction.retract", "fields": {}}),
        "field replacement: got correction.retract, expected type, version and fields",
    ),
    "replacement of another shape": (
        with_fields(SUPERSEDE_LINE, replacement=[3, 1, []]),
        "field replacement: got a list of 3, expected type, version and fields",
    ),
    "replacement that breaks its own rules": (
        with_fields(
            SUPERSEDE_LINE,
            replacement={
                "type": "account.statement",
                "fields": changed(STATEMENT_LINE["fields"], days_past_due=5),  # type: ignore[arg-type]
            },
        ),
        "account.statement version 1: past_due_minor is 0 and days_past_due is 5",
    ),
    "replacement with float money": (
        with_fields(
            SUPERSEDE_LINE,
            replacement={
                "type": "account.statement",
                "fields": changed(STATEMENT_LINE["fields"], paid_minor=0.5),  # type: ignore[arg-type]
            },
        ),
        "field replacement: float money",
    ),
    "correction of an account on a public basis": (
        changed(SUPERSEDE_LINE, basis="public"),
        "correction.supersede version 1: basis: got 3, expected one of 1 consent",
    ),
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_bad_line_is_refused_with(line: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError) as caught:
        event_of(line)
    assert message in str(caught.value)


GOOD = event_of(STATEMENT_LINE)
GOOD_WIRE: list[Any] = msgspec.msgpack.decode(encode_event(GOOD))


def wire(place: int, value: Any) -> bytes:
    return encode([*GOOD_WIRE[:place], value, *GOOD_WIRE[place + 1 :]])


def fields_wire(place: int, value: Any) -> bytes:
    fields = GOOD_WIRE[8]
    return wire(8, [*fields[:place], value, *fields[place + 1 :]])


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


BAD_BYTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "event does not decode"),
    "a map": (encode({"schema": 3}), "event does not decode"),
    "cut": (encode_event(GOOD)[:-1], "event does not decode"),
    "longer": (encode_event(GOOD) + b"\xc0", "event does not decode"),
    "too few": (encode(GOOD_WIRE[:8]), "event does not decode"),
    "too many": (encode([*GOOD_WIRE, None]), "event does not decode"),
    "number in two bytes": (
        encode_event(GOOD).replace(b"\x99\x03\x01", b"\x99\xcc\x03\x01", 1),
        "event is not canonical",
    ),
    "unknown type": (wire(0, 999), "schema 999 version 1 is unknown to this program"),
    "unknown version": (wire(1, 9), "schema 3 version 9 is unknown to this program"),
    "type over u16": (wire(0, 1 << 16), "event does not decode"),
    "impossible day": (wire(2, "2026-02-30"), "occurred_on: got '2026-02-30'"),
    "identifier as day": (wire(2, "11010519491231002X"), "occurred_on: got text of 18 characters"),
    "unknown basis": (wire(3, 5), "basis: got 5, expected one of 1 consent, 2 contract"),
    "short ref": (wire(4, b"r" * 15), "event does not decode"),
    "text ref": (wire(4, "r" * 16), "event does not decode"),
    "no account": (wire(5, None), "account: got none, expected one"),
    "short check": (wire(6, b""), "event does not decode"),
    "target": (wire(7, [1, 2]), "target: got one, expected none"),
    "target below 0": (wire(7, [-1, 2]), "event does not decode"),
    "float": (fields_wire(2, 1.5), "got `float`"),
    "float without a fraction": (fields_wire(2, 1.0), "got `float`"),
    "true": (fields_wire(2, True), "got `bool`"),
    "bytes": (fields_wire(0, b"2026-05"), "event does not decode"),
    "map within": (fields_wire(2, {}), "event does not decode"),
    "nil where needed": (fields_wire(0, None), "field period: got null, expected a month"),
    "one field less": (wire(8, GOOD_WIRE[8][:-1]), "fields: got a list of 11, expected 12 values"),
    "one field more": (wire(8, [*GOOD_WIRE[8], None]), "got a list of 13, expected 12 values"),
    "list for a number": (fields_wire(2, [1]), "field statement_balance_minor: got a list of 1"),
    "too deep": (wire(8, nested(8)), "event does not decode"),
    "as deep as an attacker likes": (b"\x91" * 16000, "event does not decode"),
    "too long": (wire(8, ["x" * EVENT_BYTES_MAX]), "at most 16380 are allowed"),
    "wrong number of a choice": (fields_wire(10, 6), "field five_class: got 6, expected one of n"),
}


@pytest.mark.parametrize(("encoded", "message"), BAD_BYTES.values(), ids=BAD_BYTES)
def test_bad_bytes_are_refused_with(encoded: bytes, message: str) -> None:
    with pytest.raises(EventError) as caught:
        decode_event(encoded)
    assert message in str(caught.value)


def test_replacement_on_the_wire_is_checked_like_an_event() -> None:
    good = event_of(SUPERSEDE_LINE)
    reason, replacement = good.fields
    assert isinstance(replacement, tuple)
    number, version, inner = replacement
    assert isinstance(inner, tuple)
    for bad, message in (
        ((999, version, inner), "schema 999 version 1 is unknown"),
        ((number, version, inner[:-1]), "fields: got a list of 11, expected 12 values"),
        ((number, version, (*inner[:3], 5, *inner[4:])), "expected both 0 or neither"),
        ((RETRACT.number, 1, (1,)), "got correction.retract, expected type, version and fields"),
        ((number, version), "field replacement: got a list of 2"),
    ):
        event = msgspec.structs.replace(good, fields=(reason, bad))
        with pytest.raises(EventError) as caught:
            decode_event(encode(event))
        assert message in str(caught.value)


def test_event_that_breaks_its_schema_is_not_encoded() -> None:
    broken = msgspec.structs.replace(GOOD, fields=(*GOOD.fields[:-1], 99))
    with pytest.raises(EventError, match="field asset_status: got 99"):
        encode_event(broken)


def test_category_is_that_of_the_type_and_of_what_a_correction_puts_in_place() -> None:
    assert category_of(event_of(STATEMENT_LINE)) is Category.ACCOUNT
    assert category_of(event_of(TAX_LINE)) is Category.PUBLIC_RECORD
    assert category_of(event_of(SUPERSEDE_LINE)) is Category.ACCOUNT
    assert category_of(event_of(RETRACT_LINE)) is None


@pytest.mark.parametrize(
    ("occurred_on", "months", "last"),
    [
        ("2026-05-31", 60, "2031-05"),
        ("2024-02-29", 60, "2029-02"),
        ("2026-12-01", 1, "2027-01"),
        ("2026-12-01", 0, "2026-12"),
    ],
)
def test_body_is_kept_to_the_end_of_a_month(occurred_on: str, months: int, last: str) -> None:
    year, month = (int(part) for part in last.split("-"))
    assert retain_month(occurred_on, months) == year * 12 + month - 1


ASCII = st.characters(codec="ascii", exclude_categories=["Cc"])


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Amount():
            return st.integers(kind.minor_min, AMOUNT_MINOR_MAX)
        case Integer():
            return st.integers(kind.minimum, kind.maximum)
        case Choice():
            return st.integers(1, len(kind.names))
        case Currency():
            return st.sampled_from(["CNY", "TWD", "JPY"])
        case Day():
            return st.dates().map(date.isoformat)
        case Period():
            return st.dates().map(lambda day: day.isoformat()[:7])
        case Text():
            return st.text(ASCII, min_size=1, max_size=min(kind.chars_max, 20))
        case Rows():
            cells = st.tuples(*[values_of(item.kind) for item in kind.fields])
            return st.lists(cells, min_size=1, max_size=kind.rows_max).map(tuple)
        case Replacement():
            inner = st.sampled_from([schema for schema in SCHEMAS if not schema.corrects])
            return inner.flatmap(
                lambda schema: st.tuples(
                    st.just(schema.number), st.just(schema.version), fields_of(schema)
                )
            )
    raise AssertionError(kind)


def fields_of(schema: EventSchema) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(
        *[
            st.none() | values_of(item.kind) if item.optional else values_of(item.kind)
            for item in schema.fields
        ]
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Draw events of the right shape; rules between fields may be broken."""
    schema = draw(st.sampled_from(list(SCHEMAS)))
    fields = draw(fields_of(schema))
    replaced = SCHEMAS.get(*fields[-1][:2]) if schema is SUPERSEDE else schema
    return Event(
        schema=schema.number,
        version=schema.version,
        occurred_on=draw(st.dates()).isoformat(),
        basis=draw(st.sampled_from(sorted(replaced.bases))),
        ref=draw(st.binary(min_size=16, max_size=16)),
        account=None if replaced.account is Handle.ABSENT else b"a" * 16,
        check=b"c" * 16,
        target=(draw(st.integers(0, 2**64 - 1)), 2**32 - 1) if schema.corrects else None,
        fields=fields,
    )


BROKEN_RULE = re.compile(
    "expected (not after|at least|both 0 or neither|all or none)|this [a-z]+ needs "
)


def encoded_or_refused(event: Event) -> bytes | str:
    try:
        return encode_event(event)
    except EventError as error:
        return str(error)


@given(events())
def test_event_of_the_right_shape_reads_back_or_breaks_a_rule(event: Event) -> None:
    encoded = encoded_or_refused(event)
    if isinstance(encoded, str):
        assert BROKEN_RULE.search(encoded), encoded
        return
    assert decode_event(encoded) == event
    shown = json.loads(json.dumps(event_to_json(event)))
    schema = SCHEMAS.get(event.schema, event.version)
    assert SCHEMAS.fields_from_json(schema, shown["fields"]) == event.fields


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_decode_or_raise(encoded: bytes) -> None:
    try:
        event = decode_event(encoded)
    except EventError:
        return
    assert encode_event(event) == encoded


@given(st.integers(0, 100), st.integers(0, 255))
def test_changed_byte_decodes_to_another_event_or_raises(place: int, value: int) -> None:
    original = encode_event(GOOD)
    encoded = bytes([*original[:place], value, *original[place + 1 :]])
    try:
        event = decode_event(encoded)
    except EventError:
        return
    assert (event == GOOD) == (encoded == original)
    assert encode_event(event) == encoded


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from(GOOD_LINES), st.data())
def test_any_json_in_any_place_is_read_or_refused(
    line: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(line)))
    broken = changed(line, **{key: data.draw(JSON)})
    name = data.draw(st.sampled_from(sorted(line["fields"])))
    for attempt in (broken, with_fields(line, **{name: data.draw(JSON)})):
        try:
            event = event_of(attempt)
        except EventError:
            continue
        assert check_event(decode_event(encode_event(event))) == event


def test_values_by_name_stand_in_the_order_of_the_schema() -> None:
    assert CLOSED.values(opened_on="2026-01-01", reason=1) == (1, "2026-01-01", None, None)
    with pytest.raises(AssertionError, match=r"account\.closed version 1 has no field colour"):
        CLOSED.values(reason=1, colour=2)
    assert len(STATEMENT.values(period="2026-01")) == len(STATEMENT.fields)


def test_numbers_of_bases_are_in_the_json_names() -> None:
    assert [
        event_to_json(event_of(changed(STATEMENT_LINE, basis=basis.name.lower())))["basis"]
        for basis in (Basis.CONSENT, Basis.CONTRACT, Basis.STATUTORY)
    ] == ["consent", "contract", "statutory"]
