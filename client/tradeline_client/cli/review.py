"""Commands about rows that an import held back for a person to decide."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tradeline_client.cli.command import EXIT_DONE
from tradeline_client.cli.output import Json, print_json, print_pairs, print_table
from tradeline_client.cli.session import (
    FOLDER,
    FolderOption,
    PassphraseOption,
    now_ms,
    read_passphrase,
)
from tradeline_client.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_client.imports.review import Decision, Review
    from tradeline_client.imports.review_item import ReviewEvent, ReviewItem

STATES: Final = ("open", "accepted", "rejected", "submitted", "all")

group = typer.Typer(
    name="review",
    help="Decide about rows that an import held back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

IdsArgument = Annotated[
    list[int] | None, typer.Argument(min=1, metavar="ID...", help="As `review list` shows them.")
]
AllOfOption = Annotated[
    str | None,
    typer.Option("--all-of", metavar="CODE", help="Every open row whose first finding is CODE."),
]
JobOption = Annotated[str | None, typer.Option("--job", help="Only rows of this import job.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; an auditor reads it.")]
OperatorOption = Annotated[
    str,
    typer.Option(
        "--operator", envvar="TRADELINE_OPERATOR", help="Who decides; an auditor reads it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(group)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("accept")(accept)
    group.command("reject")(reject)
    group.command("log")(log)


def list_(
    *,
    state: Annotated[str, typer.Option("--state", help=f"One of {', '.join(STATES)}.")] = "open",
    job: JobOption = None,
    code: Annotated[str | None, typer.Option("--code", help="Only this first finding.")] = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """List the rows that wait, without anything that is in them."""
    with _open(folder, passphrase_file) as review:
        items = review.items(_state(state), job, code)
    if json:
        print_json([_listed(each) for each in items])
    else:
        print_table(
            f"{len(items)} rows",
            ("id", "job", "line", "row", "finding", "state"),
            [(each.id, each.job, each.line, each.row, each.code, each.state) for each in items],
        )
    return EXIT_DONE


def show(
    id_: Annotated[int, typer.Argument(min=1, metavar="ID", help="As `review list` shows it.")],
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Show one row with its events in clear, and everything that was found about it."""
    with _open(folder, passphrase_file) as review:
        item = review.item(id_)
    events = [_event(each) for each in item.events]
    if json:
        findings = [
            {
                "code": each.code,
                "severity": each.severity.value,
                "field": each.field or None,
                "got": each.got,
                "expected": each.expected,
                "fix": each.fix,
            }
            for each in item.faults
        ]
        print_json({**_listed(item), "findings": findings, "events": events})
        return EXIT_DONE
    print_pairs([(name, "" if value is None else value) for name, value in _listed(item).items()])
    print_table(
        "\nfindings",
        ("finding", "field", "got", "expected", "what to do"),
        [(each.code, each.field, each.got, each.expected, each.fix) for each in item.faults],
    )
    for event in events:
        fields = event.pop("fields")
        print_table("", ("event", ""), [*event.items(), *fields.items()])
    return EXIT_DONE


