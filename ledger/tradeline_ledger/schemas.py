"""
The event types of this version, as data (docs/formats.md, section 4).

Numbers, versions, the order of fields and the names of choices are append-only: a changed type is
a new version beside the old one. `occurred_on` is the day of what is reported, so no type repeats
it as a field. Amounts are in minor units of the event's `currency`; rates are parts per million a
year. Days past due are a number: the buckets that countries use are derived from it.
"""

from __future__ import annotations

from typing import Final

from tradeline_ledger.field import (
    AMOUNT_MINOR_MAX,
    PPM_MAX,
    Amount,
    Choice,
    Currency,
    Day,
    Field,
    Integer,
    Period,
    Replacement,
    Rows,
    Text,
)
from tradeline_ledger.rule import (
    AtLeast,
    GivenTogether,
    Needs,
    NotAfter,
    Reached,
    Rule,
    ZeroTogether,
)
from tradeline_ledger.schema import Basis, EventSchema, Handle, SchemaSet
from tradeline_ledger.tag import Category

DAYS_PAST_DUE_MAX: Final = 36_500
TERM_MONTHS_MAX: Final = 1_200
STAGE_DAYS: Final = 30
AUTHORITY_CHARS_MAX: Final = 100
DOCUMENT_CHARS_MAX: Final = 64
SOURCE_CHARS_MAX: Final = 200

MONEY: Final = Amount()
POSITIVE: Final = Amount(minor_min=1)
BALANCE: Final = Amount(minor_min=-AMOUNT_MINOR_MAX)
RATE: Final = Integer("parts per million a year", 0, PPM_MAX)
TERM: Final = Integer("months", 1, TERM_MONTHS_MAX)

PRODUCT: Final = Choice(
    (
        *("credit_card", "charge_card", "personal_loan", "mortgage", "auto_loan"),
        *("buy_now_pay_later", "overdraft", "credit_line", "business_loan", "factoring"),
        *("lease", "p2p_loan", "margin", "post_paid"),
    )
)
PORTFOLIO: Final = Choice(
    ("line_of_credit", "instalment", "mortgage", "open", "revolving", "lease")
)
ROLE: Final = Choice(("primary", "joint", "guarantor", "authorised_user"))
FREQUENCY: Final = Choice(
    (
        *("single", "daily", "weekly", "biweekly", "semimonthly", "monthly"),
        *("bimonthly", "quarterly", "every_four_months", "semiannual", "yearly"),
    )
)
SECURITY: Final = Choice(("unsecured", "mortgage", "pledge", "guarantee", "mixed"))
REPAYMENT: Final = Choice(
    (
        *("equal_instalments", "equal_principal", "interest_first", "bullet"),
        *("minimum_payment", "irregular"),
    )
)
FEE: Final = Choice(("origination", "annual", "service", "insurance", "guarantee", "other"))
UPDATE_REASON: Final = Choice(
    ("limit", "terms", "restructure", "extension", "number_change", "owner_change")
)
FIVE_CLASS: Final = Choice(("normal", "special_mention", "substandard", "doubtful", "loss"))
ASSET_STATUS: Final = Choice(
    ("performing", "overdue", "non_performing", "written_off", "transferred")
)
PAYMENT: Final = Choice(("regular", "partial", "prepay", "recovery", "guarantor"))
STAGE: Final = Choice(("days_30", "days_60", "days_90", "days_120", "days_150", "days_180"))
DEFAULT: Final = Choice(
    (
        *("charge_off", "doubtful", "collection", "foreclosure", "repossession"),
        *("compensated", "asset_disposal", "payment_default"),
    )
)
RESOLUTION: Final = Choice(
    (
        *("cured", "settled_full", "settled_less", "restructured", "guarantor_paid"),
        *("asset_in_lieu", "sold"),
    )
)
CLOSURE: Final = Choice(("paid", "subject_request", "lender", "lost", "expired", "transferred"))
SEVERITY: Final = Choice(("light", "general", "serious"))
JUDGMENT_STATUS: Final = Choice(("in_force", "fulfilled", "set_aside"))
ENFORCEMENT_STATUS: Final = Choice(("opened", "settled", "concluded", "ended_without_assets"))
TAX: Final = Choice(("value_added", "company_income", "personal_income", "property", "other"))
PENALTY: Final = Choice(
    ("warning", "fine", "confiscation", "suspension", "licence_revoked", "other")
)
CORRECTION_REASON: Final = Choice(
    ("furnisher_error", "matching_error", "dispute", "court", "fraud", "repair")
)

_CURRENCY = Field("currency", Currency(), "currency of all amounts of the event")
_CURRENCY_IF_ANY = Field("currency", Currency(), "currency of all amounts, if any", optional=True)
_FIRST_DELINQUENT = Field(
    "first_delinquent_on",
    Day(),
    "first day past due; the same for as long as the delinquency continues",
)

