"""A verified report as one JSON value, for scripts and scoring programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.account_months import account_months
from tradeline_ledger.calendar import period
from tradeline_ledger.consent import Purpose
from tradeline_ledger.currency import MINOR_DIGITS, format_minor
from tradeline_ledger.event import event_to_json
from tradeline_ledger.mark import MarkKind, MarkReason
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    import enum

    from tradeline_ledger.report_parts import Filed, Report, ReportEvent
    from tradeline_ledger.resolution import Chain, EffectiveEvent
    from tradeline_ledger.standing import ProvenMark


_MINOR: Final = "_minor"
"""End of the names of fields that hold amounts in minor units."""


def report_to_json(report: Report) -> dict[str, Any]:
    """Return the JSON value of a report; new keys may be added, none goes away."""
    return {
        "ledger_id": report.ledger_id.hex(),
        "inquiry": report.inquiry,
        "reader": report.reader,
        "consent": report.consent_id.hex(),
        "purpose": name_of(Purpose, report.purpose),
        "categories": [name_of(Category, each) for each in report.categories],
        "contributors": None if report.contributors is None else list(report.contributors),
        "years": list(report.years),
        "completeness": _completeness(report),
        "members": [
            {
                "id": each.id,
                "name": each.name,
                "group": each.group,
                "roles": [role.name.lower() for role in each.roles if role.name],
            }
            for each in report.members
        ],
        "events": [{**_filed(each.filed), **event_to_json(each.event)} for each in report.events],
        "effective": [effective_to_json(each) for each in report.effective],
        "corrections": [chain_to_json(each) for each in report.chains],
        "months": [
            {
                "account": each.account.hex(),
                "last_month": period(each.last_month),
                "pboc": each.pboc,
                "metro2": each.metro2,
            }
            for each in account_months(report.effective)
        ],
        "inquiries": [
            {
                **_filed(each.filed),
                "consent": each.consent_id.hex(),
                "purpose": name_of(Purpose, each.purpose),
                "categories": [name_of(Category, one) for one in each.categories],
                "contributors": None if each.contributors is None else list(each.contributors),
                "years": list(each.years),
                "own": each.own,
            }
            for each in report.inquiries
        ],
        "gone": [
            {
                **_filed(each.filed),
                "standing": each.standing.value,
                "reason": None if each.reason is None else each.reason.name.lower(),
            }
            for each in report.gone
        ],
        "withheld": [_filed(each) for each in report.withheld],
        "unknown": [_filed(each) for each in report.unknown],
        "invalid": [
            {
                **_filed(each.filed),
                "fault": each.fault.value,
                "detail": each.detail,
                "event": None if each.event is None else event_to_json(each.event),
            }
            for each in report.invalid
        ],
        "warnings": [{"code": each.code.value, "text": each.text} for each in report.warnings],
    }


def name_of(names: type[enum.IntEnum], number: int) -> str:
    """Return the name of a number, the number itself if a newer ledger gave it one."""
    return names(number).name.lower() if number in set(names) else str(number)


def instant(time_ms: int) -> str:
    """Return an instant as `2026-11-23T18:34:43.120Z`."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _completeness(report: Report) -> dict[str, Any]:
    complete = report.completeness
    return {
        "size": complete.size,
        "root": complete.root.hex(),
        "height": complete.height,
        "time_ms": complete.time_ms,
        "validators": list(complete.validators),
        "threshold": complete.threshold,
        "committee": complete.committee,
        "scope_hash": complete.scope_hash.hex(),
        "histories": [
            {"member": each.member, "events": each.events, "marks": each.marks}
            for each in complete.histories
        ],
    }


def _filed(filed: Filed) -> dict[str, Any]:
    return {
        "id": str(filed.id),
        "member": filed.member,
        "height": filed.height,
        "created_ms": filed.created_ms,
        "retain_month": period(filed.retain_month),
        "marks": [_mark(each) for each in filed.marks],
    }


def _mark(proven: ProvenMark) -> dict[str, Any]:
    mark = proven.mark
    moved = mark.what == MarkKind.RETAIN and isinstance(mark.value, int)
    return {
        "index": proven.index,
        "what": name_of(MarkKind, mark.what),
        "month": period(mark.value) if moved and isinstance(mark.value, int) else None,
        "reason": name_of(MarkReason, mark.reason),
        "created_ms": proven.created_ms,
        "later": proven.later,
    }


def effective_to_json(event: EffectiveEvent) -> dict[str, Any]:
    """Return what an event says after all corrections; the keyed account in hex."""
    return {
        "original": str(event.original),
        "source": str(event.source),
        "type": event.schema.name,
        "version": event.schema.version,
        "occurred_on": event.occurred_on,
        "account": None if event.account is None else event.account.hex(),
        "fields": SCHEMAS.fields_to_json(event.schema, event.fields),
    }


def chain_to_json(chain: Chain) -> dict[str, Any]:
    """Return an event, its corrections, and what stands."""
    return {
        "original": str(chain.original),
        "corrections": [str(each) for each in chain.corrections],
        "retracted": chain.retracted,
        "current": None if chain.current is None else effective_to_json(chain.current),
    }


def said(event: ReportEvent) -> str:
    """Return what an event says in one line: its fields in their order."""
    return fields_text(SCHEMAS.fields_to_json(event.schema, event.event.fields))


def fields_text(fields: dict[str, Any]) -> str:
    """
    Return the fields of an event in one line; rows of a list stand in brackets.

    Amounts are written out in the event's currency: `limit 250,000.00 TWD`.
    """
    currency = fields.get("currency")
    amounts = isinstance(currency, str) and currency in MINOR_DIGITS
    said = []
    for name, value in fields.items():
        if amounts and name.endswith(_MINOR) and isinstance(value, int):
            said.append(f"{name.removesuffix(_MINOR)} {format_minor(value, str(currency))}")
        elif not (amounts and name == "currency"):
            said.append(f"{name} {value_text(value)}")
    return ", ".join(said)


def value_text(value: Any) -> str:
    """Return a JSON value for people, in one line."""
    match value:
        case None:
            return "none"
        case dict():
            return "{" + fields_text(value) + "}"
        case list() if any(isinstance(each, dict) for each in value):
            return "[" + "; ".join(value_text(each) for each in value) + "]"
        case list():
            return ", ".join(value_text(each) for each in value) or "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