def accept(
    *,
    reason: ReasonOption,
    operator: OperatorOption,
    ids: IdsArgument = None,
    all_of: AllOfOption = None,
    job: JobOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Accept rows as they are: they go on with the next run of their job."""
    with _open(folder, passphrase_file) as review:
        decision = _decide(review, ids, all_of, job, accept=True, words=(reason, operator))
    _print_decision(decision, as_json=json)
    return EXIT_DONE


def reject(
    *,
    reason: ReasonOption,
    operator: OperatorOption,
    ids: IdsArgument = None,
    all_of: AllOfOption = None,
    job: JobOption = None,
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Reject rows: they are not submitted, and can come again in a mended file."""
    with _open(folder, passphrase_file) as review:
        decision = _decide(review, ids, all_of, job, accept=False, words=(reason, operator))
    _print_decision(decision, as_json=json)
    return EXIT_DONE


def log(
    folder: FolderOption = FOLDER,
    passphrase_file: PassphraseOption = None,
    json: Json = False,
) -> int:
    """Print every decision for an auditor, after the chain of them was checked."""
    with _open(folder, passphrase_file) as review:
        decisions, head = review.log(), review.head().hex()
    if json:
        print_json({"head": head, "decisions": [_said(each) for each in decisions]})
        return EXIT_DONE
    print_table(
        f"{len(decisions)} decisions, head {head}",
        ("decision", "at (UTC)", "operator", "verdict", "rows", "reason"),
        [
            (
                each["seq"],
                each["at"],
                each["operator"],
                each["verdict"],
                len(each["rows"]),
                each["reason"],
            )
            for each in map(_said, decisions)
        ],
    )
    return EXIT_DONE


def _decide(
    review: Review,
    ids: list[int] | None,
    all_of: str | None,
    job: str | None,
    *,
    accept: bool,
    words: tuple[str, str],
) -> Decision:
    reason, operator = words
    if bool(ids) == (all_of is not None):
        raise ReviewError(
            "name rows by ID or by --all-of CODE, one of the two; nothing was decided"
        )
    if all_of is not None:
        return review.decide_all(all_of, job=job, accept=accept, reason=reason, operator=operator)
    return review.decide(ids or (), accept=accept, reason=reason, operator=operator)


@contextmanager
def _open(folder: Path, passphrase_file: Path | None) -> Iterator[Review]:
    # Only the keys of the folder are needed, and no node.
    from tradeline_client.imports.review import Review  # noqa: PLC0415 - start-up stays fast
    from tradeline_client.keystore import open_keystore  # noqa: PLC0415
    from tradeline_client.profile import open_folder  # noqa: PLC0415

    opened = open_folder(folder)
    keystore = open_keystore(opened.keys, read_passphrase(passphrase_file, folder))
    review = Review.open(folder, keystore, now_ms)
    try:
        yield review
    finally:
        review.close()


def _state(name: str) -> Any:
    from tradeline_client.imports.review import ReviewState  # noqa: PLC0415

    if name not in STATES:
        raise ReviewError(f"state is {name!r}, expected one of {', '.join(STATES)}")
    return None if name == "all" else ReviewState[name.upper()]


def _listed(item: ReviewItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "job": item.job,
        "line": item.line,
        "row": item.row,
        "finding": item.code,
        "state": item.state,
    }


def _event(event: ReviewEvent) -> dict[str, Any]:
    from tradeline_ledger.identifier import subject_to_json  # noqa: PLC0415

    kinds = {item.name: item.kind for item in event.schema.fields}
    values = zip(event.names, event.values, strict=True)
    return {
        "type": event.schema.name,
        "subject": subject_to_json(event.subject)["id"],
        "occurred_on": event.occurred_on,
        "ref": event.ref,
        "account": event.account,
        "fields": {name: kinds[name].to_json(value) for name, value in values if value is not None},
    }


def _said(decision: Decision) -> dict[str, Any]:
    from datetime import UTC, datetime  # noqa: PLC0415

    at = datetime.fromtimestamp(decision.decided_ms // 1000, UTC)
    return {
        "seq": decision.seq,
        "at": at.strftime("%Y-%m-%d %H:%M:%S"),
        "decided_ms": decision.decided_ms,
        "operator": decision.operator,
        "verdict": "accepted" if decision.accepted else "rejected",
        "reason": decision.reason,
        "rows": [{"id": id_, "digest": digest.hex()} for id_, digest in decision.items],
        "prev": decision.prev.hex(),
        "hash": decision.hash.hex(),
    }


def _print_decision(decision: Decision, *, as_json: bool) -> None:
    said = _said(decision)
    if as_json:
        print_json(said)
    else:
        print_pairs(((said["verdict"], f"{len(said['rows'])} rows"), ("decision", said["hash"])))
