"""
Fields and bounds that event types of several groups share.

`occurred_on` is the day of what is reported, so no type repeats it as a field. Amounts are in
minor units of the event's `currency`; rates are parts per million a year, shares per mille.
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
    Rows,
    Text,
)
from tradeline_ledger.rule import GivenTogether, NotAfter
from tradeline_ledger.schema import Basis

AUTHORITY_CHARS_MAX: Final = 100
DOCUMENT_CHARS_MAX: Final = 64
SOURCE_CHARS_MAX: Final = 200
NAME_CHARS_MAX: Final = 100
CODE_CHARS_MAX: Final = 64
ADDRESS_CHARS_MAX: Final = 200
PHONE_CHARS_MAX: Final = 20
STATEMENT_CHARS_MAX: Final = 500
HASH_CHARS_MAX: Final = 64
REASONS_MAX: Final = 5
PHONES_MAX: Final = 5
PERMILLE_MAX: Final = 1_000

MONEY: Final = Amount()
POSITIVE: Final = Amount(minor_min=1)
BALANCE: Final = Amount(minor_min=-AMOUNT_MINOR_MAX)
RATE: Final = Integer("parts per million a year", 0, PPM_MAX)
COUNT: Final = Integer("occurrences", 0, 2**40)
PERMILLE: Final = Integer("per mille", 0, PERMILLE_MAX)
RULE_VERSION: Final = Integer("versions", 1, 1_000_000)
NAME: Final = Text(NAME_CHARS_MAX)
CODE: Final = Text(CODE_CHARS_MAX)
HASH: Final = Text(HASH_CHARS_MAX)
PHONE: Final = Text(PHONE_CHARS_MAX)
YES_NO: Final = Choice(("no", "yes"))

CURRENCY: Final = Field("currency", Currency(), "currency of all amounts of the event")
CURRENCY_IF_ANY: Final = Field(
    "currency", Currency(), "currency of all amounts, if any", optional=True
)
PERIOD: Final = Field("period", Period(), "month that it is about")
UNTIL: Final = Field("until", Day(), "last day on which it is in effect", optional=True)
RULE_ID: Final = Field("rule", CODE, "name of the rule that it follows from")
REASON_CODES: Final = Field(
    "reasons",
    Rows((Field("code", CODE, "code of a reason"),), REASONS_MAX),
    "why, the weightiest first",
    optional=True,
)
PHONES: Final = Field(
    "phones",
    Rows((Field("number", PHONE, "as it is dialled"),), PHONES_MAX),
    "where the subject is reached",
    optional=True,
)
INPUTS_HASH: Final = Field(
    "inputs_hash", HASH, "SHA-256 in hex of what it was computed from, so that it can be repeated"
)
ADVERSE_NOTICE: Final = Field(
    "adverse_notice_on",
    Day(),
    "day on which the subject, before consenting in writing, was told what may follow from it",
)

ADVERSE_NOTICE_BEFORE: Final = NotAfter("adverse_notice_on")
UNTIL_LATER: Final = NotAfter("occurred_on", "until")
PERIOD_OVER: Final = NotAfter("period")
AMOUNT_WITH_CURRENCY: Final = GivenTogether(("currency", "amount_minor"))

ACCOUNT_BASES: Final = frozenset({Basis.CONSENT, Basis.CONTRACT, Basis.STATUTORY})
PUBLIC_BASES: Final = frozenset({Basis.PUBLIC})
CONSENT_ONLY: Final = frozenset({Basis.CONSENT})
