"""Guarantees: what a subject owes if somebody else does not pay."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import CONSENT_TO_COLLECT, FIVE_YEARS, PRIOR_NOTICE
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    CODE,
    CURRENCY,
    MONEY,
    NAME,
    POSITIVE,
    UNTIL,
    UNTIL_LATER,
)
from tradeline_ledger.field import Choice, Field
from tradeline_ledger.polarity import NEGATIVE, NEUTRAL, Leaning
from tradeline_ledger.rule import GivenTogether, Rule
from tradeline_ledger.schema import EventSchema, Handle
from tradeline_ledger.tag import Category

GUARANTEE: Final = Choice(("joint", "general", "collateral", "mortgage", "pledge"))
RELEASE: Final = Choice(("paid", "expired", "replaced", "other"))
DEBTOR_TYPE: Final = Choice(("resident_id", "uscc", "lei", "us_ssn"))


def _guarantee(
    number: int,
    name: str,
    doc: str,
    fields: tuple[Field, ...],
    *rules: Rule,
    leaning: Leaning = NEUTRAL,
) -> EventSchema:
    return EventSchema(
        number=number,
        version=1,
        name=f"guarantee.{name}",
        category=Category.ACCOUNT,
        bases=ACCOUNT_BASES,
        account=Handle.REQUIRED,
        fields=fields,
        rules=rules,
        doc=doc,
        leaning=leaning,
        law=(CONSENT_TO_COLLECT, PRIOR_NOTICE, FIVE_YEARS),
    )


GIVEN: Final = _guarantee(
    17,
    "given",
    "The subject vouched for somebody else's debt on that day; `account` is the contributor's "
    "reference of the guarantee.",
    (
        Field("kind", GUARANTEE, "what the guarantor answers with"),
        CURRENCY,
        Field("amount_minor", POSITIVE, "most that can be asked for"),
        UNTIL,
        Field("debtor_name", NAME, "whose debt it is", optional=True),
        Field("debtor_type", DEBTOR_TYPE, "kind of the debtor's identifier", optional=True),
        Field("debtor_number", CODE, "the debtor's identifier, never the subject's", optional=True),
    ),
    UNTIL_LATER,
    GivenTogether(("debtor_type", "debtor_number")),
)
RELEASED: Final = _guarantee(
    18,
    "released",
    "A guarantee ended on that day without more to pay.",
    (Field("reason", RELEASE, "why"),),
)
CALLED: Final = _guarantee(
    19,
    "called",
    "The creditor asked the guarantor to pay on that day.",
    (
        CURRENCY,
        Field("amount_minor", POSITIVE, "asked for"),
        Field("paid_minor", MONEY, "paid upon it so far", optional=True),
    ),
    leaning=NEGATIVE,
)

GUARANTEES: Final = (GIVEN, RELEASED, CALLED)
"""All types of the group, in the order of their numbers."""
