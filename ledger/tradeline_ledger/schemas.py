"""
The event types of this version, as data (docs/formats.md, section 4).

The groups are modules of `tradeline_ledger.event_types`; what is used most can be had from here.
"""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import Final

from tradeline_ledger.event_types.account import (
    ACCOUNTS,
    APPLICATION,
    ASSET_STATUS,
    CLOSED,
    CLOSURE,
    DAYS_PAST_DUE_MAX,
    DEFAULT,
    DEFAULTED,
    DELINQUENCY,
    FIVE_CLASS,
    FREQUENCY,
    OPENED,
    PAYMENT,
    PAYMENT_MADE,
    PORTFOLIO,
    PRODUCT,
    REPAYMENT,
    RESOLUTION,
    RESOLVED,
    ROLE,
    SECURITY,
    STAGE,
    STAGE_DAYS,
    STATEMENT,
    TRANSFERRED,
    UPDATE_REASON,
    UPDATED,
)
from tradeline_ledger.event_types.correction import (
    CORRECTION_REASON,
    CORRECTIONS,
    RETRACT,
    SUPERSEDE,
)
from tradeline_ledger.event_types.guarantee import (
    GUARANTEES,
)
from tradeline_ledger.event_types.notice import (
    NOTICES,
)
from tradeline_ledger.event_types.platform import (
    PLATFORMS,
)
from tradeline_ledger.event_types.public import (
    ADMIN_PENALTY,
    ENFORCEMENT,
    ENFORCEMENT_STATUS,
    JUDGMENT,
    JUDGMENT_STATUS,
    PENALTY,
    PUBLIC_RECORDS,
    SEVERITY,
    TAX,
    TAX_ARREARS,
)
from tradeline_ledger.event_types.subject import (
    SUBJECTS,
)
from tradeline_ledger.event_types.verdict import (
    VERDICTS,
)
from tradeline_ledger.schema import SchemaSet

__all__ = [
    "ADMIN_PENALTY",
    "APPLICATION",
    "ASSET_STATUS",
    "CLOSED",
    "CLOSURE",
    "CORRECTION_REASON",
    "DAYS_PAST_DUE_MAX",
    "DEFAULT",
    "DEFAULTED",
    "DELINQUENCY",
    "ENFORCEMENT",
    "ENFORCEMENT_STATUS",
    "FIVE_CLASS",
    "FREQUENCY",
    "JUDGMENT",
    "JUDGMENT_STATUS",
    "OPENED",
    "PAYMENT",
    "PAYMENT_MADE",
    "PENALTY",
    "PORTFOLIO",
    "PRODUCT",
    "REPAYMENT",
    "RESOLUTION",
    "RESOLVED",
    "RETRACT",
    "ROLE",
    "SCHEMAS",
    "SECURITY",
    "SEVERITY",
    "STAGE",
    "STAGE_DAYS",
    "STATEMENT",
    "SUPERSEDE",
    "TAX",
    "TAX_ARREARS",
    "TRANSFERRED",
    "UPDATED",
    "UPDATE_REASON",
]

SCHEMAS: Final = SchemaSet(
    sorted(
        chain(
            *(ACCOUNTS, PUBLIC_RECORDS, CORRECTIONS, GUARANTEES),
            *(SUBJECTS, PLATFORMS, NOTICES, VERDICTS),
        ),
        key=attrgetter("number", "version"),
    )
)
"""All types, in the order of their numbers."""
