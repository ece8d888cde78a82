"""Accounts: loans, cards and what else is borrowed, from application to closure."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import CONSENT_TO_COLLECT, FIVE_YEARS, PRIOR_NOTICE
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    AMOUNT_WITH_CURRENCY,
    BALANCE,
    CURRENCY,
    CURRENCY_IF_ANY,
    MONEY,
    NAME,
    POSITIVE,
    RATE,
    REASON_CODES,
)
from tradeline_ledger.field import Choice, Day, Field, Integer, Period, Rows
from tradeline_ledger.finding import Severity
from tradeline_ledger.polarity import (
    NEGATIVE,
    NEUTRAL,
    Above,
    Leaning,
    OneOf,
    Polarity,
    negative_if,
)
from tradeline_ledger.rule import (
    AtLeast,
    GivenTogether,
    GradeFollows,
    Needs,
    NotAfter,
    Reached,
    Rule,
    Usually,
    ZeroTogether,
)
from tradeline_ledger.schema import Doubt, EventSchema, Handle
from tradeline_ledger.tag import Category

DAYS_PAST_DUE_MAX: Final = 36_500
TERM_MONTHS_MAX: Final = 1_200
STAGE_DAYS: Final = 30
RATE_PPM_USUAL_MAX: Final = 360_000
"""36 % a year, above which courts did not enforce interest."""
TERM_MONTHS_USUAL_MAX: Final = 480
DAYS_PAST_DUE_USUAL_MAX: Final = 3_650
AMOUNT_MINOR_USUAL_MAX: Final = 10**13
"""A hundred thousand million of a currency with two digits: a wrong scale shows."""
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
CHANNEL: Final = Choice(("branch", "online", "agent", "phone"))
DECISION: Final = Choice(("pending", "approved", "declined", "withdrawn"))
DIRECTION: Final = Choice(("given_up", "taken_over"))

_FIRST_DELINQUENT = Field(
    "first_delinquent_on",
    Day(),
    "first day past due; the same for as long as the delinquency continues",
)


def _account(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    leaning: Leaning = NEUTRAL,
    doubts: tuple[Doubt, ...] = (),
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"account.{name}",
        category=Category.ACCOUNT,
        bases=ACCOUNT_BASES,
        account=Handle.REQUIRED,
        fields=fields,
        rules=rules,
        doc=doc,
        leaning=leaning,
        law=(CONSENT_TO_COLLECT, PRIOR_NOTICE, FIVE_YEARS),
        doubts=doubts,
    )


OPENED: Final = _account(
    1,
    "opened",
    "An account was opened, or first became known to the contributor, on that day.",
    (
        Field("product", PRODUCT, "what was opened"),
        Field("portfolio", PORTFOLIO, "how it is repaid, in the classes of Metro 2"),
        Field("role", ROLE, "part of the subject in it"),
        CURRENCY,
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
    doubts=(
        Doubt(Usually("rate_ppm", 0, RATE_PPM_USUAL_MAX), Severity.QUARANTINE),
        Doubt(Usually("apr_ppm", 0, RATE_PPM_USUAL_MAX), Severity.QUARANTINE),
        Doubt(Usually("term_months", 1, TERM_MONTHS_USUAL_MAX), Severity.QUARANTINE),
        Doubt(Usually("limit_minor", 1, AMOUNT_MINOR_USUAL_MAX), Severity.WARNING),
    ),
)
UPDATED: Final = _account(
    2,
    "updated",
    "The terms of an account changed on that day; fields hold the new values.",
    (
        Field("reason", UPDATE_REASON, "what changed"),
        CURRENCY_IF_ANY,
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
        CURRENCY,
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
    leaning=negative_if(
        Above("days_past_due", 0),
        OneOf("five_class", FIVE_CLASS.numbers("substandard", "doubtful", "loss")),
        OneOf("asset_status", ASSET_STATUS.numbers("overdue", "non_performing", "written_off")),
        otherwise=Polarity.POSITIVE,
    ),
    doubts=(
        Doubt(Usually("days_past_due", 0, DAYS_PAST_DUE_USUAL_MAX), Severity.QUARANTINE),
        Doubt(AtLeast("statement_balance_minor", "past_due_minor"), Severity.WARNING),
        Doubt(AtLeast("statement_balance_minor", "minimum_due_minor"), Severity.WARNING),
        Doubt(
            Usually("statement_balance_minor", -AMOUNT_MINOR_USUAL_MAX, AMOUNT_MINOR_USUAL_MAX),
            Severity.QUARANTINE,
        ),
        Doubt(GradeFollows("five_class", "days_past_due", 90, 3), Severity.WARNING),
        Doubt(GradeFollows("five_class", "days_past_due", 270, 4), Severity.WARNING),
        Doubt(GradeFollows("five_class", "days_past_due", 360, 5), Severity.WARNING),
    ),
)
PAYMENT_MADE: Final = _account(
    4,
    "payment",
    "A payment arrived on that day.",
    (
        CURRENCY,
        Field("amount_minor", MONEY, "paid"),
        Field("kind", PAYMENT, "what it was for or who made it"),
    ),
    leaning=negative_if(
        OneOf("kind", PAYMENT.numbers("recovery", "guarantor")), otherwise=Polarity.POSITIVE
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
        CURRENCY_IF_ANY,
        Field("past_due_minor", POSITIVE, "due and not paid", optional=True),
    ),
    NotAfter("first_delinquent_on"),
    Reached("stage", "days_past_due", STAGE_DAYS),
    GivenTogether(("currency", "past_due_minor")),
    leaning=NEGATIVE,
    doubts=(Doubt(Usually("days_past_due", 1, DAYS_PAST_DUE_USUAL_MAX), Severity.QUARANTINE),),
)
DEFAULTED: Final = _account(
    6,
    "default",
    "The contributor declared an account in default on that day.",
    (
        Field("kind", DEFAULT, "what was declared"),
        CURRENCY,
        Field("amount_minor", POSITIVE, "owed at default"),
        _FIRST_DELINQUENT,
    ),
    NotAfter("first_delinquent_on"),
    leaning=NEGATIVE,
)
RESOLVED: Final = _account(
    7,
    "resolved",
    "A delinquency or default ended on that day.",
    (
        Field("kind", RESOLUTION, "how it ended"),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "paid or received to end it", optional=True),
    ),
    AMOUNT_WITH_CURRENCY,
    Needs("kind", RESOLUTION.numbers("settled_full", "settled_less", "sold"), ("amount_minor",)),
    leaning=negative_if(
        OneOf(
            "kind",
            RESOLUTION.numbers("settled_less", "restructured", "guarantor_paid", "asset_in_lieu"),
        ),
        otherwise=Polarity.NEUTRAL,
    ),
)
CLOSED: Final = _account(
    8,
    "closed",
    "An account was closed on that day.",
    (
        Field("reason", CLOSURE, "why, or by whom"),
        Field("opened_on", Day(), "day on which it was opened", optional=True),
        CURRENCY_IF_ANY,
        Field("final_balance_minor", MONEY, "owed at closure", optional=True),
    ),
    NotAfter("opened_on"),
    GivenTogether(("currency", "final_balance_minor")),
)
APPLICATION: Final = _account(
    15,
    "application",
    "The subject applied for credit, or the application was decided, on that day; `account` is the "
    "contributor's reference of the application.",
    (
        Field("product", PRODUCT, "what was applied for"),
        Field("channel", CHANNEL, "where", optional=True),
        Field("decision", DECISION, "how it stands"),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "applied for", optional=True),
        REASON_CODES,
    ),
    AMOUNT_WITH_CURRENCY,
    doubts=(
        Doubt(Needs("decision", DECISION.numbers("declined"), ("reasons",)), Severity.WARNING),
    ),
)
TRANSFERRED: Final = _account(
    16,
    "transferred",
    "A claim went from one creditor to another on that day; each reports its side.",
    (
        Field("direction", DIRECTION, "which side the contributor is on"),
        Field("counterparty", NAME, "the other creditor"),
        Field("original_creditor", NAME, "who first lent", optional=True),
        Field("opened_on", Day(), "day on which the account was first opened", optional=True),
        CURRENCY_IF_ANY,
        Field("amount_minor", MONEY, "owed when it went over", optional=True),
    ),
    AMOUNT_WITH_CURRENCY,
    NotAfter("opened_on"),
    Needs("direction", DIRECTION.numbers("taken_over"), ("original_creditor",)),
)

ACCOUNTS: Final = (
    *(OPENED, UPDATED, STATEMENT, PAYMENT_MADE, DELINQUENCY, DEFAULTED, RESOLVED, CLOSED),
    *(APPLICATION, TRANSFERRED),
)
"""All types of the group, in the order of their numbers."""
