"""Platforms and utilities: what is known of those who never borrowed."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.article import (
    CONSENT_TO_COLLECT,
    FIVE_YEARS,
    MINIMAL,
    PRIOR_NOTICE,
    UNRELATED,
)
from tradeline_ledger.event_types.vocabulary import (
    ACCOUNT_BASES,
    COUNT,
    CURRENCY,
    MONEY,
    PERIOD,
    PERIOD_OVER,
    YES_NO,
)
from tradeline_ledger.field import Choice, Field, Integer
from tradeline_ledger.polarity import Above, Polarity, negative_if
from tradeline_ledger.rule import AtLeast, ZeroTogether
from tradeline_ledger.schema import Basis, EventSchema, Handle
from tradeline_ledger.tag import Category

TENURE_DAYS_MAX: Final = 36_500
ARREARS_MONTHS_MAX: Final = 24

SERVICE: Final = Choice(("telecom", "water", "power", "gas"))

PLATFORM_SUMMARY: Final = EventSchema(
    number=31,
    version=1,
    name="platform.summary",
    category=Category.PLATFORM,
    bases=frozenset({Basis.CONSENT, Basis.CONTRACT}),
    account=Handle.ABSENT,
    fields=(
        PERIOD,
        CURRENCY,
        Field("payments", COUNT, "made by a buyer or received by a merchant"),
        Field("volume_minor", MONEY, "of these payments"),
        Field("refunds", COUNT, "of these payments"),
        Field("disputes_lost", COUNT, "decided against the subject"),
        Field("chargebacks", COUNT, "against the subject"),
        Field("tenure_days", Integer("days", 0, TENURE_DAYS_MAX), "on the platform so far"),
        Field("merchant", YES_NO, "whether the subject sells"),
    ),
    rules=(PERIOD_OVER, AtLeast("payments", "refunds")),
    doc="What a subject did on a platform in one month, in sums only: never what was bought or "
    "from whom.",
    leaning=negative_if(
        Above("disputes_lost", 0), Above("chargebacks", 0), otherwise=Polarity.NEUTRAL
    ),
    law=(CONSENT_TO_COLLECT, MINIMAL, UNRELATED),
)
UTILITY_POSTPAID: Final = EventSchema(
    number=32,
    version=1,
    name="utility.postpaid",
    category=Category.PLATFORM,
    bases=ACCOUNT_BASES,
    account=Handle.REQUIRED,
    fields=(
        Field("service", SERVICE, "what is supplied"),
        PERIOD,
        CURRENCY,
        Field("due_minor", MONEY, "billed for the month"),
        Field("paid_minor", MONEY, "paid in the month"),
        Field("past_due_minor", MONEY, "due and not paid, of all months", optional=True),
        Field(
            "months_in_arrears",
            Integer("months", 0, ARREARS_MONTHS_MAX),
            "since the oldest bill past due",
        ),
    ),
    rules=(ZeroTogether("past_due_minor", "months_in_arrears"), PERIOD_OVER),
    doc="The state of a subject's account with a utility for one month, as of that day.",
    leaning=negative_if(Above("months_in_arrears", 0), otherwise=Polarity.POSITIVE),
    law=(CONSENT_TO_COLLECT, PRIOR_NOTICE, FIVE_YEARS),
)

PLATFORMS: Final = (PLATFORM_SUMMARY, UTILITY_POSTPAID)
"""All types of the group, in the order of their numbers."""
