"""Commands of contributors: submit events, erase one, move the month that one is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeline_client.cli import values
from tradeline_client.cli.command import EXIT_DONE, EXIT_FAILED
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table, progress
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    open_client,
    today,
)
from tradeline_client.errors import ClientError
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.history import EventId
from tradeline_ledger.mac import SHORT_MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.client import Client
    from tradeline_client.event_file import EventFile, FileEvent, LineFault
    from tradeline_client.flows.entry import Placement
    from tradeline_client.pipeline import Result
    from tradeline_client.seal import PlainEvent

_EVENTS_MAX = 10_000
_BATCH_EVENTS = 1_000

EventArgument = Annotated[
    EventId,
    typer.Argument(
        parser=values.event_id, metavar="EVENT", help="One of your events, index/position."
    ),
]
ReasonOption = Annotated[
    values.MarkReasonName,
    typer.Option(
        metavar="NAME", help=f"Why, for all to see: {values.listed(values.MarkReasonName)}."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("submit")(submit)
    app.command("erase")(erase)
    app.command("retain")(retain)


def submit(
    file: Annotated[
        Path, typer.Argument(help="Events, one JSON object a line; - for standard input.")
    ],
    *,
    batch_events: Annotated[
        int, typer.Option(min=1, max=_EVENTS_MAX, help="Events of one batch.")
    ] = _BATCH_EVENTS,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the file; needs no node.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on after a break: settle what was on its way, and leave out lines whose ref "
            "is on the ledger already.",
        ),
    ] = False,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Seal events and put them on the ledger: all lines of FILE, or none if one is wrong.

    Each line has a subject and an event: {"subject": {"type": "uscc", "id": "..."}, "type":
    "account.opened", "occurred_on": "2026-06-15", "basis": "contract", "ref": "row 1", "account":
    "loan 88", "fields": {...}}. Identifiers and contents are sealed on this machine. A correction
    is a line of type correction.supersede or correction.retract, whose target is the event that it
    corrects.
    """
    from tradeline_client.event_file import read_events  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.profile import open_folder  # noqa: PLC0415

    day = today(open_folder(folder).ledger)
    if str(file) == "-":
        found = read_events(sys.stdin.buffer, day)
    else:
        with file.open("rb") as lines:
            found = read_events(lines, day)
    if found.wrong or not found.events or check:
        return _report_file(file, found, as_json=json)
    with open_client(folder, passphrase_file) as client:
        events = _left(client, found.events) if resume else found.events
        plain, faults = _prepare(client, events)
        if faults:
            wrong = type(found)((), tuple(faults), len(faults))
            return _report_file(file, wrong, as_json=json)
        results: list[Result] = []
        try:
            with progress("submitting") as show:
                show(0, len(plain))
                for result in client.submit_many(client.batches(plain, batch_events)):
                    results.append(result)
                    show(min(len(results) * batch_events, len(plain)), len(plain))
        except (ClientError, LedgerError):
            # What is on the ledger is told in any case: nobody could find it out from the error.
            _report_batches(events, results, batch_events, as_json=json)
            typer.echo("tradeline: go on with the same command and --resume", err=True)
            raise
    return _report_batches(events, results, batch_events, as_json=json)