_ACCOUNT_BASES = frozenset({Basis.CONSENT, Basis.CONTRACT, Basis.STATUTORY})
_PUBLIC_BASES = frozenset({Basis.PUBLIC})
_PUBLIC_RECORD = (
    Field("authority", Text(AUTHORITY_CHARS_MAX), "who made the record"),
    Field("document_no", Text(DOCUMENT_CHARS_MAX), "number of the document at that authority"),
    Field("severity", SEVERITY, "of the breach, as the authority grades it", optional=True),
    Field("until", Day(), "last day on which the record is in effect", optional=True),
    Field("source", Text(SOURCE_CHARS_MAX), "where the authority publishes it", optional=True),
)
_UNTIL_LATER = NotAfter("occurred_on", "until")


def _account(
    number: int, name: str, doc: str, fields: tuple[Field, ...], *rules: Rule
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"account.{name}",
        category=Category.ACCOUNT,
        bases=_ACCOUNT_BASES,
        account=Handle.REQUIRED,
        fields=fields,
        rules=rules,
        doc=doc,
    )


def _public(
    number: int, name: str, doc: str, fields: tuple[Field, ...], *rules: Rule
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"public.{name}",
        category=Category.PUBLIC_RECORD,
        bases=_PUBLIC_BASES,
        account=Handle.ABSENT,
        fields=(*_PUBLIC_RECORD, *fields),
        rules=(_UNTIL_LATER, *rules),
        doc=doc,
    )


def _correction(number: int, name: str, doc: str, fields: tuple[Field, ...]) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"correction.{name}",
        category=None,
        bases=frozenset(Basis),
        account=Handle.AS_TARGET,
        fields=(
            Field("reason", CORRECTION_REASON, "why the event was wrong or must go"),
            *fields,
        ),
        rules=(),
        doc=doc,
    )


OPENED: Final = _account(
    1,
    "opened",
    "An account was opened, or first became known to the contributor, on that day.",
    (
        Field("product", PRODUCT, "what was opened"),
        Field("portfolio", PORTFOLIO, "how it is repaid, in the classes of Metro 2"),
        Field("role", ROLE, "part of the subject in it"),
        _CURRENCY,
        Field("limit_minor", MONEY, "credit limit or principal"),
        Field("term_months", TERM, "agreed duration", optional=True),
        Field("payment_frequency", FREQUENCY, "how often a payment is due", optional=True),
        Field("rate_ppm", RATE, "nominal interest", optional=True),
        Field("apr_ppm", RATE, "yearly cost with all fees", optional=True),
        Field(
            "fees",
            Rows((Field("fee", FEE, "what for"), Field("amount_minor", MONEY, "how much")), 16),
            "fees that were disclosed",
            optional=True,
        ),
        Field("security", SECURITY, "what secures it", optional=True),
        Field("repayment", REPAYMENT, "plan of repayment", optional=True),
    ),
    AtLeast("apr_ppm", "rate_ppm"),
    Needs("portfolio", PORTFOLIO.numbers("instalment", "mortgage", "lease"), ("term_months",)),
)
UPDATED: Final = _account(
    2,
    "updated",
    "The terms of an account changed on that day; fields hold the new values.",
    (
        Field("reason", UPDATE_REASON, "what changed"),
        _CURRENCY_IF_ANY,
        Field("limit_minor", MONEY, "new credit limit or principal", optional=True),
        Field("term_months", TERM, "new duration", optional=True),
        Field("payment_frequency", FREQUENCY, "how often a payment is now due", optional=True),
        Field("rate_ppm", RATE, "new nominal interest", optional=True),
        Field("apr_ppm", RATE, "new yearly cost with all fees", optional=True),
    ),
    AtLeast("apr_ppm", "rate_ppm"),
    GivenTogether(("currency", "limit_minor")),
    Needs("reason", UPDATE_REASON.numbers("limit"), ("limit_minor",)),
    Needs(
        "reason",
        UPDATE_REASON.numbers("terms", "restructure", "extension"),
        ("term_months", "payment_frequency", "rate_ppm", "apr_ppm", "limit_minor"),
    ),
)
STATEMENT: Final = _account(
    3,
    "statement",
    "The state of an account for one month, as of that day; one for each account and period.",
    (
        Field("period", Period(), "month that the statement is about"),
        _CURRENCY,
        Field("statement_balance_minor", BALANCE, "billed; below 0 where the lender owes"),
        Field("days_past_due", Integer("days", 0, DAYS_PAST_DUE_MAX), "of the oldest amount due"),
        Field("past_due_minor", MONEY, "due and not paid", optional=True),
        Field("paid_minor", MONEY, "paid in the period", optional=True),
        Field("minimum_due_minor", MONEY, "least payment asked for", optional=True),
        Field("scheduled_due_minor", MONEY, "instalment of the plan", optional=True),
        Field("closing_balance_minor", BALANCE, "owed at the end of the day", optional=True),
        Field("rate_ppm", RATE, "interest charged", optional=True),
        Field("five_class", FIVE_CLASS, "class of loan risk (CN)", optional=True),
        Field("asset_status", ASSET_STATUS, "in the contributor's books", optional=True),
    ),
    ZeroTogether("past_due_minor", "days_past_due"),
    NotAfter("period"),
)
PAYMENT_MADE: Final = _account(
    4,
    "payment",
    "A payment arrived on that day.",
    (
        _CURRENCY,
        Field("amount_minor", MONEY, "paid"),
        Field("kind", PAYMENT, "what it was for or who made it"),
    ),
)
DELINQUENCY: Final = _account(
    5,
    "delinquency",
    "An account was past due on that day.",
    (
        _FIRST_DELINQUENT,
        Field("days_past_due", Integer("days", 1, DAYS_PAST_DUE_MAX), "of the oldest amount due"),
        Field("stage", STAGE, "stage that was reached", optional=True),
        _CURRENCY_IF_ANY,
        Field("past_due_minor", POSITIVE, "due and not paid", optional=True),
    ),
    NotAfter("first_delinquent_on"),
    Reached("stage", "days_past_due", STAGE_DAYS),
    GivenTogether(("currency", "past_due_minor")),
)
DEFAULTED: Final = _account(
    6,
    "default",
    "The contributor declared an account in default on that day.",
    (
        Field("kind", DEFAULT, "what was declared"),
        _CURRENCY,
        Field("amount_minor", POSITIVE, "owed at default"),
        _FIRST_DELINQUENT,
    ),
    NotAfter("first_delinquent_on"),
)
RESOLVED: Final = _account(
    7,
    "resolved",
    "A delinquency or default ended on that day.",
    (
        Field("kind", RESOLUTION, "how it ended"),
        _CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "paid or received to end it", optional=True),
    ),
    GivenTogether(("currency", "amount_minor")),
    Needs("kind", RESOLUTION.numbers("settled_full", "settled_less", "sold"), ("amount_minor",)),
)
CLOSED: Final = _account(
    8,
    "closed",
    "An account was closed on that day.",
    (
        Field("reason", CLOSURE, "why, or by whom"),
        Field("opened_on", Day(), "day on which it was opened", optional=True),
        _CURRENCY_IF_ANY,
        Field("final_balance_minor", MONEY, "owed at closure", optional=True),
    ),
    NotAfter("opened_on"),
    GivenTogether(("currency", "final_balance_minor")),
)

