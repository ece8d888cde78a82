"""
Events of one Metro 2 record.

A record is a snapshot of one month, and each consumer in it has a share in the account: the events
are the same for each, but for the role. What repeats from month to month, such as the opening, has
the same reference each time, so that what comes again is known to be the same.

Metro 2 says days past due in buckets of 30: the least of the bucket is taken. Status 11 with an
amount past due is less than 30 days late; 1 is taken. In default the days count from the first
delinquency.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tradeline_client.metro2 import codes
from tradeline_client.metro2.consumer import consumer
from tradeline_client.metro2.layout import J1, J2, K1, K2, L1
from tradeline_client.metro2.refusal import RecordFault, RejectedError, rejected
from tradeline_ledger.errors import EventError
from tradeline_ledger.event_types.account import DIRECTION
from tradeline_ledger.grid import METRO2_PROFILE, METRO2_STATUS
from tradeline_ledger.schemas import (
    ASSET_STATUS,
    CLOSED,
    CLOSURE,
    DAYS_PAST_DUE_MAX,
    DEFAULT,
    DEFAULTED,
    DELINQUENCY,
    OPENED,
    PAYMENT,
    PAYMENT_MADE,
    RESOLUTION,
    RESOLVED,
    SCHEMAS,
    STAGE,
    STAGE_DAYS,
    STATEMENT,
    TRANSFERRED,
    UPDATE_REASON,
    UPDATED,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.metro2.record import Record
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.schema import EventSchema

EVENT_TYPES: Final = (
    *(OPENED, UPDATED, STATEMENT, PAYMENT_MADE, DELINQUENCY, DEFAULTED, RESOLVED),
    *(TRANSFERRED, CLOSED),
)
"""What a record can become, in the order in which it happens."""


class AccountEvent(NamedTuple):
    """One event about one consumer."""

    schema: EventSchema
    subject: SubjectId
    occurred_on: str
    ref: str
    account: str
    fields: tuple[Any, ...]


def events_of(
    record: Record, today: str
) -> tuple[tuple[AccountEvent, ...], tuple[RecordFault, ...]]:
    """
    Return what a base record becomes, by time, and what is wrong with it.

    A record with a fault that rejects it becomes nothing.

    Args:
        record: with a base segment.
        today: `YYYY-MM-DD`, after which nothing can have happened yet.
    """
    faults: list[RecordFault] = []
    try:
        account = _Account(record, today)
        parts = list(account.parts(faults))
        events: list[AccountEvent] = []
        for place, segment in enumerate((record.base, *record.appended(J1, J2))):
            who = consumer(segment, int(today[:4]), faults)
            if who is not None:
                events += account.events(parts, *who, suffix=f" {place}" if place else "")
    except RejectedError as error:
        return (), (error.fault,)
    return tuple(events), tuple(faults)


class _Part(NamedTuple):
    """An event that still lacks its consumer."""

    schema: EventSchema
    occurred_on: str
    ref: str
    values: dict[str, Any]


class _Account:
    """One record, its fields in the ledger's words."""

    def __init__(self, record: Record, today: str) -> None:
        base = record.base
        self._record, self._base = record, base
        self._account = base.text("consumer_account_number").strip()
        if not self._account:
            raise rejected("consumer_account_number", "no-account", "blanks", "an account number")
        self._status = base.text("account_status")
        if self._status in codes.DELETIONS:
            raise rejected(
                "account_status",
                "deletion",
                self._status,
                "a status of an account that is to stay",
                "retract its events (correction.retract) with the reason",
            )
        self._on = self._day("date_of_account_information", needed=True)
        if self._on > today:
            name = "date_of_account_information"
            raise rejected(name, "future-date", "a later day", f"not after today, {today}")
        self._opened_on = self._day("date_opened", needed=True)
        self._closed_on = self._day("date_closed")
        self._first_delinquent_on = self._day("date_of_first_delinquency")
        for name, day in (
            ("date_opened", self._opened_on),
            ("date_closed", self._closed_on),
            ("date_of_first_delinquency", self._first_delinquent_on),
        ):
            if day > self._on:
                raise rejected(
                    name, "date-order", "a later day", "not after date_of_account_information"
                )
        if self._closed_on and self._closed_on < self._opened_on:
            raise rejected("date_closed", "date-order", "an earlier day", "not before date_opened")
        self._balance = self._minor("current_balance")
        self._past_due = self._minor("amount_past_due")
        self._days = self._days_past_due()

    def parts(self, faults: list[RecordFault]) -> Iterator[_Part]:
        """Yield the events of the record, in the order of `EVENT_TYPES`."""
        yield self._opened()
        if any(self._record.appended(L1)):
            yield self._part(
                UPDATED, self._on, "number", reason=UPDATE_REASON.number("number_change")
            )
        yield self._statement()
        if (paid_on := self._day("date_of_last_payment")) and paid_on[:7] == self._on[:7]:
            yield from self._payment(paid_on)
        if self._days >= STAGE_DAYS:
            yield self._delinquency()
        yield from self._defaulted()
        yield from self._resolved()
        yield from self._transferred(faults)
        if self._closed_on:
            yield from self._closed(faults)

    def events(
        self, parts: list[_Part], subject: SubjectId, role: int, *, suffix: str
    ) -> Iterator[AccountEvent]:
        """
        Yield the events for one consumer.

        Raises:
            RejectedError: an event breaks a rule of its type.
        """
        for schema, occurred_on, ref, values in parts:
            given = {**values, "role": role} if schema is OPENED else values
            fields = schema.values(**given)
            try:
                SCHEMAS.check(schema.number, schema.version, fields, occurred_on)
            except EventError as error:
                raise rejected("", "event-rule", str(error), f"a valid {schema.name}") from None
            yield AccountEvent(schema, subject, occurred_on, ref + suffix, self._account, fields)

    def _part(self, schema: EventSchema, occurred_on: str, when: str, **values: Any) -> _Part:
        return _Part(schema, occurred_on, f"{schema.name} {self._account} {when}".strip(), values)

    def _opened(self) -> _Part:
        base = self._base
        product = codes.PRODUCTS.get(base.text("account_type"))
        if product is None:
            raise rejected(
                "account_type",
                "no-product",
                "a type that is no credit, or is unknown",
                "one of " + ", ".join(sorted(codes.PRODUCTS)),
                "leave such accounts out of the file",
            )
        portfolio = codes.PORTFOLIOS[base.text("portfolio_type")]
        limit = "credit_limit" if portfolio in codes.LIMITED else "highest_credit"
        return self._part(
            OPENED,
            self._opened_on,
            "",
            product=product,
            portfolio=portfolio,
            currency=codes.CURRENCY,
            limit_minor=self._minor(limit),
            term_months=self._term(portfolio),
            payment_frequency=codes.FREQUENCIES.get(base.text("terms_frequency")),
        )

    def _term(self, portfolio: int) -> int | None:
        if portfolio not in codes.TERMED:
            return None
        text = self._base.text("terms_duration")
        if not text.isdecimal() or not int(text):
            raise rejected(
                "terms_duration", "no-duration", "no number of months", "001 to 999 for loans"
            )
        return int(text)

    def _statement(self) -> _Part:
        return self._part(
            STATEMENT,
            self._on,
            self._on[:7],
            period=self._on[:7],
            currency=codes.CURRENCY,
            statement_balance_minor=self._balance,
            days_past_due=self._days,
            past_due_minor=self._past_due,
            paid_minor=self._minor("actual_payment"),
            scheduled_due_minor=self._minor("scheduled_monthly_payment"),
            asset_status=self._asset_status(),
        )

    def _asset_status(self) -> int:
        if self._status == "97":
            name = "written_off"
        elif self._status in codes.DEFAULTS:
            name = "non_performing"
        elif self._status == "05":
            name = "transferred"
        else:
            name = "overdue" if self._days >= STAGE_DAYS else "performing"
        return ASSET_STATUS.number(name)

    def _payment(self, paid_on: str) -> Iterator[_Part]:
        paid = self._minor("actual_payment")
        if paid:
            partial = paid < self._minor("scheduled_monthly_payment")
            yield self._part(
                PAYMENT_MADE,
                paid_on,
                paid_on,
                currency=codes.CURRENCY,
                amount_minor=paid,
                kind=PAYMENT.number("partial" if partial else "regular"),
            )

    def _delinquency(self) -> _Part:
        reached = min(self._days // STAGE_DAYS, len(STAGE.names))
        return self._part(
            DELINQUENCY,
            self._on,
            self._on[:7],
            first_delinquent_on=self._delinquent_since(),
            days_past_due=self._days,
            stage=reached,
            currency=codes.CURRENCY if self._past_due else None,
            past_due_minor=self._past_due or None,
        )

    def _defaulted(self) -> Iterator[_Part]:
        """Yield the default in the month in which it was declared, as the history shows it."""
        kind, month = codes.DEFAULTS.get(self._status, ("", ""))
        if not kind or self._base.text("payment_history_profile").startswith(month):
            return
        amount = self._minor("original_charge_off_amount") if kind == "charge_off" else 0
        amount = amount or self._balance or self._past_due
        if not amount:
            raise rejected(
                "current_balance", "default-without-amount", "0", "what was owed at default"
            )
        yield self._part(
            DEFAULTED,
            self._on,
            kind,
            kind=DEFAULT.number(kind),
            currency=codes.CURRENCY,
            amount_minor=amount,
            first_delinquent_on=self._delinquent_since(),
        )

    def _resolved(self) -> Iterator[_Part]:
        settled_less = self._base.text("special_comment") == codes.PAID_FOR_LESS
        if self._status in codes.PAID_DEFAULTS or settled_less:
            kind = "settled_less" if settled_less else "settled_full"
        elif self._status == "89":
            kind = "asset_in_lieu"
        else:
            return
        if self._closed_on and self._closed_on[:7] != self._on[:7]:
            return  # it was reported in its month, with what was paid then
        yield self._part(
            RESOLVED,
            self._closed_on or self._on,
            kind,
            kind=RESOLUTION.number(kind),
            currency=codes.CURRENCY,
            amount_minor=self._minor("actual_payment"),
        )

    def _transferred(self, faults: list[RecordFault]) -> Iterator[_Part]:
        """Yield the sale of a claim; who bought or sold it stands in K2."""
        counterparty = next(self._record.appended(K2), None)
        if counterparty is None or not counterparty.text("purchased_name"):
            return
        creditor = next(self._record.appended(K1), None)
        original = None if creditor is None else creditor.text("original_creditor_name") or None
        sold = counterparty.text("purchased_indicator") == codes.SOLD_TO
        if counterparty.text("purchased_indicator") == codes.PURCHASED_FROM and original is None:
            faults.append(
                RecordFault(
                    "original_creditor_name",
                    "no-original-creditor",
                    "no segment K1",
                    "who first lent, where a claim was bought",
                    rejects=False,
                )
            )
            return
        if sold or counterparty.text("purchased_indicator") == codes.PURCHASED_FROM:
            yield self._part(
                TRANSFERRED,
                self._closed_on or self._on if sold else self._opened_on,
                "sold" if sold else "bought",
                direction=DIRECTION.number("given_up" if sold else "taken_over"),
                counterparty=counterparty.text("purchased_name"),
                original_creditor=original,
                opened_on=self._opened_on,
            )

    def _closed(self, faults: list[RecordFault]) -> Iterator[_Part]:
        base = self._base
        if base.text("compliance_condition_code") == codes.CLOSED_BY_CONSUMER:
            reason = "subject_request"
        elif base.text("special_comment") == codes.CLOSED_BY_LENDER:
            reason = "lender"
        elif self._status == "05":
            reason = "transferred"
        elif self._status == "13" or self._status in codes.PAID_DEFAULTS or not self._balance:
            reason = "paid"
        else:
            faults.append(
                RecordFault(
                    "date_closed",
                    "closed-without-reason",
                    "a date of closure with a balance, and no code that says why",
                    "status 05 or 13, special comment M or compliance condition code XA",
                    rejects=False,
                )
            )
            return
        yield self._part(
            CLOSED,
            self._closed_on,
            "",
            reason=CLOSURE.number(reason),
            opened_on=self._opened_on,
            currency=codes.CURRENCY,
            final_balance_minor=self._balance,
        )

    def _days_past_due(self) -> int:
        status, rating = self._status, self._base.text("payment_rating")
        if status in METRO2_STATUS.symbols:
            days = METRO2_STATUS.days(status).first
        elif status not in codes.RATED and status in codes.DEFAULTS:
            days = self._days_in_default()
        elif rating in METRO2_PROFILE.symbols:
            days = METRO2_PROFILE.days(rating).first
        else:
            days = self._days_in_default() if rating else 0
        if days >= STAGE_DAYS and not self._past_due:
            if status in METRO2_STATUS.symbols:
                raise rejected(
                    "amount_past_due", "dpd-without-amount", "0", "what is due at this status"
                )
            return 0  # what was late is paid, sold or written off
        return max(days, 1) if self._past_due else 0

    def _days_in_default(self) -> int:
        since = date.fromisoformat(self._delinquent_since())
        days = (date.fromisoformat(self._on) - since).days
        return min(max(days, 1), DAYS_PAST_DUE_MAX)

    def _delinquent_since(self) -> str:
        if not self._first_delinquent_on:
            raise rejected(
                "date_of_first_delinquency",
                "no-first-delinquency",
                "no day",
                f"the day, at status {self._status}",
            )
        return self._first_delinquent_on

    def _day(self, name: str, *, needed: bool = False) -> str:
        value = self._base[name]
        if isinstance(value, date):
            return value.isoformat()
        if needed:
            raise rejected(name, "no-date", "no day", "a day written as MMDDYYYY")
        return ""

    def _minor(self, name: str) -> int:
        return self._base.number(name) * codes.MINOR_PER_DOLLAR
