"""
From events that stand back to the accounts and months of the books.

The inverse of the ready mapping `creforge`: whoever reads events, the lender its own or another
one a report, puts them together here, and compares with the books.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.creforge.books import Row

    from tradeline_ledger.resolution import EffectiveEvent

ACCOUNT_COLUMNS: Final = (
    *("account_id", "subject_id", "inquiry_id", "lender_id", "product_type", "open_date"),
    *("credit_limit", "principal", "tenor_months", "interest_rate", "secured"),
    *("close_date", "close_reason"),
)
MONTH_COLUMNS: Final = (
    *("account_id", "as_of_month", "balance", "amount_due", "amount_paid", "dpd_bucket"),
    *("months_in_arrears", "status"),
)
_LINES: Final = frozenset({"credit_card", "overdraft"})
"""Products with a limit; the others have a principal."""
_PRODUCTS: Final = {"buy_now_pay_later": "bnpl"}
_BUCKETS: Final = ("0", "1-29", "30-59", "60-89", "90-119", "120+")
_MONTH_DAYS: Final = 30
_STATUSES: Final = {
    "performing": "current",
    "overdue": "delinquent",
    "non_performing": "restructured",
}
_REASONS: Final = {
    "paid": "paid_off",
    "subject_request": "closed_by_customer",
    "transferred": "refinanced",
    "lender": "written_off",
}
_MINOR: Final = 100
_PPM: Final = 1_000_000


@dataclass(slots=True)
class Account:
    """What stands about one account."""

    opened: dict[str, Any] = field(default_factory=dict)
    """Fields of `account.opened` by name, with `occurred_on`; empty if none stands."""
    closed: dict[str, Any] = field(default_factory=dict)
    """Those of `account.closed`."""
    months: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Those of `account.statement`, by period."""
    twice: int = 0
    """Events beyond the one that can be: several of one kind, or of a kind not expected."""

    def take(self, event: EffectiveEvent) -> None:
        """Add one event."""
        said = SCHEMAS.fields_to_json(event.schema, event.fields)
        said["occurred_on"] = event.occurred_on
        match event.schema.name:
            case "account.statement":
                self.twice += said["period"] in self.months
                self.months[said["period"]] = said
            case "account.opened":
                self.twice += bool(self.opened)
                self.opened = said
            case "account.closed":
                self.twice += bool(self.closed)
                self.closed = said
            case _:
                self.twice += 1

    def account_row(self) -> Row:
        """Return the row of table `account`, without the columns that hold ids."""
        opened, closed = self.opened, self.closed
        product = str(opened.get("product", ""))
        product = _PRODUCTS.get(product, product)
        limit = _money(opened.get("limit_minor"))
        rate = opened.get("rate_ppm")
        reason = str(closed.get("reason", ""))
        return {
            "product_type": product,
            "open_date": str(opened.get("occurred_on", "")),
            "credit_limit": limit if product in _LINES else "",
            "principal": "" if product in _LINES else limit,
            "tenor_months": _text(opened.get("term_months")),
            "interest_rate": "" if rate is None else _ratio(rate),
            "secured": str(opened.get("security", "unsecured") != "unsecured").lower(),
            "close_date": str(closed.get("occurred_on", "")),
            "close_reason": _REASONS.get(reason, reason),
        }

    def month_rows(self) -> list[Row]:
        """Return the rows of table `account_month`, without the id, by month."""
        return [self._month_row(period) for period in sorted(self.months)]

    def _month_row(self, period: str) -> Row:
        said = self.months[period]
        days = int(said["days_past_due"])
        arrears = days // _MONTH_DAYS + 1 if days else 0
        status = str(said.get("asset_status", ""))
        ends = str(self.closed.get("occurred_on", ""))[:7] == period
        if ends and self.closed["reason"] != "lender":
            status = "closed"
        return {
            "as_of_month": f"{period}-01",
            "balance": _money(said["statement_balance_minor"]),
            "amount_due": _money(said.get("minimum_due_minor")),
            "amount_paid": _money(said.get("paid_minor")),
            "dpd_bucket": _BUCKETS[min(arrears, len(_BUCKETS) - 1)],
            "months_in_arrears": str(arrears),
            "status": _STATUSES.get(status, status),
        }


def assemble(events: Iterable[tuple[Any, EffectiveEvent]]) -> dict[Any, Account]:
    """Return accounts by the key that comes with each event."""
    accounts: dict[Any, Account] = {}
    for key, event in events:
        accounts.setdefault(key, Account()).take(event)
    return accounts


def canonical(row: Mapping[str, str]) -> Row:
    """Return a row of the books as the rebuilt ones are written: amounts and rates alike."""
    written = dict(row)
    for name in ("credit_limit", "principal", "balance", "amount_due", "amount_paid"):
        if written.get(name):
            written[name] = _money(_scaled(written[name], 2))
    if written.get("interest_rate"):
        written["interest_rate"] = _ratio(_scaled(written["interest_rate"], 6))
    return written


def _scaled(text: str, digits: int) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(digits, "0")[:digits])


def _money(minor: Any) -> str:
    if minor is None:
        return ""
    whole, rest = divmod(abs(int(minor)), _MINOR)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:02}"


def _ratio(ppm: int) -> str:
    return f"{ppm // _PPM}.{ppm % _PPM:06}"


def _text(value: Any) -> str:
    return "" if value is None else str(value)