JUDGMENT: Final = _public(
    9,
    "judgment",
    "A court decided against the subject on that day.",
    (
        _CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "to be paid", optional=True),
        Field("status", JUDGMENT_STATUS, "of the judgment"),
    ),
    GivenTogether(("currency", "amount_minor")),
)
ENFORCEMENT: Final = _public(
    10,
    "enforcement",
    "An enforcement against the subject changed its status on that day.",
    (
        _CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "to be enforced", optional=True),
        Field("status", ENFORCEMENT_STATUS, "of the enforcement"),
    ),
    GivenTogether(("currency", "amount_minor")),
)
TAX_ARREARS: Final = _public(
    11,
    "tax_arrears",
    "An authority announced unpaid tax of the subject on that day.",
    (
        Field("tax", TAX, "kind of tax"),
        _CURRENCY,
        Field("amount_minor", POSITIVE, "unpaid"),
    ),
)
ADMIN_PENALTY: Final = _public(
    12,
    "admin_penalty",
    "An authority imposed a penalty on the subject on that day.",
    (
        Field("penalty", PENALTY, "kind of penalty"),
        _CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "fined or confiscated", optional=True),
    ),
    GivenTogether(("currency", "amount_minor")),
    Needs("penalty", PENALTY.numbers("fine", "confiscation"), ("amount_minor",)),
)

SUPERSEDE: Final = _correction(
    13,
    "supersede",
    "The target said something wrong: `occurred_on`, account and these fields take its place. The "
    "day stays in the target's year; an event that belongs elsewhere is retracted and posted anew.",
    (Field("replacement", Replacement(), "what the target should have said"),),
)
RETRACT: Final = _correction(
    14,
    "retract",
    "The target must not be counted; `occurred_on` is the target's.",
    (),
)

SCHEMAS: Final = SchemaSet(
    (
        *(OPENED, UPDATED, STATEMENT, PAYMENT_MADE, DELINQUENCY, DEFAULTED, RESOLVED, CLOSED),
        *(JUDGMENT, ENFORCEMENT, TAX_ARREARS, ADMIN_PENALTY),
        *(SUPERSEDE, RETRACT),
    )
)
