"""What the checks of whole events can find, in words, and where they found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_client.imports.fault import RowFault, Severity

if TYPE_CHECKING:
    from tradeline_client.imports.columns import EventColumns


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A kind of finding about an event."""

    code: str
    """Stable name, as of a `RowFault`."""
    got: str
    expected: str
    fix: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """Events of one `EventColumns` that one suspicion falls on."""

    suspicion: Suspicion
    places: NDArray[np.int64]
    """Of the events, ascending."""
    field: str = ""
    """Field of the event, if one is concerned."""

    def faults(self, columns: EventColumns, lines: dict[int, int]) -> list[RowFault]:
        """Return a fault for each place; `lines` has the line of each row."""
        said = self.suspicion
        rows = columns.rows[self.places].tolist()
        return [
            RowFault(
                row=row,
                line=lines.get(row, 0),
                column="",
                field=self.field,
                code=said.code,
                got=said.got,
                expected=said.expected,
                fix=said.fix,
                severity=said.severity,
            )
            for row in rows
        ]


def found(suspicion: Suspicion, mask: NDArray[np.bool_], field: str = "") -> list[Finding]:
    """Return one finding about the events where `mask` is true, none where it never is."""
    places = np.flatnonzero(mask)
    return [Finding(suspicion, places, field)] if len(places) else []


_KEEP_ONE: Final = (
    "accept it if both are right; reject it if it is the same event, and give it one reference"
)

SAME_UNDER_OTHER_REF: Final = Suspicion(
    code="duplicate-other-ref",
    got="an event that was reported before under another reference",
    expected="one reference for one event",
    fix=_KEEP_ONE,
    severity=Severity.QUARANTINE,
)
CONFLICT_UNDER_OTHER_REF: Final = Suspicion(
    code="conflict-other-ref",
    got="other values for what was reported before under another reference",
    expected="one event for each subject, account and period",
    fix="accept it if it is another event; else reject it, and correct the first by its reference",
    severity=Severity.QUARANTINE,
)
REF_SPELLING: Final = Suspicion(
    code="ref-spelling",
    got="a reference that differs from an earlier one only by case, width or spaces",
    expected="the reference as it was spelt first",
    fix="spell references alike; rejected, the row can be sent again under the first spelling",
    severity=Severity.QUARANTINE,
)
CONFLICT_IN_FILE: Final = Suspicion(
    code="conflict-same-ref",
    got="other values under a reference that stands in this file before",
    expected="one row for each reference, or a column that numbers its reports",
    fix="accept it if it corrects the row before; reject it if that one is right",
    severity=Severity.QUARANTINE,
)
TWIN: Final = Suspicion(
    code="twin-on-other-account",
    got="the same amounts on the same day as on another account of the subject",
    expected="amounts of its own for each account",
    fix="nothing if both accounts are real; else retract one",
    severity=Severity.WARNING,
)
ACCOUNT_SPELLING: Final = Suspicion(
    code="account-spelling",
    got="an account reference that differs from an earlier one only by case, width or spaces",
    expected="the reference as it was spelt first, since another spelling is another account",
    fix="spell account references alike; rejected, the row can be sent again in that spelling",
    severity=Severity.QUARANTINE,
)
SIGN: Final = Suspicion(
    code="sign-error",
    got="a balance below 0 of about the usual size of this account",
    expected="a balance above 0, as before and after",
    fix="accept it if the lender owes this amount; else reject it, and mend the sign",
    severity=Severity.QUARANTINE,
)
JUMP: Final = Suspicion(
    code="amount-jump",
    got="a balance many times larger than this account had, and over its limit",
    expected="a balance near those before and after, or within the limit",
    fix="accept it if it is right; else reject it, and mend the amount",
    severity=Severity.QUARANTINE,
)
OUTLIER: Final = Suspicion(
    code="amount-outlier",
    got="an amount far outside of what this field has in this product and period",
    expected="an amount of the usual size, or a history of the account that explains it",
    fix="accept it if it is right; else reject it, and mend the amount",
    severity=Severity.QUARANTINE,
)
DPD_JUMP: Final = Suspicion(
    code="days-past-due-jump",
    got="days past due that rose by more days than passed since the statement before",
    expected="at most the days before and those that passed",
    fix="look whether the buckets of the source were mapped right, or a month is missing",
    severity=Severity.WARNING,
)
PAID_WHILE_ROLLING: Final = Suspicion(
    code="paid-while-rolling",
    got="all that was due was paid, and the days past due rose all the same",
    expected="days past due that fall, or stay, when the amount due is paid",
    fix="look whether the payment or the days are of another month",
    severity=Severity.WARNING,
)
MONTH_MISSING: Final = Suspicion(
    code="month-missing",
    got="a statement whose month before was never reported",
    expected="a statement for each month of an account",
    fix="send the missing month; it fills the hole whenever it comes",
    severity=Severity.WARNING,
)


def scale(tenfold: int) -> Suspicion:
    """Return the suspicion that an amount is `10 ** tenfold` times what it should be."""
    times = f"{10**tenfold} times" if tenfold > 0 else f"one part in {10**-tenfold} of"
    return Suspicion(
        code="scale-error",
        got=f"an amount about {times} what this account has",
        expected="an amount of the account's usual size",
        fix="accept it if it is right; else reject it, and mend the unit or the decimal sign",
        severity=Severity.QUARANTINE,
    )