def erase(
    event: EventArgument,
    reason: ReasonOption,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """
    Have the content of one of your events deleted on every node; that it existed remains.

    The key in your vault is deleted as soon as the order is on the ledger.
    """
    with open_client(folder, passphrase_file) as client:
        placed = client.erase(event, _reason(reason))
    print_placement(f"erase {event}", placed, as_json=json)
    return EXIT_DONE


def retain(
    event: EventArgument,
    *,
    month: Annotated[
        Any,
        typer.Option(
            parser=values.month, metavar="YYYY-MM", help="Last month in which it is kept."
        ),
    ],
    reason: ReasonOption,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Move the month until which the content of one of your events is kept."""
    with open_client(folder, passphrase_file) as client:
        placed = client.retain(event, month, _reason(reason))
    print_placement(f"retain {event}", placed, as_json=json)
    return EXIT_DONE


def print_placement(what: str, placed: Placement, *, as_json: bool) -> None:
    """Print where an accepted entry stands."""
    said = {
        "what": what,
        "index": placed.index,
        "height": placed.height,
        "outcome": placed.outcome.code,
        "statement_hash": placed.statement_hash.hex(),
        "checkpoint_size": placed.checkpoint.size,
        "cosigners": list(placed.checkpoint.cosigners),
    }
    if as_json:
        print_json(said)
        return
    cosigners = ", ".join(str(each) for each in placed.checkpoint.cosigners)
    print_pairs(
        (
            (what, placed.outcome.code),
            ("entry", f"{placed.index} in block {placed.height}"),
            ("proven by", f"checkpoint of size {placed.checkpoint.size}, cosigned by {cosigners}"),
        )
    )


def _reason(name: values.MarkReasonName) -> Any:
    from tradeline_ledger.mark import MarkReason  # noqa: PLC0415

    return values.number_of(MarkReason, name)


def _left(client: Client, events: Sequence[FileEvent]) -> list[FileEvent]:
    """Return the events that are not on the ledger yet, once what was on its way is settled."""
    client.resume()
    session = client.session
    placed = {
        row.refs[at : at + SHORT_MAC_BYTES]
        for row in session.vault.rows()
        if row.log_index is not None
        for at in range(0, len(row.refs), SHORT_MAC_BYTES)
    }
    return [
        each for each in events if session.keystore.references.ref(each.report.ref) not in placed
    ]


def _prepare(
    client: Client, events: Sequence[FileEvent]
) -> tuple[list[PlainEvent], list[LineFault]]:
    """Return the events as they are sealed, and what is wrong with corrections among them."""
    from tradeline_client.event_file import LineFault  # noqa: PLC0415

    plain, faults = [], []
    for each in events:
        corrected = each.report.target
        try:
            target = None if corrected is None else client.find(EventId(*corrected))
            plain.append(client.plain(each.report, each.subject, target))
        except (ClientError, LedgerError) as error:
            faults.append(LineFault(each.line, str(error)))
    return plain, faults


def _report_file(file: Path, found: EventFile, *, as_json: bool) -> int:
    """Say what is in a file of which nothing is submitted."""
    good = not found.wrong and bool(found.events)
    if as_json:
        print_json(
            {
                "ok": good,
                "submitted": 0,
                "lines": found.lines,
                "wrong": found.wrong,
                "faults": [{"line": each.line, "detail": each.detail} for each in found.faults],
            }
        )
    elif good:
        typer.echo(f"{file}: all {found.lines} lines are right; nothing was submitted")
    elif not found.lines:
        typer.echo(f"tradeline: {file} has no line", err=True)
    else:
        typer.echo(
            f"tradeline: {found.wrong} of {found.lines} lines of {file} are wrong; nothing was "
            "submitted",
            err=True,
        )
        for fault in found.faults:
            typer.echo(f"line {fault.line}: {fault.detail}", err=True)
        if found.wrong > len(found.faults):
            typer.echo(f"and {found.wrong - len(found.faults)} more", err=True)
    return EXIT_DONE if good else EXIT_FAILED


def _report_batches(
    events: Sequence[FileEvent], results: Sequence[Result], batch_events: int, *, as_json: bool
) -> int:
    """Say what became of each batch, and which event each line is."""
    from tradeline_client.flows.submit import PlacedBatch  # noqa: PLC0415

    batches: list[dict[str, Any]] = []
    ids: list[tuple[int, EventId]] = []
    for number, result in enumerate(results):
        lines = events[number * batch_events : (number + 1) * batch_events]
        batch: dict[str, Any] = {"first_line": lines[0].line, "last_line": lines[-1].line}
        if isinstance(result, PlacedBatch):
            ids += [(each.line, result.event(at)) for at, each in enumerate(lines)]
            batch |= {
                "index": result.placement.index,
                "height": result.placement.height,
                "outcome": result.placement.outcome.code,
                "remedy": None,
                "events": result.count,
                "batch_hash": result.batch_hash.hex(),
                "without_receipt": sorted(result.missing),
            }
        else:
            batch |= {
                "index": result.index,
                "height": None,
                "outcome": result.code,
                "remedy": result.remedy,
                "events": 0,
                "batch_hash": None,
                "without_receipt": [],
            }
        batches.append(batch)
    good = len(ids) == len(events)
    if as_json:
        listed = [{"line": line, "event": str(event)} for line, event in ids]
        said = {"ok": good, "submitted": len(ids), "lines": len(events), "batches": batches}
        print_json({**said, "events": listed})
    elif events:
        _print_batches(batches, len(ids), len(events))
    else:
        typer.echo("all lines are on the ledger already")
    return EXIT_DONE if good else EXIT_FAILED


def _print_batches(batches: Sequence[dict[str, Any]], submitted: int, lines: int) -> None:
    print_table(
        f"{submitted} of {lines} events are on the ledger",
        ("events", "lines", "block", "outcome"),
        [
            (
                _range(each["index"], each["events"]),
                f"{each['first_line']} to {each['last_line']}",
                each["height"] or "",
                each["outcome"] + (f"; {each['remedy']}" if each["remedy"] else ""),
            )
            for each in batches
        ],
    )


def _range(index: int, events: int) -> str:
    """Return the ids of the events of an entry."""
    if events > 1:
        return f"{index}/0 to {index}/{events - 1}"
    return f"{index}/0" if events else str(index)
