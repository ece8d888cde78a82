"""Who a subject is: identity and means of persons, profile and accounts of firms."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import CONSENT_TO_COLLECT, FIRMS, MEANS, MINIMAL, SENSITIVE, Article
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    ADDRESS_CHARS_MAX,
    ADVERSE_NOTICE,
    ADVERSE_NOTICE_BEFORE,
    BALANCE,
    CODE,
    CONSENT_ONLY,
    COUNT,
    CURRENCY,
    CURRENCY_IF_ANY,
    MONEY,
    NAME,
    PERIOD,
    PERIOD_OVER,
    PERMILLE,
    PERMILLE_MAX,
    PHONES,
    PUBLIC_BASES,
    YES_NO,
)
from tradeline_ledger.field import Choice, Day, Field, Integer, Rows, Text
from tradeline_ledger.finding import Severity
from tradeline_ledger.rule import Adds, GivenTogether, NotAfter, RowsAtMost, Rule
from tradeline_ledger.schema import About, Basis, Doubt, EventSchema, Handle
from tradeline_ledger.tag import Category

ADDRESSES_MAX: Final = 5
DOCUMENTS_MAX: Final = 3
SHAREHOLDERS_MAX: Final = 50
INDUSTRY_CHARS_MAX: Final = 8
REGION_CHARS_MAX: Final = 6
ROUNDING_MINOR: Final = 100
"""One unit of most currencies, which is as far as statements are rounded."""

ADDRESS: Final = Choice(("home", "work", "mailing", "registered"))
DOCUMENT: Final = Choice(("passport", "travel_permit", "residence_permit", "military", "other"))
VERIFIED_BY: Final = Choice(("in_person", "video", "register", "document"))
MEANS_KIND: Final = Choice(
    ("income", "deposit", "securities", "commercial_insurance", "real_property", "tax_paid")
)
ORGANISATION: Final = Choice(
    (
        *("company", "sole_trader", "partnership", "cooperative", "public_body", "association"),
        "other",
    )
)
ORGANISATION_STATUS: Final = Choice(
    ("active", "suspended", "revoked", "deregistered", "moved", "liquidating")
)
SCALE: Final = Choice(("micro", "small", "medium", "large"))


def _known(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    about: About,
    bases: frozenset[Basis],
    law: tuple[Article, ...],
    doubts: tuple[Doubt, ...] = (),
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=name,
        category=Category.IDENTITY,
        bases=bases,
        account=Handle.ABSENT,
        fields=fields,
        rules=rules,
        doc=doc,
        about=about,
        law=law,
        doubts=doubts,
    )


IDENTITY: Final = _known(
    27,
    "subject.identity",
    "Who the subject is, as the contributor knew on that day. The identifier that the event is "
    "filed under is not repeated in it, and what has nothing to do with credit has no place.",
    (
        Field("name", NAME, "full name"),
        Field("born_on", Day(), "day of birth", optional=True),
        PHONES,
        Field(
            "addresses",
            Rows(
                (
                    Field("kind", ADDRESS, "what is there"),
                    Field("address", Text(ADDRESS_CHARS_MAX), "in one line"),
                ),
                ADDRESSES_MAX,
            ),
            "where the subject lives or works",
            optional=True,
        ),
        Field("employer", NAME, "who employs the subject", optional=True),
        Field(
            "documents",
            Rows(
                (Field("kind", DOCUMENT, "of the document"), Field("number", CODE, "its number")),
                DOCUMENTS_MAX,
            ),
            "further documents of identity",
            optional=True,
        ),
        Field("verified_by", VERIFIED_BY, "how the contributor made sure"),
        Field("verified_on", Day(), "when"),
    ),
    NotAfter("born_on"),
    NotAfter("verified_on"),
    about=About.PERSON,
    bases=ACCOUNT_BASES,
    law=(CONSENT_TO_COLLECT, MINIMAL),
)
SUBJECT_MEANS: Final = _known(
    28,
    "subject.means",
    "What the subject earned, had or paid in tax, as of that day.",
    (
        Field("kind", MEANS_KIND, "what the amount is"),
        CURRENCY,
        Field("amount_minor", MONEY, "how much"),
        Field("months", Integer("months", 1, 12), "span that it was earned in", optional=True),
        ADVERSE_NOTICE,
    ),
    ADVERSE_NOTICE_BEFORE,
    about=About.PERSON,
    bases=CONSENT_ONLY,
    law=(MEANS, SENSITIVE),
)
PROFILE: Final = _known(
    29,
    "org.profile",
    "What a firm is, as registered or as the contributor knew on that day.",
    (
        Field("name", NAME, "registered name"),
        Field("uscc", CODE, "unified social credit code, where filed under another", optional=True),
        Field("lei", CODE, "legal entity identifier, where filed under another", optional=True),
        Field("kind", ORGANISATION, "of organisation"),
        Field("industry", Text(INDUSTRY_CHARS_MAX), "code of GB/T 4754", optional=True),
        Field("region", Text(REGION_CHARS_MAX), "code of GB/T 2260", optional=True),
        CURRENCY_IF_ANY,
        Field("capital_minor", MONEY, "registered capital", optional=True),
        Field("established_on", Day(), "when it was founded", optional=True),
        Field("status", ORGANISATION_STATUS, "in the register"),
        Field("representative", NAME, "who acts for it by law", optional=True),
        Field(
            "shareholders",
            Rows(
                (
                    Field("name", NAME, "who holds"),
                    Field("share_permille", PERMILLE, "how much of the whole"),
                ),
                SHAREHOLDERS_MAX,
            ),
            "who owns it, the largest first",
            optional=True,
        ),
        Field("scale", SCALE, "size of the business", optional=True),
    ),
    NotAfter("established_on"),
    GivenTogether(("currency", "capital_minor")),
    about=About.FIRM,
    bases=ACCOUNT_BASES | PUBLIC_BASES,
    law=(FIRMS,),
    doubts=(
        Doubt(RowsAtMost("shareholders", 1, "share_permille", PERMILLE_MAX), Severity.QUARANTINE),
    ),
)
FINANCIALS: Final = _known(
    30,
    "org.financials",
    "A firm's accounts for some months, as adopted on that day.",
    (
        PERIOD,
        Field("months", Integer("months", 1, 12), "up to the end of that month"),
        CURRENCY,
        Field("revenue_minor", MONEY, "of these months"),
        Field("profit_minor", BALANCE, "of these months; a loss is below 0"),
        Field("assets_minor", MONEY, "at the end"),
        Field("liabilities_minor", MONEY, "at the end"),
        Field("equity_minor", BALANCE, "at the end"),
        Field("cash_flow_minor", BALANCE, "from operations", optional=True),
        Field("tax_paid_minor", MONEY, "in these months", optional=True),
        Field("headcount", COUNT, "people employed at the end", optional=True),
        Field("audited", YES_NO, "whether an auditor signed"),
        Field("auditor", NAME, "who", optional=True),
    ),
    PERIOD_OVER,
    about=About.FIRM,
    bases=ACCOUNT_BASES | PUBLIC_BASES,
    law=(FIRMS,),
    doubts=(
        Doubt(
            Adds("assets_minor", ("liabilities_minor", "equity_minor"), ROUNDING_MINOR),
            Severity.QUARANTINE,
        ),
    ),
)

SUBJECTS: Final = (IDENTITY, SUBJECT_MEANS, PROFILE, FINANCIALS)
"""All types of the group, in the order of their numbers."""
