"""Event types as data: the list that never changes, and a type that is added as data only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.article import MEANS
from tradeline_ledger.currency import MINOR_DIGITS, format_minor
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError
from tradeline_ledger.event import retain_month
from tradeline_ledger.field import Choice, Field, Integer, Rows, Text, holds_float, shown
from tradeline_ledger.hashing import digest
from tradeline_ledger.rule import (
    Adds,
    AtLeast,
    GivenTogether,
    GradeFollows,
    Needs,
    NotAfter,
    Reached,
    RowsAtMost,
    Rule,
    Usually,
    ZeroTogether,
)
from tradeline_ledger.sample import Sample
from tradeline_ledger.schema import About, Basis, EventSchema, Handle, SchemaSet
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.tag import Category

LISTING = {
    (1, 1): "account.opened",
    (2, 1): "account.updated",
    (3, 1): "account.statement",
    (4, 1): "account.payment",
    (5, 1): "account.delinquency",
    (6, 1): "account.default",
    (7, 1): "account.resolved",
    (8, 1): "account.closed",
    (9, 1): "public.judgment",
    (10, 1): "public.enforcement",
    (11, 1): "public.tax_arrears",
    (12, 1): "public.admin_penalty",
    (13, 1): "correction.supersede",
    (14, 1): "correction.retract",
    (15, 1): "account.application",
    (16, 1): "account.transferred",
    (17, 1): "guarantee.given",
    (18, 1): "guarantee.released",
    (19, 1): "guarantee.called",
    (20, 1): "public.dishonest_debtor",
    (21, 1): "public.bankruptcy",
    (22, 1): "public.abnormal_operation",
    (23, 1): "public.award",
    (24, 1): "public.licence",
    (25, 1): "public.housing_fund",
    (26, 1): "public.social_aid",
    (27, 1): "subject.identity",
    (28, 1): "subject.means",
    (29, 1): "org.profile",
    (30, 1): "org.financials",
    (31, 1): "platform.summary",
    (32, 1): "utility.postpaid",
    (33, 1): "annotation.statement",
    (34, 1): "protection.freeze",
    (35, 1): "protection.lift",
    (36, 1): "protection.fraud_alert",
    (37, 1): "notice.negative_prior",
    (38, 1): "notice.access",
    (39, 1): "watchlist.listed",
    (40, 1): "watchlist.appealed",
    (41, 1): "watchlist.delisted",
    (42, 1): "reward.granted",
    (43, 1): "reward.ended",
    (44, 1): "risk.signal",
    (45, 1): "score.issued",
    (46, 1): "adverse_action.notice",
}
"""Append only."""
DESCRIBED = {
    14: "147953c255444bade0340e4c56b09260cc9dde067672eedcd1761432b02378b3",
    46: "850ccae62e4056a479a039082db0fa2c8b9558b4163228ae1f59589d2715198e",
}
"""
H("schemas", descriptions of the first so many): changes with any field, bound, name or rule.

