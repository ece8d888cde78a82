"""Public records: what courts, tax offices and other authorities say."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import CONSENT_TO_COLLECT, FIVE_YEARS, MEANS, SENSITIVE, Article
from tradeline_ledger.event_types.vocabulary import (
    ADVERSE_NOTICE,
    ADVERSE_NOTICE_BEFORE,
    AMOUNT_WITH_CURRENCY,
    AUTHORITY_CHARS_MAX,
    CONSENT_ONLY,
    CURRENCY,
    CURRENCY_IF_ANY,
    DOCUMENT_CHARS_MAX,
    MONEY,
    NAME,
    POSITIVE,
    PUBLIC_BASES,
    SOURCE_CHARS_MAX,
    UNTIL_LATER,
)
from tradeline_ledger.field import Choice, Day, Field, Period, Text
from tradeline_ledger.polarity import (
    NEGATIVE,
    Leaning,
    OneOf,
    Polarity,
    negative_if,
)
from tradeline_ledger.polarity import POSITIVE as SPEAKS_FOR
from tradeline_ledger.rule import GivenTogether, Needs, Rule
from tradeline_ledger.schema import About, EventSchema, Handle
from tradeline_ledger.tag import Category

SEVERITY: Final = Choice(("light", "general", "serious"))
JUDGMENT_STATUS: Final = Choice(("in_force", "fulfilled", "set_aside"))
ENFORCEMENT_STATUS: Final = Choice(("opened", "settled", "concluded", "ended_without_assets"))
TAX: Final = Choice(("value_added", "company_income", "personal_income", "property", "other"))
PENALTY: Final = Choice(
    ("warning", "fine", "confiscation", "suspension", "licence_revoked", "other")
)

LISTING: Final = Choice(("listed", "removed"))
DISHONESTY: Final = Choice(
    (
        *("able_but_unwilling", "obstruction", "evasion", "false_asset_report"),
        *("breach_of_restriction", "breach_of_settlement", "other"),
    )
)
BANKRUPTCY_KIND: Final = Choice(("liquidation", "reorganisation", "settlement", "personal"))
BANKRUPTCY_STATUS: Final = Choice(("accepted", "plan_confirmed", "concluded", "dismissed"))
ABNORMALITY: Final = Choice(
    ("no_annual_report", "no_disclosure", "false_information", "not_reachable")
)
LICENCE_STATUS: Final = Choice(("granted", "changed", "suspended", "revoked", "expired"))
CONTRIBUTION: Final = Choice(("contributing", "paused", "closed"))
AID: Final = Choice(("minimum_living", "special_hardship", "housing", "temporary"))

_PUBLIC_RECORD = (
    Field("authority", Text(AUTHORITY_CHARS_MAX), "who made the record"),
    Field("document_no", Text(DOCUMENT_CHARS_MAX), "number of the document at that authority"),
    Field("severity", SEVERITY, "of the breach, as the authority grades it", optional=True),
    Field("until", Day(), "last day on which the record is in effect", optional=True),
    Field("source", Text(SOURCE_CHARS_MAX), "where the authority publishes it", optional=True),
)


def _negative_unless(field: str, numbers: tuple[int, ...]) -> Leaning:
    return Leaning(Polarity.NEGATIVE, ((OneOf(field, numbers), Polarity.NEUTRAL),))


def _public(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    leaning: Leaning = NEGATIVE,
    about: About = About.ANY,
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"public.{name}",
        category=Category.PUBLIC_RECORD,
        bases=PUBLIC_BASES,
        account=Handle.ABSENT,
        fields=(*_PUBLIC_RECORD, *fields),
        rules=(UNTIL_LATER, *rules),
        doc=doc,
        about=about,
        leaning=leaning,
        law=(CONSENT_TO_COLLECT, FIVE_YEARS),
    )


def _benefit(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    law: tuple[Article, ...],
    *rules: Rule,
) -> EventSchema:
    """Return a type that an authority reports, but only with the subject's consent."""
    return EventSchema(
        number=number,
        version=1,
        name=f"public.{name}",
        category=Category.PUBLIC_RECORD,
        bases=CONSENT_ONLY,
        account=Handle.ABSENT,
        fields=(*_PUBLIC_RECORD, *fields),
        rules=(UNTIL_LATER, *rules),
        doc=doc,
        about=About.PERSON,
        law=law,
    )


