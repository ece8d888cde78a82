"""A verified report printed for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tradeline_client.cli.output import print_pairs, print_table
from tradeline_client.cli.report_json import fields_text, instant, name_of, said
from tradeline_ledger.account_months import account_months
from tradeline_ledger.calendar import period
from tradeline_ledger.consent import Purpose
from tradeline_ledger.resolution import is_retraction
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tradeline_ledger.history import EventId
    from tradeline_ledger.report_parts import Report, ReportEvent
    from tradeline_ledger.resolution import Chain


def print_history(report: Report) -> None:
    """Print all that a report says: head, history, corrections, inquiries, what is missing."""
    names = {each.id: each.name for each in report.members}
    _print_head(report, names)
    _print_events(report, names)
    _print_months(report, names)
    _print_corrections(report, names)
    _print_inquiries(report, names)
    _print_gone(report, names)
    _print_invalid(report, names)
    _print_unread(report, names)
    for warning in report.warnings:
        typer.echo(f"warning: {warning.text} ({warning.code.value})")


def completeness_statement(report: Report) -> str:
    """Return the sentence that says as of when, and on whose word, a report is complete."""
    complete = report.completeness
    events = sum(each.events for each in complete.histories)
    whom = "members" if report.contributors is None else "the members asked for"
    return (
        f"Complete as of block {complete.height} ({instant(complete.time_ms)}, {complete.size} log "
        f"entries): {events} events in {len(complete.histories)} histories are all that {whom} "
        f"filed under this subject's tags for {_listed(report.years)}; "
        f"{len(complete.validators)} of {complete.committee} committee members signed the same "
        f"counts, {complete.threshold} were needed. What a member never filed, or filed under a "
        "wrong tag, no ledger can show."
    )


def _print_head(report: Report, names: Mapping[int, str]) -> None:
    asked = report.contributors
    print_pairs(
        (
            ("inquiry", f"entry {report.inquiry}"),
            ("reader", _member(report.reader, names)),
            ("consent", report.consent_id.hex()),
            ("purpose", name_of(Purpose, report.purpose)),
            ("categories", ", ".join(name_of(Category, each) for each in report.categories)),
            ("contributors", "all" if asked is None else _listed(asked)),
            ("years", _listed(report.years)),
        )
    )
    typer.echo(completeness_statement(report))


def _print_events(report: Report, names: Mapping[int, str]) -> None:
    if not report.events:
        typer.echo("No event is shown.")
        return
    notes = _notes(report)
    ordered = sorted(report.events, key=lambda each: (each.event.occurred_on, each.id))
    _print_part(
        f"Events: {len(ordered)}",
        ("event", "day", "type", "member", "account", "says", "note"),
        [
            (
                each.id,
                each.event.occurred_on,
                each.type,
                _member(each.filed.member, names),
                "" if each.event.account is None else each.event.account.hex()[:8],
                said(each),
                notes.get(each.id, ""),
            )
            for each in ordered
        ],
    )


def _print_months(report: Report, names: Mapping[int, str]) -> None:
    members = {each.id: each.filed.member for each in report.events}
    accounts = account_months(report.effective)
    if accounts:
        _print_part(
            f"Accounts month by month: {len(accounts)}",
            ("account", "member", "to", "PBoC status, newest last", "Metro 2, newest first"),
            [
                (
                    each.account.hex()[:8],
                    _member(members[each.first], names) if each.first in members else "",
                    period(each.last_month),
                    each.pboc,
                    each.metro2,
                )
                for each in accounts
            ],
        )


def _notes(report: Report) -> dict[EventId, str]:
    """Return what is to be said beside events that corrections are about."""
    notes: dict[EventId, str] = {}
    for chain in report.chains:
        if chain.retracted:
            notes[chain.original] = "RETRACTED"
        elif chain.current is not None and chain.current.source != chain.original:
            notes[chain.original] = f"replaced by {chain.current.source}"
    return notes


def _print_corrections(report: Report, names: Mapping[int, str]) -> None:
    shown = {each.id: each for each in report.events}
    rows = []
    for chain in report.chains:
        original = shown.get(chain.original)
        rows.append(("old", str(chain.original), _whose(original, names), _old(original)))
        for correction in chain.corrections:
            event = shown.get(correction)
            what = "not shown" if event is None else said(event)
            verb = "retracts" if event is not None and is_retraction(event.event) else "corrects"
            rows.append((verb, str(correction), _whose(event, names), what))
        rows.append(("stands", "", "", _current(chain)))
    if rows:
        _print_part(
            f"Corrected events: {len(report.chains)}",
            ("", "event", "member", "says"),
            rows,
        )


def _print_inquiries(report: Report, names: Mapping[int, str]) -> None:
    _print_part(
        f"Inquiries about this subject: {len(report.inquiries)}",
        ("entry", "when", "reader", "purpose", "consent", ""),
        [
            (
                each.filed.id.index,
                instant(each.filed.created_ms),
                _member(each.filed.member, names),
                name_of(Purpose, each.purpose),
                each.consent_id.hex(),
                "this one" if each.own else "",
            )
            for each in report.inquiries
        ],
    )


def _print_gone(report: Report, names: Mapping[int, str]) -> None:
    if report.gone:
        _print_part(
            f"Events whose content is deleted: {len(report.gone)}",
            ("event", "member", "why", "by record", "kept until"),
            [
                (
                    each.filed.id,
                    _member(each.filed.member, names),
                    each.standing.value
                    + ("" if each.reason is None else f": {each.reason.name.lower()}"),
                    ", ".join(str(mark.index) for mark in each.filed.marks),
                    period(each.filed.retain_month),
                )
                for each in report.gone
            ],
        )


def _print_invalid(report: Report, names: Mapping[int, str]) -> None:
    if report.invalid:
        _print_part(
            f"INVALID events, for which their members are answerable: {len(report.invalid)}",
            ("event", "member", "fault", "detail"),
            [
                (each.filed.id, _member(each.filed.member, names), each.fault.value, each.detail)
                for each in report.invalid
            ],
        )


def _print_unread(report: Report, names: Mapping[int, str]) -> None:
    unread = [("withheld: the bundle leaves its key out", each) for each in report.withheld]
    unread += [("of a type that this program does not know", each) for each in report.unknown]
    if unread:
        _print_part(
            f"Events that are not shown: {len(unread)}",
            ("event", "member", "why"),
            [(each.id, _member(each.member, names), why) for why, each in unread],
        )


def _print_part(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    typer.echo()
    print_table(title, columns, rows)


def _old(original: ReportEvent | None) -> str:
    return "not shown" if original is None else said(original)


def _whose(event: ReportEvent | None, names: Mapping[int, str]) -> str:
    return "" if event is None else _member(event.filed.member, names)


def _current(chain: Chain) -> str:
    if chain.retracted:
        return "nothing: it must not be counted"
    if chain.current is None:
        return "unknown: what stands can't be shown"
    current = chain.current
    return fields_text(SCHEMAS.fields_to_json(current.schema, current.fields))


def _member(number: int, names: Mapping[int, str]) -> str:
    return f"{number} {names[number]}" if number in names else str(number)


def _listed(numbers: tuple[int, ...]) -> str:
    """Return numbers with runs joined: 2021–2024, 2026."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("–".join(str(each) for each in run) for run in runs)