Append only: a row that was published stays, a new one covers the types that are added.
"""


def test_numbers_and_names_never_change() -> None:
    assert {(item.number, item.version): item.name for item in SCHEMAS} == LISTING


@pytest.mark.parametrize("count", DESCRIBED)
def test_fields_bounds_choices_and_rules_of_a_version_never_change(count: int) -> None:
    described = encode([schema.describe() for schema in list(SCHEMAS)[:count]])
    assert digest("schemas", described).hex() == DESCRIBED[count], (
        "a published version of an event type changed; add a new version beside it instead"
    )


def test_every_type_is_pinned() -> None:
    assert max(DESCRIBED) == len(LISTING)


def test_numbers_of_bases_never_change() -> None:
    assert {item.name: item.value for item in Basis} == {
        "CONSENT": 1,
        "CONTRACT": 2,
        "PUBLIC": 3,
        "STATUTORY": 4,
    }


WITH_ACCOUNT = {"account", "guarantee", "utility"}
CATEGORY_OF_GROUP = {
    "account": Category.ACCOUNT,
    "guarantee": Category.ACCOUNT,
    "public": Category.PUBLIC_RECORD,
    "correction": None,
    "subject": Category.IDENTITY,
    "org": Category.IDENTITY,
    "platform": Category.PLATFORM,
    "utility": Category.PLATFORM,
}
NEEDS_CONSENT = {"public.housing_fund", "public.social_aid", "subject.means"}


@pytest.mark.parametrize("schema", [*SCHEMAS], ids=lambda schema: schema.name)
def test_group_of_a_type_decides_category_and_account(schema: EventSchema) -> None:
    group = schema.name.partition(".")[0]
    assert schema.category == CATEGORY_OF_GROUP.get(group, Category.OTHER)
    assert schema.corrects == (group == "correction")
    if not schema.corrects and schema.name != "notice.negative_prior":
        assert (schema.account is Handle.REQUIRED) == (group in WITH_ACCOUNT)
    assert schema.doc
    assert all(item.doc for item in schema.fields)


@pytest.mark.parametrize("schema", [*SCHEMAS], ids=lambda schema: schema.name)
def test_only_what_authorities_publish_is_reported_as_public(schema: EventSchema) -> None:
    group = schema.name.partition(".")[0]
    assert (schema.bases == {Basis.PUBLIC}) == (
        group == "public" and schema.name not in NEEDS_CONSENT
    )
    if Basis.PUBLIC in schema.bases:
        assert group in {"public", "org", "correction"}


@pytest.mark.parametrize("schema", [*SCHEMAS], ids=lambda schema: schema.name)
def test_means_of_a_person_need_consent_and_the_day_of_the_notice(schema: EventSchema) -> None:
    restricted = MEANS in schema.law
    assert restricted == (schema.name in NEEDS_CONSENT)
    notice = [item for item in schema.fields if item.name == "adverse_notice_on"]
    assert bool(notice) == restricted
    if restricted:
        assert schema.bases == {Basis.CONSENT}
        assert schema.about is About.PERSON
        assert not notice[0].optional
        assert NotAfter("adverse_notice_on") in schema.rules


def test_category_keeps_every_type_as_long_as_the_params_say() -> None:
    params = Sample().ledger.params
    kept = {schema.category for schema in SCHEMAS if schema.category is not None}
    assert kept == set(Category) - {Category.INQUIRY}
    for category in kept:
        assert retain_month("2026-02-28", params.retain_months(category)) > 2026 * 12


def test_money_has_a_currency_and_is_named_by_its_unit() -> None:
    for schema in SCHEMAS:
        amounts = [item for item in schema.fields if "minor units" in item.kind.expected]
        assert all(item.name.endswith("_minor") or item.name == "fees" for item in amounts)
        assert not amounts or any(item.name == "currency" for item in schema.fields)


BILL = EventSchema(
    number=900,
    version=1,
    name="example.bill",
    category=Category.PLATFORM,
    bases=frozenset({Basis.CONTRACT}),
    account=Handle.REQUIRED,
    fields=(
        Field("service", Choice(("telecom", "water", "power", "gas")), "what is supplied"),
        Field(
            "arrears",
            Rows(
                (
                    Field("months", Integer("months", 1, 24), "how long unpaid"),
                    Field("note", Text(5), "short", optional=True),
                ),
                2,
            ),
            "what is unpaid",
            optional=True,
        ),
    ),
    rules=(),
    doc="A bill of a utility.",
)


def test_new_type_needs_data_only() -> None:
    schemas = SchemaSet([*SCHEMAS, BILL])
    given_fields = {"service": "power", "arrears": [{"months": 2, "note": "电费"}, {"months": 1}]}
    values = schemas.fields_from_json(schemas.named("example.bill"), given_fields)
    assert values == (3, ((2, "电费"), (1, None)))
    assert schemas.check(900, 1, values, "2026-01-01") is BILL
    assert schemas.fields_to_json(BILL, values) == {
        "service": "power",
        "arrears": [{"months": 2, "note": "电费"}, {"months": 1, "note": None}],
    }


@pytest.mark.parametrize(
    ("arrears", "message"),
    [
        ([], "expected 1 to 2 rows"),
        ([{"months": 1}] * 3, "got a list of 3, expected 1 to 2 rows"),
        ([{"months": 0}], "got a list of 1, expected 1 to 2 rows of .months: an integer of months"),
        ([{"months": 1, "note": "123456"}], "got a list of 1, expected 1 to 2 rows"),
        ([{"months": 1, "note": "a\tb"}], "field arrears: text contains a control character"),
        ([{"months": 1.0}], "float money: got a list of 1"),
        ([{"month": 1}], "got an object of 1 keys as a row"),
        ([7], "got 7 as a row"),
        ({"months": 1}, "got an object of 1 keys, expected 1 to 2 rows"),
    ],
)
def test_bad_rows_are_refused(arrears: object, message: str) -> None:
    schemas = SchemaSet([BILL])
    with pytest.raises(EventError, match=message):
        read_and_check(schemas, {"service": "gas", "arrears": arrears})


def read_and_check(schemas: SchemaSet, given_fields: dict[str, object]) -> None:
    values = schemas.fields_from_json(BILL, given_fields)
    schemas.check(900, 1, values, "2026-01-01")


def test_versions_of_a_type_stand_beside_each_other() -> None:
    second = EventSchema(
        number=900,
        version=2,
        name="example.bill",
        category=Category.PLATFORM,
        bases=BILL.bases,
        account=Handle.REQUIRED,
        fields=BILL.fields[:1],
        rules=(),
        doc="A bill of a utility, without arrears.",
    )
    schemas = SchemaSet([BILL, second])
    assert schemas.named("example.bill") is second
    assert schemas.named("example.bill", 1) is BILL
    assert schemas.check(900, 1, (1, None), "2026-01-01") is BILL
    assert schemas.check(900, 2, (1,), "2026-01-01") is second
    with pytest.raises(EventError, match=r"got 3, an unknown version of example\.bill"):
        schemas.named("example.bill", 3)
    with pytest.raises(AssertionError, match="versions have a gap"):
        SchemaSet([second])


RULES: list[tuple[Rule, tuple[object, ...], str | None]] = [
    (ZeroTogether("a", "b"), (0, 0), None),
    (ZeroTogether("a", "b"), (5, 7), None),
    (ZeroTogether("a", "b"), (None, 7), None),
    (ZeroTogether("a", "b"), (0, 7), "a is 0 and b is 7, expected both 0 or neither"),
    (ZeroTogether("a", "b"), (5, 0), "a is 5 and b is 0, expected both 0 or neither"),
    (AtLeast("a", "b"), (5, 5), None),
    (AtLeast("a", "b"), (None, 5), None),
    (AtLeast("a", "b"), (4, 5), "a is 4, expected at least b, which is 5"),
    (NotAfter("a", "b"), ("2026-01-31", "2026-01-31"), None),
    (NotAfter("a", "b"), (None, "2026-01-31"), None),
    (NotAfter("a", "b"), ("2026-02-01", "2026-01-31"), "a is 2026-02-01, expected not after b"),
    (NotAfter("a", "b"), ("2026-01", "2026-01-01"), None),
    (NotAfter("a", "b"), ("2026-02", "2026-01-31"), "a is 2026-02, expected not after b"),
    (NotAfter("a", "b"), ("2026-01-31", "2026-02"), None),
    (GivenTogether(("a", "b")), (None, None), None),
    (GivenTogether(("a", "b")), (1, 0), None),
    (GivenTogether(("a", "b")), (1, None), "b missing, expected all or none of a, b"),
    (Needs("a", (2,), ("b", "c")), (1, None, None), None),
    (Needs("a", (2,), ("b", "c")), (2, None, 0), None),
    (Needs("a", (2,), ("b", "c")), (2, None, None), "this a needs b or c, got null"),
    (Reached("a", "b", 30), (2, 60), None),
    (Reached("a", "b", 30), (None, 1), None),
    (Reached("a", "b", 30), (2, 59), "b is 59, expected at least 60 at this stage"),
    (Adds("a", ("b", "c"), 1), (10, 4, 5), None),
    (Adds("a", ("b", "c"), 1), (10, None, 5), None),
    (Adds("a", ("b", "c"), 1), (10, 4, -5), "a is off by 11, expected a equal to b + c"),
    (RowsAtMost("a", 1, "b", 10), (((1, 4), (2, 6)),), None),
    (RowsAtMost("a", 1, "b", 10), (None,), None),
    (RowsAtMost("a", 1, "b", 10), (((1, 4), (2, 7)),), "11 in all, expected b of all a together"),
    (Usually("a", 1, 9), (9,), None),
    (Usually("a", 1, 9), (None,), None),
    (Usually("a", 1, 9), (0,), "a is 0, expected a usually from 1 to 9"),
    (Usually("a", 1, 9), (10,), "a is 10, expected a usually from 1 to 9"),
    (GradeFollows("a", "b", 90, 3), (1, 90), None),
    (GradeFollows("a", "b", 90, 3), (3, 91), None),
    (GradeFollows("a", "b", 90, 3), (None, 91), None),
    (GradeFollows("a", "b", 90, 3), (2, 91), "a is 2, expected a of 3 or worse where b is over"),
]


@pytest.mark.parametrize(("rule", "values", "broken"), RULES)
def test_rule_says_what_is_broken(
    rule: Rule, values: tuple[object, ...], broken: str | None
) -> None:
    assert len(rule.reads) == len(values)
    found = rule.broken(*values)
    assert found == broken or (found is not None and broken is not None and broken in found)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-391300, "-391300"),
        (110105194912310021, "an integer of more than 12 digits"),
        (10**40, "an integer of more than 12 digits"),
        (1.5, "float 1.5"),
        ("2026-02-30", "'2026-02-30'"),
        ("account.stmt", "'account.stmt'"),
        ("11010519491231002X", "text of 18 characters"),
        ("110105491231002", "text of 15 characters"),
        ("213800KUD8LAJWSQ9D15", "text of 20 characters"),
        ([1, 2], "a list of 2"),
        ({"a": 1}, "an object of 1 keys"),
        (b"x", "a bytes"),
    ],
)
def test_messages_show_no_value_long_enough_to_be_an_identifier(
    value: object, expected: str
) -> None:
    assert shown(value) == expected


def test_float_is_found_as_deep_as_fields_go() -> None:
    deep: object = 1.0
    for _ in range(5):
        deep = [deep]
    assert holds_float(deep)
    assert holds_float({"a": [{"b": 0.5}]})
    assert not holds_float([1, "1.0", None, {"a": True}])


@given(st.integers(-(2**53) + 1, 2**53 - 1), st.sampled_from(sorted(MINOR_DIGITS)))
def test_amounts_print_all_their_digits(amount_minor: int, currency: str) -> None:
    text = format_minor(amount_minor, currency)
    number, code = text.split(" ")
    assert code == currency
    assert int(number.replace(",", "").replace(".", "")) == amount_minor
    assert len(number.partition(".")[2]) == MINOR_DIGITS[currency]


def test_currencies_have_the_digits_of_iso_4217() -> None:
    assert len(MINOR_DIGITS) == 166
    some = {"CNY": 2, "TWD": 2, "JPY": 0, "KWD": 3, "INR": 2, "EUR": 2, "VND": 0, "CLF": 4}
    assert {code: MINOR_DIGITS[code] for code in some} == some
    assert format_minor(-123450, "TWD") == "-1,234.50 TWD"
    assert format_minor(5, "KWD") == "0.005 KWD"
    assert format_minor(1234, "JPY") == "1,234 JPY"