JUDGMENT: Final = _public(
    9,
    "judgment",
    "A court decided against the subject on that day.",
    (
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "to be paid", optional=True),
        Field("status", JUDGMENT_STATUS, "of the judgment"),
    ),
    AMOUNT_WITH_CURRENCY,
    leaning=_negative_unless("status", JUDGMENT_STATUS.numbers("set_aside")),
)
ENFORCEMENT: Final = _public(
    10,
    "enforcement",
    "An enforcement against the subject changed its status on that day.",
    (
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "to be enforced", optional=True),
        Field("status", ENFORCEMENT_STATUS, "of the enforcement"),
    ),
    AMOUNT_WITH_CURRENCY,
)
TAX_ARREARS: Final = _public(
    11,
    "tax_arrears",
    "An authority announced unpaid tax of the subject on that day.",
    (
        Field("tax", TAX, "kind of tax"),
        CURRENCY,
        Field("amount_minor", POSITIVE, "unpaid"),
    ),
)
ADMIN_PENALTY: Final = _public(
    12,
    "admin_penalty",
    "An authority imposed a penalty on the subject on that day.",
    (
        Field("penalty", PENALTY, "kind of penalty"),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "fined or confiscated", optional=True),
    ),
    AMOUNT_WITH_CURRENCY,
    Needs("penalty", PENALTY.numbers("fine", "confiscation"), ("amount_minor",)),
)
DISHONEST_DEBTOR: Final = _public(
    20,
    "dishonest_debtor",
    "A court put the subject on its list of dishonest debtors, or took it off, on that day.",
    (
        Field("ground", DISHONESTY, "what the court found"),
        Field("status", LISTING, "whether it is on the list"),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "still owed", optional=True),
    ),
    AMOUNT_WITH_CURRENCY,
    leaning=_negative_unless("status", LISTING.numbers("removed")),
)
BANKRUPTCY: Final = _public(
    21,
    "bankruptcy",
    "A bankruptcy of the subject changed its status on that day.",
    (
        Field("kind", BANKRUPTCY_KIND, "of the proceedings"),
        Field("status", BANKRUPTCY_STATUS, "of the proceedings"),
    ),
    leaning=_negative_unless("status", BANKRUPTCY_STATUS.numbers("dismissed")),
)
ABNORMAL_OPERATION: Final = _public(
    22,
    "abnormal_operation",
    "The registrar put a firm on its list of abnormal operation, or took it off, on that day.",
    (
        Field("ground", ABNORMALITY, "what the registrar found"),
        Field("status", LISTING, "whether it is on the list"),
    ),
    leaning=_negative_unless("status", LISTING.numbers("removed")),
    about=About.FIRM,
)
AWARD: Final = _public(
    23,
    "award",
    "An authority honoured the subject on that day.",
    (Field("title", NAME, "what for"),),
    leaning=SPEAKS_FOR,
)
LICENCE: Final = _public(
    24,
    "licence",
    "A licence of the subject changed its status on that day.",
    (
        Field("title", NAME, "what it permits"),
        Field("status", LICENCE_STATUS, "of the licence"),
    ),
    leaning=negative_if(
        OneOf("status", LICENCE_STATUS.numbers("suspended", "revoked")),
        otherwise=Polarity.NEUTRAL,
    ),
)
HOUSING_FUND: Final = _benefit(
    25,
    "housing_fund",
    "The state of the subject's account with a housing provident fund on that day.",
    (
        Field("status", CONTRIBUTION, "of the contributions"),
        Field("paid_to", Period(), "last month that is paid"),
        CURRENCY_IF_ANY,
        Field("contribution_minor", MONEY, "paid in a month", optional=True),
        Field("base_minor", MONEY, "monthly wage that it is reckoned from", optional=True),
        Field("employer", NAME, "who pays in", optional=True),
        ADVERSE_NOTICE,
    ),
    (MEANS, SENSITIVE),
    GivenTogether(("currency", "contribution_minor", "base_minor")),
    ADVERSE_NOTICE_BEFORE,
)
SOCIAL_AID: Final = _benefit(
    26,
    "social_aid",
    "An authority granted the subject aid on that day. Aid for the sick is never reported.",
    (
        Field("kind", AID, "of the aid"),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "paid in a month", optional=True),
        ADVERSE_NOTICE,
    ),
    (MEANS, SENSITIVE),
    AMOUNT_WITH_CURRENCY,
    ADVERSE_NOTICE_BEFORE,
)

PUBLIC_RECORDS: Final = (
    *(JUDGMENT, ENFORCEMENT, TAX_ARREARS, ADMIN_PENALTY, DISHONEST_DEBTOR, BANKRUPTCY),
    *(ABNORMAL_OPERATION, AWARD, LICENCE, HOUSING_FUND, SOCIAL_AID),
)
"""All types of the group, in the order of their numbers."""
